"""Event time: what a stream with windows gives, what comes too late, and that every row read is accounted for."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from conftest import balanced
from lakehouse import ConfigError, quarantine
from lakehouse.batches import stateful
from lakehouse.cli import command
from lakehouse.errors import LakehouseError
from lakehouse.pipeline import progress
from lakehouse.planning.planner import plan_job

SOURCE = "bronze.words"
HEAD = """
layer: gold
source: {delta: {table: bronze.words}}
read: incremental
stream: {watermark: {column: at, delay: 10 minutes}}
"""
SLIDING = f"""{HEAD}
transforms:
  - window: {{time_column: at, size: 10 minutes, slide: 5 minutes, group_by: [word], measures: {{words: count(*)}}}}
sink: {{append: {{table: gold.words}}}}
"""
TUMBLING = f"""{HEAD}
rules:
  - not_null: {{column: word}}
transforms:
  - derive: {{columns: {{word: lower(word)}}}}
  - window:
      time_column: at
      size: 10 minutes
      group_by: [word]
      measures: {{words: count(*), low: min(size), total: sum(size), mean: sum(size) / count(*)}}
sink: {{append: {{table: gold.words}}}}
"""
SIZED = "at timestamp, word string, size bigint"


def at(text: str) -> datetime:
    """A time of the day of the tests, `12:14` or `12:14:30`."""
    return datetime.fromisoformat(f"2026-01-01 {text}").replace(tzinfo=UTC)


def add(spark, project, rows, table=SOURCE, schema="at timestamp, word string"):
    """One commit of rows to a table."""
    path = str(project.lake / table.replace(".", "/"))
    spark.createDataFrame(rows, schema).coalesce(1).write.format("delta").mode("append").save(path)


def shown(rows, *columns):
    """Rows as short texts: times of the day, others as they are."""
    return sorted(
        tuple(f"{row[name]:%H:%M}" if isinstance(row[name], datetime) else row[name] for name in columns)
        for row in rows
    )


def flushed(project, name, monkeypatch):
    """`lakehouse stream flush`, from the project's folder."""
    monkeypatch.chdir(project.root)
    assert command(["stream", "flush", name]) == 0


def rows_of(project, table):
    """A table's rows, none where it was never made."""
    made = (project.lake / table.replace(".", "/")).exists()
    return project.rows(table) if made else []


def test_windows_of_sparks_guide_row_for_row(spark, project, monkeypatch, capsys):
    """The guide's example: windows of 10 minutes every 5, a watermark of 10 minutes, triggers at 12:10 to 12:25."""
    project.job("words", SLIDING)
    triggers = [
        [("12:07", "dog"), ("12:08", "owl")],
        [("12:14", "dog"), ("12:09", "cat")],
        [("12:15", "cat"), ("12:08", "dog"), ("12:13", "owl"), ("12:21", "owl")],
        [("12:17", "owl"), ("12:04", "donkey")],
    ]
    records = []
    for rows in triggers:
        add(spark, project, [(at(time), word) for time, word in rows])
        records.append(project.run("words"))
    first = [("12:00", "12:10", "cat", 1), ("12:00", "12:10", "dog", 2), ("12:00", "12:10", "owl", 1)]
    assert shown(project.rows("gold.words"), "window_start", "window_end", "word", "words") == first
    late = shown(project.rows("gold.words__late"), "at", "word", "_watermark", "_window_start", "_window_end")
    assert late == [("12:04", "donkey", "12:11", "11:55", "12:05"), ("12:04", "donkey", "12:11", "12:00", "12:10")]
    assert all(map(balanced, records))
    assert [(record.rows_read, record.rows_late) for record in records] == [(2, 0), (2, 0), (4, 0), (2, 1)]
    # rows and windows: 9 rows in time are in two windows each, 4 of which are finished
    assert [record.rows_open for record in records] == [4, 8, 12, 14]
    assert records[0].notes == ("state: RocksDB, 2 partitions, fixed from now on",)
    assert [item.name for item in records[3].outputs if item.rows] == ["gold.words__late"]
    capsys.readouterr()
    flushed(project, "words", monkeypatch)
    assert "0 rows in, 9 out, " in capsys.readouterr().out
    rest = [
        ("12:05", "12:15", "cat", 1), ("12:05", "12:15", "dog", 3), ("12:05", "12:15", "owl", 2),
        ("12:10", "12:20", "cat", 1), ("12:10", "12:20", "dog", 1), ("12:10", "12:20", "owl", 2),
        ("12:15", "12:25", "cat", 1), ("12:15", "12:25", "owl", 2), ("12:20", "12:30", "owl", 1),
    ]  # fmt: skip
    assert shown(project.rows("gold.words"), "window_start", "window_end", "word", "words") == first + rest
    add(spark, project, [(at("12:29"), "cat"), (at("12:34"), "cat")])  # one of a window that is closed now, and a half
    record = project.run("words")
    assert (record.rows_valid, record.rows_late, record.rows_open) == (2, 0, 3)
    assert len(project.rows("gold.words__late")) == 3


def stream_of(seed):
    """A random stream in four parts: most rows a little out of order, some far behind, some broken."""
    draw, parts = random.Random(seed), []
    for part in range(4):
        rows = []
        for index in range(40):
            minute = part * 30 + index - draw.choice([0, 0, 0, 3, 8, 8, 35, 70])
            moment = at("12:00") + timedelta(minutes=minute, seconds=draw.randrange(60))
            rows.append((moment, draw.choice(["Dog", "cat", "OWL"]), draw.randrange(9)))
        rows += [(None, "dog", 1), (rows[0][0], None, 2), (datetime(9999, 1, 1, tzinfo=UTC), "dog", 3)]
        rows += [(datetime(1969, 12, 31, 23, 59, tzinfo=UTC), "dog", 4)]  # before any watermark that Spark knows
        draw.shuffle(rows)
        parts.append(rows)
    return parts


def die(patch, owner, name, *, after):
    """Power goes out at a function: before it does its work, or right after."""
    real = getattr(owner, name)

    def dying(*given, **more):
        if after:
            real(*given, **more)
        raise OSError("out of power")

    patch.setattr(owner, name, dying)


# those of a micro-batch with rows first, in their order; the one after it, without rows, closes windows
DEATHS = [
    (stateful, "save_late", False), (stateful, "save_late", True), (quarantine, "write", False),
    (quarantine, "write", True), (progress, "save", False), (progress, "end", False), (stateful, "write_to", False),
]  # fmt: skip


def test_each_row_of_a_stream_killed_between_its_writes_is_in_one_place(spark, project, monkeypatch, capsys):
    project.job("words", TUMBLING)
    parts, died = stream_of(7), set()
    for number, rows in enumerate(parts):
        add(spark, project, rows, schema=SIZED)
        for owner, name, after in DEATHS if number == 2 else DEATHS[number::4]:
            with pytest.MonkeyPatch.context() as patch:
                die(patch, owner, name, after=after)
                try:
                    project.run("words")
                except LakehouseError as error:
                    assert "out of power" in str(error)
                    died.add((name, after))
        project.run("words")
        if number == 1:  # the crash took Spark's own commit of the last micro-batch away
            folder = project.lake / "_checkpoints/words/stream/commits"
            newest = max(int(file.name) for file in folder.glob("[0-9]*"))
            (folder / str(newest)).unlink()
            (folder / f".{newest}.crc").unlink()
    assert died == {(name, after) for _, name, after in DEATHS}
    capsys.readouterr()
    flushed(project, "words", monkeypatch)
    assert " open" not in capsys.readouterr().out
    good = [
        (moment, word.lower()) for rows in parts for moment, word, _ in rows if moment and word and moment.year < 9999
    ]
    windows, late = project.rows("gold.words"), project.rows("gold.words__late")
    found = Counter({(row["window_start"], row["word"]): row["words"] for row in windows})
    assert len(found) == len(windows)
    found.update((row["_window_start"], row["word"]) for row in late)
    assert found == Counter((moment.replace(minute=moment.minute // 10 * 10, second=0), word) for moment, word in good)
    assert late
    assert all(row["_window_end"] <= row["_watermark"] for row in late)
    reasons = Counter(reason["rule"] for row in project.rows("gold.words__quarantine") for reason in row["reasons"])
    assert reasons == {"window": 8, "not_null(word)": 4}


def test_what_rules_find_wrong_in_a_stream_with_state_is_shown(spark, project):
    project.write(
        "conf/contracts/words.yml",
        """
name: words
version: 1.0.0
fields:
  - {name: at, type: timestamp}
  - {name: word, type: string, pii: true}
  - {name: size, type: bigint}
""",
    )
    rules = "rules:\n  - in_range: {column: size, max: 5, on_fail: warn}\n  - length: {column: word, max: 3}\n"
    project.job("words", TUMBLING.replace("rules:\n", rules).replace("layer: gold", "layer: gold\ncontract: words"))
    add(
        spark,
        project,
        [(at("12:00"), word, size) for word, size in (("cat", 7), ("mouse", 7), ("dog", 9), ("owl", 1))],
        schema=SIZED,
    )
    project.run("words")
    found = {row["rule"]: (row["passed"], row["failed"], row["sample"]) for row in project.rows("_quality")}
    assert found == {
        "in_range(size)": (1, 3, ["7", "9"]), "length(word)": (3, 1, ["***"]), "not_null(word)": (4, 0, []),
    }  # fmt: skip


def test_late_rows_are_merged_into_their_windows_so_that_batch_and_stream_are_equal(spark, project, monkeypatch):
    project.job("words", TUMBLING.replace("delay: 10 minutes}", "delay: 10 minutes}, late: merge"))
    stream = TUMBLING.partition("transforms:")[2]
    project.job("whole", "layer: gold\nsource: {delta: {table: bronze.words}}\nstream: {watermark: {column: at, delay: 10 minutes}}\n"
                "rules: [not_null: {column: word}]\ntransforms:" + stream.replace("append: {table: gold.words}", "overwrite: {table: gold.whole}"))  # fmt: skip
    notes: list[str] = []
    for number, rows in enumerate(stream_of(11)):
        add(spark, project, rows, schema=SIZED)
        if number == 2:
            with pytest.MonkeyPatch.context() as patch:
                die(patch, stateful, "save_late", after=True)
                with pytest.raises(LakehouseError, match="out of power"):
                    project.run("words")
        record = project.run("words")
        assert balanced(record)
        notes += record.notes
    flushed(project, "words", monkeypatch)
    record = project.run("whole")
    assert record.rows_quarantined == 12
    assert project.rows("gold.words") == project.rows("gold.whole")
    assert any(note.startswith("late rows were added to ") for note in notes)
    assert not (project.lake / "gold/words__late").exists()


ROUTED = f"""{HEAD}
transforms:
  - window: {{time_column: at, size: 10 minutes, group_by: [word], measures: {{n: count(*)}}}}
sinks:
  - where: n > 1
    append: {{table: gold.often}}
  - where: word = 'owl'
    append: {{table: gold.owls}}
"""


def test_what_a_stream_with_state_gives_to_no_sink_is_counted(spark, project, monkeypatch):
    project.job("routed", ROUTED)
    add(spark, project, [(at("10:01"), word) for word in ("cat", "cat", "owl", "dog", "emu")])
    project.run("routed")
    add(spark, project, [(at("11:00"), "cat")])
    record = project.run("routed")
    assert (record.rows_to_sink, record.rows_unrouted) == (2, 2)
    assert shown(project.rows("gold.often"), "word", "n") == [("cat", 2)]
    assert shown(project.rows("gold.owls"), "word", "n") == [("owl", 1)]


def test_a_setting_that_would_judge_late_rows_wrongly_is_refused(spark, project):
    add(spark, project, [(at("10:01"), "cat")])
    project.job("x", SLIDING + 'spark: {spark.sql.streaming.statefulOperator.allowMultiple: "false"}\n')
    with pytest.raises(ConfigError, match=r"allowMultiple' is fixed at true"):
        project.run("x")


def test_sessions_and_repeats_of_a_stream(spark, project, monkeypatch):
    project.job(
        "sessions",
        f"""{HEAD}
transforms:
  - session_window: {{time_column: at, gap: 5 minutes, group_by: [word], measures: {{words: count(*)}}}}
sink: {{merge: {{table: gold.sessions, keys: [word, session_start]}}}}
""",
    )
    project.job(
        "whole",
        """
layer: gold
source: {delta: {table: bronze.words}}
transforms:
  - session_window: {time_column: at, gap: 5 minutes, group_by: [word], measures: {words: count(*)}}
sink: {overwrite: {table: gold.whole}}
""",
    )
    project.job(
        "first",
        f"""{HEAD}
transforms:
  - deduplicate: {{keys: [word], within: 10 minutes}}
sink: {{append: {{table: gold.first}}}}
""",
    )
    records = []
    for rows in (
        [("12:00", "cat"), ("12:04", "cat"), ("12:01", "dog"), ("12:00", "cat")],
        [("12:08", "cat"), ("12:30", "owl"), ("12:20", "cat"), ("12:02", "dog")],
        [("12:12", "emu"), ("12:25", "cat"), ("12:50", "owl")],
    ):
        add(spark, project, [(at(time), word) for time, word in rows])
        records.append((project.run("sessions"), project.run("first")))
    assert all(balanced(record) for pair in records for record in pair)
    assert [sessions.rows_late for sessions, _ in records] == [0, 0, 1]
    late = shown(project.rows("gold.sessions__late"), "at", "word", "_watermark")
    assert late == [("12:12", "emu", "12:20")]
    flushed(project, "sessions", monkeypatch)
    project.run("whole")
    columns = ("session_start", "session_end", "word", "words")
    expected = [
        ("12:00", "12:13", "cat", 4), ("12:01", "12:07", "dog", 2), ("12:20", "12:30", "cat", 2),
        ("12:30", "12:35", "owl", 1), ("12:50", "12:55", "owl", 1),
    ]  # fmt: skip
    assert shown(project.rows("gold.sessions"), *columns) == expected
    assert shown(project.rows("gold.whole"), *columns) == sorted([*expected, ("12:12", "12:17", "emu", 1)])
    # a repeat within the delay is dropped; a row behind the watermark is late, whether or not it is a repeat
    assert [(first.rows_valid, first.rows_dropped, first.rows_late, first.rows_open) for _, first in records] == [
        (2, 2, 0, 0), (1, 3, 0, 0), (1, 1, 1, 0),
    ]  # fmt: skip
    assert shown(project.rows("gold.first__late"), "at", "word") == [("12:12", "emu")]


CLICKS, ORDERS = (
    "click_id bigint, buyer bigint, clicked_at timestamp",
    "order_id bigint, buyer bigint, ordered_at timestamp",
)
JOIN = """
layer: gold
source: {{delta: {{table: bronze.clicks}}}}
inputs: [bronze.orders]
read: incremental
stream:
  watermark:
    bronze.clicks: {{column: clicked_at, delay: 10 minutes}}
    bronze.orders: {{column: ordered_at, delay: 20 minutes}}
transforms:
  - stream_join: {{with: bronze.orders, on: [{key}], within: 1 hour, how: {how}}}
sink: {{append: {{table: gold.{how}}}}}
"""


def test_clicks_and_the_orders_within_an_hour(spark, project, monkeypatch, capsys):
    ways = ("left", "full")
    for how, key in zip(ways, ("buyer", "BUYER"), strict=True):
        project.job(how, JOIN.format(how=how, key=key))
    steps = [
        ([(1, 1, at("10:00")), (2, 2, at("10:10"))], [(11, 1, at("10:30")), (12, 9, at("10:05"))]),
        ([(3, 3, at("12:00")), (4, 4, None)], []),  # the orders are silent: nothing may be given up on
        ([(5, 1, at("10:45"))], [(13, 3, at("13:00")), (14, 3, at("13:01"))]),  # to the minute, and a minute more
        ([(6, 5, at("11:49")), (7, 5, at("11:51"))], [(15, 6, None)]),
    ]
    notes, records = [], {how: [] for how in ways}
    for clicks, orders in steps:
        add(spark, project, clicks, "bronze.clicks", CLICKS)
        add(spark, project, orders, "bronze.orders", ORDERS)
        for how in ways:
            records[how].append(project.run(how))
        notes += records["left"][-1].notes
    assert notes[1:] == [
        "the watermark waits for bronze.clicks, whose latest row is of 2026-01-01 10:10:00",
        "the watermark waits for bronze.orders, whose latest row is of 2026-01-01 10:30:00",
        "the watermark waits for bronze.clicks, whose latest row is of 2026-01-01 12:00:00",
        "the watermark waits for bronze.clicks, whose latest row is of 2026-01-01 12:00:00",
    ]
    for how in ways:
        assert all(map(balanced, records[how]))
        # clicks 4 and order 15 have no time; click 6 is behind 11:50, which the third run had ended with
        assert [(item.rows_read, item.rows_quarantined, item.rows_late) for item in records[how]] == [
            (4, 0, 0), (2, 1, 0), (3, 0, 0), (3, 1, 1),
        ]  # fmt: skip
        assert shown(project.rows(f"gold.{how}__late"), "click_id", "clicked_at", "_watermark") == [
            (6, "11:49", "11:50")
        ]
        flushed(project, how, monkeypatch)
        assert "open" not in capsys.readouterr().out
    both = [(1, 11), (3, 13)]
    alone = [(2, None), (5, None), (7, None)]

    def pairs(how):
        return sorted(((row["click_id"], row["order_id"]) for row in project.rows(f"gold.{how}")), key=str)

    assert pairs("left") == sorted(both + alone, key=str)
    assert pairs("full") == sorted([*both, *alone, (None, 12), (None, 14)], key=str)
    assert {row["buyer"] for row in project.rows("gold.full")} == {1, 2, 3, 5, 9}


STREAM = "stream: {watermark: {column: at, delay: 10 minutes}}\n"
WINDOW = "transforms: [window: {time_column: at, size: 1 minute, group_by: [word], measures: {n: count(*)}}]\n"
APPEND = "sink: {append: {table: gold.x}}\n"
DELTA = "layer: gold\nsource: {delta: {table: bronze.words}}\nread: incremental\n"
MERGE = STREAM.replace("}}", "}, late: merge}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DELTA + WINDOW + APPEND, "conf/x.yml:4: transform 'window': without a watermark its rows would never be final"),
        (DELTA + STREAM.replace("at,", "on,") + WINDOW + APPEND, "conf/x.yml:5: transform 'window': its time_column is at, and the watermark is on on"),
        (DELTA + STREAM.replace("delay", "delya") + WINDOW + APPEND, "conf/x.yml:4: a watermark has no option 'delya'. Did you mean 'delay'?"),
        (DELTA + STREAM + WINDOW + "sink: {snapshot: {table: gold.x, keys: [word], version_column: n}}\n", "conf/x.yml:6: sink 'snapshot': a stream gives each row of 'window' once"),
        (DELTA + STREAM + APPEND, "conf/x.yml:4: no transform goes by it"),
        (DELTA + "inputs: [silver.y]\nstream: {watermark: {bronze.words: {column: at, delay: 1 minute}}}\ntransforms: [stream_join: {with: silver.y, on: [word], within: 1 hour}]\n" + APPEND,
         "conf/x.yml:6: transform 'stream_join': it needs a watermark of both inputs; add that of silver.y"),
        (DELTA + "stream: {watermark: {silver.z: {column: at, delay: 1 minute}}}\n" + WINDOW + APPEND, "conf/x.yml:4: 'silver.z' is no input of this job. Known: bronze.words."),
        (DELTA + MERGE + WINDOW.replace("count(*)", "count(distinct word)") + APPEND, "conf/x.yml:5: transform 'window': late: merge: measure 'n': count(distinct word) needs the window's rows"),
        (DELTA + MERGE + WINDOW.replace("count(*)", "avg(size)") + APPEND, "conf/x.yml:5: transform 'window': late: merge: measure 'n' is worked out of sum(size) and count(size): add a measure"),
        (DELTA + MERGE + "transforms: [session_window: {time_column: at, gap: 1 minute, group_by: [word], measures: {n: count(*)}}]\n" + APPEND, "conf/x.yml:4: a finished row of 'session_window' cannot take a late row in"),
        (DELTA + STREAM + WINDOW.replace("[window", "[filter: {where: size > 1}, window") + APPEND, "conf/x.yml:5: transform 'filter': before a stream's state rows are counted one by one"),
        (DELTA + STREAM + "rules: [unique: {columns: [word]}]\n" + WINDOW + APPEND, "conf/x.yml:5: rule 'unique': it speaks of a whole batch"),
        (DELTA + STREAM + "transforms: [deduplicate: {keys: [word], within: 1 hour}]\n" + APPEND, "conf/x.yml:5: transform 'deduplicate': Spark remembers a key for the watermark's delay"),
        (DELTA + STREAM + "transforms: [deduplicate: {within: 10 minutes, extras: quarantine}]\n" + APPEND, "conf/x.yml:5: transform 'deduplicate': 'within' needs 'keys'"),
        ("layer: gold\nsource: {files: {path: in, format: json}}\n" + STREAM + WINDOW + APPEND, "conf/x.yml:4: transform 'window': it needs the rows of earlier runs too"),
        (DELTA + STREAM + WINDOW.replace("}}]", "}}, window: {time_column: at, size: 1 hour, measures: {n: count(*)}}]").replace("}, window", "}}, window") + APPEND, "conf/x.yml:5: "),
    ],
)  # fmt: skip
def test_what_cannot_be_in_a_stream_is_refused_with_its_line(project, text, expected):
    file = project.job("x", text)
    with pytest.raises(LakehouseError) as found:
        plan_job(file, lake=str(project.lake))
    assert expected in str(found.value)


def test_a_changed_window_or_an_unknown_time_is_refused(spark, project):
    project.job("words", SLIDING.replace("at,", "when,").replace("time_column: at", "time_column: when"))
    add(spark, project, [(at("12:00"), "cat")])
    with pytest.raises(LakehouseError, match=r"conf/words.yml:8: transform 'window': no column 'when'"):
        project.run("words")
    project.job("words", SLIDING)
    project.run("words")
    project.job("words", SLIDING.replace("slide: 5 minutes", "slide: 2 minutes"))
    with pytest.raises(
        LakehouseError, match=r"conf/words.yml:8: transform 'window': the state that .* was begun by other options"
    ):
        project.run("words")
    project.job("words", f"{HEAD}sink: {{append: {{table: gold.words}}}}\n".replace("stream: {", "# "))
    with pytest.raises(LakehouseError, match=r"conf/words.yml:2: .*/words was begun with state; put that back, or run"):
        project.run("words")
    project.job("words", SLIDING.replace("slide: 5 minutes", "slide: 2 minutes"))
    assert project.run("words", full_refresh=True).rows_open == 5
