"""Change data: each trap by its name, and what the run record, the errors and a crash leave behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import pytest

from conftest import Project, balanced
from lakehouse import ConfigError, DataError, SinkError, read_table, targets
from lakehouse.change_data import apply, full_snapshots

JOB = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id string, name string, city string, at int, op string"
sink:
  {sink}: {{table: silver.t, keys: [id], sequence_by: [at], apply_as_deletes: "op = 'D'", except_column_list: [op, at]{more}}}
"""


class Feed:
    """A job fed batch by batch with lines `id name city at [op]`; `-` is NULL."""

    def __init__(self, project: Project, sink: str, more: str = "") -> None:
        self.project, self.count = project, 0
        project.job("x", JOB.format(sink=sink, more=more))

    def write(self, *events: str) -> None:
        self.count += 1
        fields = [["" if field == "-" else field for field in event.split()] for event in events]
        lines = [",".join([*line, *[""] * (5 - len(line))]) for line in fields]
        self.project.write(f"data/{self.count:03}.csv", "\n".join(["id,name,city,at,op", *lines]) + "\n")

    def send(self, *events: str):
        self.write(*events)
        record = self.project.run("x", lake=str(self.project.lake))
        assert balanced(record)
        return record

    def rows(self, *columns: str) -> list[str]:
        """The table's rows as text, NULL as `-`."""
        shown = columns or ("id", "name", "city", "__START_AT", "__END_AT")
        found = [
            ["-" if row[name] is None else str(row[name]) for name in shown] for row in self.project.rows("silver.t")
        ]
        return sorted(" ".join(row) for row in found)


# Each trap has a key of its own: what comes in which batch, and what the table then holds of it.
TRAPS = {
    "a late event inside a series of no-op updates":
        (["Alice - 5"], ["Alice - 15"], ["Bob - 12"], ["Alice - 5 12", "Bob - 12 15", "Alice - 15 -"]),
    "a delete of an unknown key, then an older insert":
        (["- - 7 D"], ["Ann - 3"], [], ["Ann - 3 7"]),
    "a late update splits a closed row":
        (["Ann - 1", "Bea - 9"], [], ["Cid - 5"], ["Ann - 1 5", "Cid - 5 9", "Bea - 9 -"]),
    "a late delete splits a closed row":
        (["Ann - 1", "Ann - 6", "Bea - 9"], [], ["- - 4 D"], ["Ann - 1 4", "Ann - 6 9", "Bea - 9 -"]),
    "several changes of one key in a batch":
        (["Cid - 3", "Ann - 1", "Bea - 2"], [], [], ["Ann - 1 2", "Bea - 2 3", "Cid - 3 -"]),
    "a replay after a delete brings nothing back":
        (["Ann - 1"], ["- - 2 D"], ["Ann - 1", "- - 2 D"], ["Ann - 1 2"]),
    "a value that becomes NULL is a change":
        (["Ann Rome 1"], ["Ann - 2"], ["Ann Rome 3"], ["Ann Rome 1 2", "Ann - 2 3", "Ann Rome 3 -"]),
    "columns are compared one by one, not joined":
        (["ab c 1"], ["a bc 2"], [], ["ab c 1 2", "a bc 2 -"]),
    "the same value inserted again after a delete":
        (["Ann - 1"], ["- - 2 D"], ["Ann - 4"], ["Ann - 1 2", "Ann - 4 -"]),
    "A, B, A is three versions":
        (["Ann - 1", "Bea - 2", "Ann - 3"], [], [], ["Ann - 1 2", "Bea - 2 3", "Ann - 3 -"]),
    "an old event of a quiet key is not late for another's sake":
        ([], [], ["Ann - 1"], ["Ann - 1 -"]),
    "of two rows of one key and sequence the greater stays":
        (["Ann - 1", "Bea - 1"], ["Ann - 1"], [], ["Bea - 1 -"]),
    "a delete beats an upsert of the same sequence":
        (["Ann - 1"], ["- - 1 D"], [], []),
    "of two deletes one after the other both are remembered":
        (["- - 3 D", "- - 7 D"], ["Ann - 2"], ["Bea - 5"], ["Ann - 2 3", "Bea - 5 7"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def trapped(tmp_path_factory, spark) -> dict[str, list[str]]:
    project = Project(tmp_path_factory.mktemp("traps"))
    feed = Feed(project, "scd2")
    keys = {name: f"k{number}" for number, name in enumerate(TRAPS)}
    for batch in range(3):
        feed.send(*[f"{keys[name]} {event}" for name, trap in TRAPS.items() for event in trap[batch]])
    return {name: [row.partition(" ")[2] for row in feed.rows() if row.split()[0] == key] for name, key in keys.items()}


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_ends_in_the_right_versions(trapped, trap):
    assert sorted(trapped[trap]) == sorted(TRAPS[trap][3])


def test_a_late_untracked_value_does_not_overwrite_a_newer_one(project):
    feed = Feed(project, "scd2", ", track_history_column_list: [name]")
    feed.send("1 Ann Rome 1", "1 Ann Oslo 5", "1 Bea Oslo 9")
    feed.send("1 Ann Paris 3")
    assert feed.rows() == ["1 Ann Oslo 1 9", "1 Bea Oslo 9 -"]
    feed.send("1 Ann Lyon 7")
    assert feed.rows() == ["1 Ann Lyon 1 9", "1 Bea Oslo 9 -"]


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        ("string", ["10", "9", "Z", "é"]),
        ("date", ["0999-12-31", "1969-12-31", "2024-02-29", "2024-03-01"]),
        ("timestamp", ["1969-12-31T23:59:59.999999Z", *(f"2024-02-29T12:00:00.00000{n}Z" for n in (1, 2, 3))]),
        ("decimal(38,0)", ["-1", "9", "10", f"{10**30}"]),
        ("double", ["-1.5", "9", "10", "1e30"]),
    ],
)
def test_batches_in_order_and_late_ones_make_the_same_history_whatever_orders_them(project, kind, moments):
    feed = Feed(project, "scd2")
    project.job("x", JOB.format(sink="scd2", more="").replace("at int", f"at {kind}"))
    names = ["Ann", "Bea", "Cid", "Dan"]
    for place in (1, 2, 0, 3):
        feed.send(f"1 {names[place]} Rome {moments[place]}")
    rows = sorted(project.rows("silver.t"), key=lambda row: names.index(row["name"]))
    assert [row["name"] for row in rows] == names
    assert [row["__END_AT"] for row in rows] == [*(row["__START_AT"] for row in rows[1:]), None]


def test_inherited_values_ripple_after_a_late_event(project):
    feed = Feed(project, "scd2", ", ignore_null_updates: true")
    feed.send("1 Ann Rome 1", "1 - Oslo 5", "1 - - 9")
    assert feed.rows() == ["1 Ann Oslo 5 -", "1 Ann Rome 1 5"]
    feed.send("1 Bea - 3")
    assert feed.rows() == ["1 Ann Rome 1 3", "1 Bea Oslo 5 -", "1 Bea Rome 3 5"]
    feed.send("1 - - 4 D")
    assert feed.rows() == ["1 - Oslo 5 -", "1 Ann Rome 1 3", "1 Bea Rome 3 4"]


def test_scd1_keeps_the_newest_and_remembers_deletes_and_truncates(project):
    feed = Feed(project, "scd1", ", apply_as_truncates: \"op = 'T'\"")
    feed.send("1 Ann - 5", "2 Bea - 5", "3 Cid - 9")
    first = feed.send("1 - - 7 D", "2 Old - 4")
    assert (first.rows_deleted, first.rows_unchanged) == (1, 1)
    feed.send("1 Late - 6", "4 - - 3 D")
    assert feed.rows("id", "name") == ["2 Bea", "3 Cid"]
    feed.send("- - - 6 T")
    feed.send("4 Dan - 5", "5 Eve - 7")
    assert feed.rows("id", "name") == ["3 Cid", "5 Eve"]


def test_scd3_keeps_the_previous_value_and_when_it_changed(project):
    feed = Feed(project, "scd3", ", keep_previous: [city]")
    feed.send("1 Ann Rome 1", "2 Bea Oslo 1")
    feed.send("1 Ann Lyon 9")
    feed.send("1 Ann Bonn 5")
    shown = ("id", "name", "city", "previous_city", "city_changed_at")
    assert feed.rows(*shown) == ["1 Ann Lyon Bonn 9", "2 Bea Oslo - -"]


def test_a_history_is_read_as_of_its_own_time_whatever_its_bounds_are_called(project):
    feed = Feed(project, "scd2", ", start_column: since, end_column: until, current_flag: true")
    feed.send("1 Ann - 1", "1 Bea - 5", "2 Cid - 3", "2 - - 4 D")

    def names(as_of):
        found = read_table("silver.t", as_of=as_of, lake=str(project.lake))
        return sorted(row["name"] for row in found.collect())

    assert [names(time) for time in (0, 1, 3, 4, 5, "6")] == [[], ["Ann"], ["Ann", "Cid"], ["Ann"], ["Bea"], ["Bea"]]
    with pytest.raises(ConfigError, match=r"as_of: 'June' is no int, the type of since in silver\.t"):
        names("June")
    for value in (object(), [1], {"a": 1}, names):
        with pytest.raises(ConfigError, match=r"^as_of: .* is no int, the type of since"):
            names(value)
    project.job("y", JOB.format(sink="scd1", more="").replace("silver.t", "silver.u"))
    project.run("y")
    with pytest.raises(DataError, match=r"silver\.u has no as_of: it is no history: it has no column __START_AT"):
        read_table("silver.u", as_of=1, lake=str(project.lake))


def test_a_batch_that_changes_nothing_writes_no_version(project):
    feed = Feed(project, "scd2")
    feed.send("1 Ann - 5")
    again = feed.send("1 Ann - 5", "1 Ann - 5")
    assert (again.rows_unchanged, again.outputs[0].version) == (2, None)
    no_op = feed.send("1 Ann - 7")
    assert (no_op.rows_unchanged, project.version("silver.t")) == (1, 0)


def test_counts_say_what_each_event_caused_and_what_changed_in_the_table(project):
    feed = Feed(project, "scd2")
    feed.send("1 Ann - 1", "1 Ann - 9")
    late = feed.send("1 Bea - 5", "1 - - 12 D")
    assert (late.rows_inserted, late.rows_updated, late.rows_deleted, late.rows_unchanged) == (1, 0, 1, 0)
    output = late.outputs[0]
    assert (output.target_rows_inserted, output.target_rows_updated, output.target_rows_deleted) == (2, 1, 0)


def test_events_without_key_or_sequence_stop_the_batch_and_are_named(project):
    feed = Feed(project, "scd2")
    feed.send("1 Ann - 1")
    with pytest.raises(DataError, match=r"2 events have NULL in the key \(id\) or the sequence \(at\): .*003|2 events"):
        feed.send("- Bea - 2", "2 Cid - -", "3 Dan - 3")
    assert feed.rows("id") == ["1"]


def test_errors_show_no_value_of_a_personal_column(project):
    project.write(
        "conf/contracts/people.yml",
        """
name: people
fields:
  - {name: mail, type: string, pii: true}
  - {name: at, type: int}
""",
    )
    project.job(
        "x",
        """
layer: silver
source:
  rows: {schema: "mail string, at int", rows: [["ann@example.org", null], [null, 4]]}
contract: people
transforms:
  - rename: {columns: {mail: id}}
sink:
  scd2: {table: silver.t, keys: [id], sequence_by: [at]}
""",
    )
    with pytest.raises(DataError, match=r"id=\*\*\*, sequence=None.*id=None, sequence=4") as error:
        project.run("x")
    assert "ann@" not in str(error.value)


def test_invalid_events_can_be_quarantined(project):
    feed = Feed(project, "scd1", ", on_invalid: quarantine")
    record = feed.send("- Bea - 2", "2 Cid - -", "3 Dan - 3")
    assert (record.rows_valid, record.rows_quarantined, feed.rows("id")) == (1, 2, ["3"])
    reasons = {row["reasons"][0]["message"] for row in project.rows("silver.t__quarantine")}
    assert reasons == {"NULL in the key (id)", "NULL in the sequence (at)"}


def test_for_rows_that_delete_only_the_rules_on_keys_and_sequence_apply(project):
    feed = Feed(project, "scd1")
    rules = "rules:\n  - not_null: {column: name}\n  - length: {column: id, max: 2}\n"
    project.job("x", JOB.format(sink="scd1", more="") + rules)
    feed.send("1 Ann - 1", "2 - - 1")
    record = feed.send("1 - - 2 D", "long - - 2 D")
    assert (record.rows_valid, record.rows_quarantined, feed.rows("id")) == (1, 1, [])


@pytest.mark.parametrize("dies", ["before the target", "after the target"])
def test_a_crash_between_events_and_target_is_mended_by_the_next_run(project, monkeypatch, dies):
    feed = Feed(project, "scd2")
    feed.send("1 Ann - 1", "2 Bea - 1")
    commit = apply._commit

    def crash(*given):
        if dies == "after the target":
            commit(*given)
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(apply, "_commit", crash)
        with pytest.raises(Exception, match="power cut"):
            feed.send("1 Zoe - 5", "2 - - 3 D")
    record = project.run("x")
    assert feed.rows() == ["1 Ann - 1 5", "1 Zoe - 5 -", "2 Bea - 1 3"]
    assert record.rows_read in (0, 2)
    feed.send("1 Yan - 3", "2 Cid - 2")
    assert feed.rows() == ["1 Ann - 1 3", "1 Yan - 3 5", "1 Zoe - 5 -", "2 Bea - 1 2", "2 Cid - 2 3"]


def test_a_crash_between_a_table_made_and_its_first_rows_is_mended_by_the_next_run(project, monkeypatch):
    feed = Feed(project, "scd2", ", comment: made before its rows")
    with monkeypatch.context() as patch:
        patch.setattr(targets, "save", lambda *_, **__: 1 / 0)
        with pytest.raises(Exception, match="division by zero"):
            feed.send("1 Ann - 1")
    assert (project.rows("silver.t"), project.version("silver.t")) == ([], 0)
    feed.send("1 Bea - 2")
    assert feed.rows() == ["1 Ann - 1 2", "1 Bea - 2 -"]


KILLED = """
import os, signal
from lakehouse import run
from lakehouse.change_data import apply

commit = apply._commit

def kill(*given):
    {before}
    os.kill(os.getpid(), signal.SIGKILL)

apply._commit = kill
run({job!r})
"""


@pytest.mark.parametrize("before", ["pass", "commit(*given)"], ids=["before the target", "after the target"])
def test_a_stream_killed_between_state_and_target_is_mended_by_the_next_run(project, before):
    project.job("b", "layer: bronze\nsource:\n  files: {path: data, format: csv}\nsink:\n  append: {table: bronze.t}\n")
    feed = Feed(project, "scd2")
    stream = JOB.format(sink="scd2", more="").replace("files: {path: data, format: csv}", "delta: {table: bronze.t}")
    file = project.job("x", stream + "stream: {trigger: available_now}\n")
    feed.write("1 Ann - 1", "2 Bea - 1")
    project.run("b")
    project.run("x")
    feed.write("1 Zoe - 5", "2 - - 3 D")
    project.run("b")
    script = KILLED.format(before=before, job=str(file))
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == -signal.SIGKILL
    project.run("x")
    assert feed.rows() == ["1 Ann - 1 5", "1 Zoe - 5 -", "2 Bea - 1 3"]
    feed.write("1 Yan - 3")
    project.run("b")
    assert balanced(project.run("x"))
    assert feed.rows() == ["1 Ann - 1 3", "1 Yan - 3 5", "1 Zoe - 5 -", "2 Bea - 1 3"]


def test_a_lost_checkpoint_gives_the_same_table(project):
    feed = Feed(project, "scd2")
    feed.send("1 Ann - 1", "2 Bea - 1")
    feed.send("1 - - 3 D")
    before, version = feed.rows(), project.version("silver.t")
    shutil.rmtree(project.lake / "_checkpoints")
    assert project.run("x").rows_unchanged == 3
    assert (feed.rows(), project.version("silver.t")) == (before, version)
    project.run("x", full_refresh=True)
    assert feed.rows() == before


@pytest.mark.parametrize(
    ("sink", "more", "message"),
    [
        ("scd2", ", track_history_column_list: [nme]", "track_history_column_list.*nme.*Did you mean 'name'"),
        ("scd2", ", track_history_column_list: [op]", "names 'op', which is no column here"),
        ("scd2", ", column_list: [name]", "'column_list' and 'except_column_list' exclude each other"),
        ("scd2", ", start_column: name", "the source's column 'name' is named like one that the sink adds"),
        ("scd2", ", apply_as_truncates: \"op = 'T'\"", "has no option 'apply_as_truncates'"),
        ("scd1", ", track_history_column_list: [name]", "has no option 'track_history_column_list'"),
        ("scd1", ", ignore_null_updates_column_list: [at]", "names 'at', which is no column here"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(project, sink, more, message):
    feed = Feed(project, sink, more)
    with pytest.raises(ConfigError, match=message):
        feed.send("1 Ann - 1")
    assert not (project.lake / "silver").exists()


def test_a_dropped_key_is_refused(project):
    feed = Feed(project, "scd2")
    project.job("x", JOB.format(sink="scd2", more="").replace("[op, at]", "[id]"))
    with pytest.raises(ConfigError, match="'except_column_list' drops the key id"):
        feed.send("1 Ann - 1")


def test_other_options_for_a_table_with_a_history_are_refused(project):
    feed = Feed(project, "scd2")
    feed.send("1 Ann - 1")
    project.job("x", JOB.format(sink="scd2", more="").replace("keys: [id]", "keys: [id, name]"))
    with pytest.raises(SinkError, match=r"silver.t was made with keys: \['id'\].*--full-refresh"):
        feed.send("1 Ann - 2")


ROWS = """
layer: silver
source:
  rows: {{schema: "id int, amount {kind}, at int", rows: {rows}}}
sink:
  scd2: {{table: silver.w, keys: [id], sequence_by: [at], except_column_list: [at]{more}}}
"""


def test_a_changed_type_is_refused_unless_it_is_wider_and_allowed(project):
    project.job("w", ROWS.format(kind="int", rows="[[1, 5, 1]]", more=""))
    project.run("w")
    project.job("w", ROWS.format(kind="bigint", rows="[[1, 5, 1], [1, 5000000000, 2]]", more=""))
    with pytest.raises(
        SinkError,
        match=r"column 'amount' is int in silver\.w and now bigint; cast it, or set type_widening: true on the sink \(id=1; id=1\)",
    ):
        project.run("w")
    project.job("w", ROWS.format(kind="string", rows='[[1, "5", 1]]', more=", type_widening: true"))
    with pytest.raises(SinkError, match=r"column 'amount' is int in silver\.w and now string; cast it"):
        project.run("w")
    project.job("w", ROWS.format(kind="bigint", rows="[[1, 5, 1], [1, 5000000000, 2]]", more=", type_widening: true"))
    record = project.run("w")
    assert (record.rows_inserted, record.rows_unchanged, record.outputs[0].target_rows_updated) == (1, 1, 1)
    project.job("w", ROWS.format(kind="bigint", rows='[[1, 5, "3"]]', more="").replace("at int", "at string"))
    with pytest.raises(SinkError, match=r"column 'at' is int in silver\.w and now string; cast it \(id=1\)"):
        project.run("w")


SNAPSHOT = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id int, name string, v int"
rules:
  - in_range: {{column: id, max: 100}}
  - matches: {{column: name, pattern: '^[A-Z]'}}
sink:
  snapshot: {{table: silver.s, keys: [id], version_column: v, stored_as: 2{more}}}
"""


def snapshot(project, number, *rows, more=""):
    project.job("s", SNAPSHOT.format(more=more))
    project.write(f"data/{number}.csv", "id,name,v\n" + "".join(f"{row}\n" for row in rows))
    record = project.run("s")
    assert balanced(record)
    return record


def held(project):
    rows = project.rows("silver.s")
    return sorted(f"{row['id']} {row['name']} {row['__START_AT']} {row['__END_AT']}" for row in rows)


def test_snapshots_are_applied_in_their_order_and_an_older_one_is_skipped(project):
    both = snapshot(project, 1, "1,Ann,1", "2,Bea,1", "1,Ann,2", "1,Ann,2", "3,Cid,2")
    assert held(project) == ["1 Ann 1 None", "2 Bea 1 2", "3 Cid 2 None"]
    assert (both.rows_inserted, both.rows_unchanged, both.notes) == (3, 2, ())
    late = snapshot(project, 2, "9,Old,1")
    assert late.notes == ("silver.s: snapshot 1 skipped, it is not newer than the last accepted one",)
    assert (late.rows_unchanged, late.outputs[0].version) == (1, None)
    snapshot(project, 3, "1,Ann,3", "3,Dan,3")
    assert held(project) == ["1 Ann 1 None", "2 Bea 1 2", "3 Cid 2 3", "3 Dan 3 None"]


def test_snapshots_that_a_dead_run_got_in_are_counted_once(project, monkeypatch):
    commit = full_snapshots._commit

    def crash(changes, before, target):
        commit(changes, before, target)
        if target.write.commit.note["snapshot"] == "3":
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(full_snapshots, "_commit", crash)
        with pytest.raises(Exception, match="power cut"):
            snapshot(project, 1, "1,Ann,1", "2,Bea,1", "1,Ann,2", "2,Bea,2", "1,Ann,3", "1,Zoe,4")
    record = project.run("s")
    assert held(project) == ["1 Ann 1 4", "1 Zoe 4 None", "2 Bea 1 3"]
    assert (record.rows_to_sink, record.rows_inserted, record.rows_updated, record.rows_unchanged) == (6, 2, 1, 3)
    assert (balanced(record), record.notes) == (True, ())


def test_the_time_of_a_check_need_not_be_kept(project):
    project.job(
        "c",
        """
layer: gold
source:
  files: {path: c, format: csv}
schema: "id int, name string, seen string, at date"
sink:
  snapshot: {table: gold.c, keys: [id], strategy: check, check_columns: [name], updated_at: at, stored_as: 2, except_column_list: [at]}
""",
    )
    for day, names in ((1, ["Ann"]), (2, ["Ann"]), (3, ["Bea"])):
        project.write(
            f"c/{day}.csv", "id,name,seen,at\n" + "".join(f"1,{name},{day},2026-01-0{day}\n" for name in names)
        )
        project.run("c")
    rows = [
        (row["name"], row["seen"], str(row["__START_AT"]), str(row["__END_AT"]))
        for row in project.rows("gold.c", "name")
    ]
    assert rows == [("Ann", "1", "2026-01-01", "2026-01-03"), ("Bea", "3", "2026-01-03", "None")]


def test_a_key_whose_row_is_broken_is_not_missing(project):
    snapshot(project, 1, "1,Ann,1", "2,Bea,1")
    record = snapshot(project, 2, "1,Ann,2", "2,bad,2")
    assert (record.rows_quarantined, held(project)) == (1, ["1 Ann 1 None", "2 Bea 1 None"])


def test_a_snapshot_that_cannot_be_accepted_names_the_keys_and_changes_nothing(project):
    snapshot(project, 1, "1,Ann,1")
    with pytest.raises(
        DataError, match=r"silver.s: 1 key has different rows in snapshot 2 \(id=2, rows=2, file=\S*/data/2.csv\)"
    ):
        snapshot(project, 2, "2,Ann,2", "2,Bea,2")
    (project.root / "data/2.csv").unlink()
    with pytest.raises(DataError, match="snapshot 3 has 1 row, min_rows asks for 2"):
        snapshot(project, 3, "2,Ann,3", more=", min_rows: 2")
    assert held(project) == ["1 Ann 1 None"]


SINKS_THAT_ADD = [
    "scd2: {keep_previous: [name], current_flag: true, sequence_by: [at]",
    "scd3: {keep_previous: [name], sequence_by: [at]",
    "snapshot: {stored_as: 2, version_column: at",
]


@pytest.mark.parametrize("sink", SINKS_THAT_ADD)
def test_json_without_a_schema_takes_no_column_of_the_sink_for_its_own(project, sink):
    source = "layer: silver\nsource:\n  files: {path: data, format: json}\n"
    project.job("x", f"{source}sink:\n  {sink}, table: silver.t, keys: [id]}}\n")
    for at in (1, 2):
        project.write(f"data/{at}.json", f'{{"id": 1, "name": "n{at}", "at": {at}}}\n')
        assert balanced(project.run("x"))
    assert "n2" in [row["name"] for row in project.rows("silver.t")]


GROWING = [
    "scd1: {table: silver.g, keys: [id], sequence_by: [at]}",
    "scd2: {table: silver.g, keys: [id], sequence_by: [at], except_column_list: [at]}",
    "scd3: {table: silver.g, keys: [id], sequence_by: [at], keep_previous: [a]}",
    "snapshot: {table: silver.g, keys: [id], version_column: at}",
]


@pytest.mark.parametrize("sink", GROWING, ids=[sink.partition(":")[0] for sink in GROWING])
def test_a_struct_that_gains_and_lacks_fields_stays_comparable(project, sink):
    project.job("g", f"layer: silver\nsource:\n  files: {{path: data, format: json}}\nsink:\n  {sink}\n")
    rows = [
        '{"id": 1, "at": 1, "a": {"x": 1}, "l": [{"p": 1}]}',
        '{"id": 1, "at": 2, "a": {"x": 1, "y": 2}, "l": [{"p": 1, "q": 5}]}',
        '{"id": 1, "at": 3, "a": {"y": 2}, "l": [{"q": 5}]}',
    ]
    for number, row in enumerate(rows):
        project.write(f"data/{number}.json", row + "\n")
        assert balanced(project.run("g"))
    newest = max(project.rows("silver.g"), key=lambda row: row.get("__START_AT") or 0)
    assert str((newest["a"], newest["l"])).replace("'", "") == "({x: None, y: 2}, [{p: None, q: 5}])"
    assert len(project.rows("silver.g")) == (3 if sink.startswith("scd2") else 1)


def test_refused_options_are_named(project):
    feed = Feed(project, "scd2")
    feed.send("1 Ann - 1")
    project.job("x", JOB.format(sink="scd2", more=", track_history_column_list: [name]"))
    with pytest.raises(
        SinkError, match=r"silver\.t was made with no track_history_column_list; run with --full-refresh"
    ):
        feed.send("1 Ann - 2")
    project.job(
        "x", JOB.format(sink="scd2", more=", start_column: since, end_column: SINCE").replace("silver.t", "silver.n")
    )
    with pytest.raises(ConfigError, match="the sink's own columns need different names; they are since, SINCE"):
        project.run("x")


FROM_JSON = "layer: silver\nsource:\n  files: {path: data, format: json}\nsink:\n  "


@pytest.mark.parametrize("sink", ["scd1", "snapshot"])
def test_a_json_batch_may_lack_what_the_options_name_once_a_batch_had_it(project, sink):
    more = ", apply_as_deletes: \"op = 'D'\", apply_as_truncates: \"wipes = 'true'\", on_invalid: quarantine, sequence_by: [at]"
    options = f"keys: [id], except_column_list: [op, wipes]{more if sink == 'scd1' else ', version_column: at'}"
    project.job("j", f"{FROM_JSON}{sink}: {{table: silver.j, {options}}}\n")
    project.write("data/0.json", '{"id": 1, "name": "a", "at": 1}\n')
    with pytest.raises(ConfigError, match="names 'op', which is no column here, nor was one before; one that a first"):
        project.run("j")
    project.write("data/0.json", '{"id": 1, "name": "a", "at": 1, "op": "U", "wipes": false}\n{"id": 2, "at": 1}\n')
    assert balanced(project.run("j"))
    project.write("data/1.json", '{"id": 1, "at": 2}\n')
    assert balanced(project.run("j"))
    assert [(row["id"], row["name"]) for row in project.rows("silver.j")][:1] == [("1", None)]
    project.job("j", f"{FROM_JSON}{sink}: {{table: silver.j, {options.replace('[op, wipes]', '[op, wipse]')}}}\n")
    project.write("data/2.json", '{"id": 1, "name": "c", "at": 3}\n')
    with pytest.raises(ConfigError, match=r"names 'wipse'.*Did you mean 'wipes'\?|names 'wipse', which is no column"):
        project.run("j")


def test_a_changed_condition_for_deletes_is_on_record(project):
    feed = Feed(project, "scd1")
    assert feed.send("1 Ann - 1", "2 Bob - 1 X").notes == ()
    project.job("x", JOB.format(sink="scd1", more="").replace("\"op = 'D'\"", "\"op IN ('D', 'X')\""))
    (note,) = feed.send("1 Ann - 2 X").notes
    assert note.startswith(
        "apply_as_deletes was \"op = 'D'\" and is now \"op IN ('D', 'X')\": events that were taken before"
    )
    assert feed.rows("id") == ["2"]
    assert feed.send("3 Cid - 2").notes == ()


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        ("keys: [tags], sequence_by: [at]", r"the key 'tags' is array<map<string,string>>, which Spark cannot compare"),
        ("keys: [id], sequence_by: [at], apply_as_deletes: op", "'apply_as_deletes: op' is string, not true or false"),
        (
            "keys: [id], sequence_by: [at], apply_as_truncates: at + 1",
            r"'apply_as_truncates: at \+ 1' is int, not true",
        ),
    ],
)
def test_what_the_columns_types_do_not_allow_is_named_with_its_line(project, sink, message):
    schema = "id string, at int, op string, tags array<map<string,string>>"
    project.job(
        "x",
        f"layer: silver\nsource:\n  rows: {{schema: '{schema}', rows: []}}\nsink:\n  scd1: {{table: silver.x, {sink}}}\n",
    )
    with pytest.raises(ConfigError, match=rf"conf/x\.yml:5: sink 'scd1': {message}"):
        project.run("x")


def test_a_history_can_be_partitioned_by_a_column_that_its_sink_adds(project):
    feed = Feed(project, "scd2", ", current_flag: true, partition_by: [is_current]")
    feed.send("1 Ann - 1")
    feed.send("1 Bea - 2")
    assert feed.rows("name", "is_current") == ["Ann False", "Bea True"]
    project.job("x", JOB.format(sink="scd2", more=", partition_by: [is_current]"))
    with pytest.raises(ConfigError, match=r"conf/x\.yml:7: sink 'scd2': no column 'is_current'"):
        feed.send("1 Cid - 3")


def test_what_is_made_of_a_personal_column_is_personal(project):
    fields = "".join(f"  - {{name: {name}, type: {kind}}}\n" for name, kind in (("id", "int"), ("at", "int")))
    project.write("conf/contracts/c.yml", f"name: c\nfields:\n{fields}  - {{name: mail, type: string, pii: true}}\n")
    project.write("data/1.csv", "id,at,mail\n1,,canary\n")
    steps = "[{derive: {columns: {low: lower(MAIL), short: 'left(low, 6)'}}}, {rename: {columns: {short: key}}}]"
    head = f"layer: silver\nsource:\n  files: {{path: data, format: csv}}\ncontract: c\ntransforms: {steps}\n"
    project.job("x", head + "sink:\n  scd1: {table: silver.x, keys: [key], sequence_by: [at]}\n")
    with pytest.raises(DataError, match=r"key=\*\*\*, sequence=None"):
        project.run("x")
    query = "[{sql: {query: 'SELECT at, upper(mail) AS key FROM {input}'}}]"
    project.job(
        "x", head.replace(steps, query) + "sink:\n  snapshot: {table: silver.x, keys: [key], version_column: at}\n"
    )
    with pytest.raises(DataError, match=r"key=\*\*\*, version=None"):
        project.run("x")


BY_TRANSFORMS = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id string, name string, at int, op string"
rules:
  - not_null: {{column: name}}
transforms:
  {steps}
sink:
  scd2: {{table: silver.t, keys: [id], sequence_by: [at], apply_as_deletes: "{condition}", column_list: [name]}}
"""


@pytest.mark.parametrize(
    ("condition", "steps"),
    [
        ("op = 'D'", ["trim: {columns: [op]}"]),
        ("what = 'D'", ["trim: {}", "rename: {columns: {op: what}}"]),
        ("gone", ["derive: {columns: {gone: trim(op) = 'D', name: upper(name)}}", "filter: {where: at > 0}"]),
        ("op = 'D'", ["standardise: {column: op, mapping: {d: D}}", "select: {columns: [id, name, at, op]}"]),
    ],
)
def test_rules_let_a_delete_pass_that_only_the_transforms_show(project, condition, steps):
    project.job("x", BY_TRANSFORMS.format(condition=condition, steps="\n  ".join(f"- {step}" for step in steps)))
    project.write("data/1.csv", "id,name,at,op\n1,Ann,1,I\n2,Bea,1,I\n1,,2, D \n2,,2,I\n")
    record = project.run("x")
    assert balanced(record)
    assert (record.rows_quarantined, record.rows_deleted) == (1, 1)
    assert {row["id"]: row["__END_AT"] for row in project.rows("silver.t")} == {"1": 2, "2": None}


def test_a_silver_job_orders_and_keeps_what_its_sink_names_of_bronzes_own_columns(project):
    project.job("b", "layer: bronze\nsource:\n  files: {path: data, format: csv}\nsink:\n  append: {table: bronze.t}\n")
    options = "table: silver.t, keys: [id], sequence_by: [_ingested_at], column_list: [name, _source_file]"
    project.job("s", f"layer: silver\nsource:\n  delta: {{table: bronze.t}}\nsink:\n  scd1: {{{options}}}\n")
    for number, name in enumerate(("Ann", "Bea"), 1):
        project.write(f"data/{number}.csv", f"id,name\n1,{name}\n")
        project.run("b")
        project.run("s")
    (row,) = project.rows("silver.t")
    assert (list(row), row["name"]) == (["id", "name", "_source_file"], "Bea")
    assert row["_source_file"].endswith("2.csv")
