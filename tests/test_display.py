"""What notebooks show: escaped, masked where it is personal, the same as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from lakehouse import ConfigError, DataError, display
from lakehouse.change_data.key_history import Event, KeyHistory, Version
from lakehouse.display.commit_list import commit_list
from lakehouse.display.key_events import key_events
from lakehouse.display.rows import first_rows

CONTRACT = """
name: people
version: 1.0.0
owner: shop
fields: [{name: id, type: int}, {name: name, type: string, pii: true}, {name: note, type: string}]
"""
JOB = """
layer: silver
source:
  rows: {schema: "id int, name string, note string", rows: [[1, Alice, "<b>&"], [2, Bob, null]]}
contract: people
sink:
  overwrite: {table: silver.people}
"""


def test_a_table_shows_rows_types_and_no_personal_value(project, monkeypatch):
    monkeypatch.chdir(project.root)
    project.write("conf/contracts/people.yml", CONTRACT)
    project.job("people", JOB)
    project.run("people")
    shown = display.table("silver.people")
    assert "&lt;b&gt;&amp;" in shown.html
    assert "<b>&" not in shown.html
    assert "<small>int</small>" in shown.html
    assert str(shown).splitlines()[0] == "silver.people: 2 rows, 3 columns"
    assert "***" in shown.text
    assert not [text for text in (shown.html, shown.text) if "Alice" in text or "Bob" in text]
    assert "overwrite" not in display.history("silver.people").text
    assert re.search(r"^ +0  .*WRITE", display.history("silver.people").text, re.MULTILINE)
    with pytest.raises(DataError, match=r"there is no table silver.nobody"):
        display.history("silver.nobody")
    with pytest.raises(ConfigError, match=r"'people' is no table's name"):
        display.history("people")
    with pytest.raises(DataError, match=r"silver.people keeps no events"):
        display.history("silver.people", key=1)


def test_a_frame_shows_null_and_a_long_text_is_cut(spark):
    df = spark.createDataFrame([(None, "x" * 500)], "amount decimal(10,2), note string")
    shown = first_rows(df, "a frame", 5, ())
    assert "<td class='number'" not in shown.html
    assert "<th scope='row' class='number'>NULL</th>" in shown.html
    assert "(500 characters)" in shown.html


def version(start, end, name):
    return Version(start, end, {"name": name}, (Event(start, "upsert", {"name": name}, "r1", "s3a://b/1.csv"),))


def test_a_key_shows_its_versions_in_order_and_what_each_event_changed():
    found = KeyHistory("silver.people", {"id": "1"}, (version(5, 12, "Alice"), version(12, None, "Bob")),
                       (Event(3, "delete", {}, "r2", None),))  # fmt: skip
    shown = key_events(found)
    assert shown.text.splitlines() == [
        "silver.people, id=1: 2 versions, 3 events", "5 .. 12  name=Alice", "12 .. now  name=Bob",
    ]  # fmt: skip
    assert shown.html.count("<rect class='box'") == 2
    assert shown.html.count("<circle") == 3
    assert shown.html.index("delete") < shown.html.index("upsert"), "by their sequence"
    assert "1.csv" in shown.html
    assert "s3a://b" not in shown.html
    masked = key_events(found, {"NAME"})
    assert "Alice" not in masked.html + masked.text


def test_a_table_without_versions_shows_no_bars():
    found = KeyHistory(
        "silver.people",
        {"id": "1"},
        (Version(None, None, {"name": "Alice"}, ()),),
        (Event(3, "upsert", {}, "r1", None),),
    )
    assert "<svg" not in key_events(found).html
    assert "upsert" in key_events(found).html


def test_commits_of_others_show_no_run():
    at = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    own = {"version": 1, "timestamp": at, "operation": "MERGE", "userMetadata": '{"run_id": "r7"}',
           "operationMetrics": {"numTargetRowsInserted": "2", "numTargetRowsUpdated": "1000", "what": "text"}}  # fmt: skip
    others = {"version": 0, "timestamp": at, "operation": "WRITE", "userMetadata": "by hand"}
    lines = commit_list("silver.people", [own, others]).text.splitlines()
    assert lines[0] == "silver.people: 2 commits"
    assert lines[3].split() == ["1", "2026-01-01", "00:00:00", "MERGE", "r7", "2", "1,000", "0"]
    assert lines[4].split() == ["0", "2026-01-01", "00:00:00", "WRITE"]


def test_lineage_shows_all_or_what_one_table_has_to_do_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    for name, source in {"b": "bronze.a", "c": "silver.b", "d": "bronze.z"}.items():
        job = f"layer: silver\nsource:\n  delta: {{table: {source}}}\nsink:\n  append: {{table: silver.{name}}}\n"
        (tmp_path / "conf" / f"{name}.yml").write_text(job)
    everything, some = display.lineage(), display.lineage("silver.b")
    assert everything.text.splitlines() == [
        "bronze.a <- outside (no job)", "bronze.z <- outside (no job)", "silver.b <- bronze.a (b)",
        "silver.d <- bronze.z (d)", "silver.c <- silver.b (c)",
    ]  # fmt: skip
    assert [line.split()[0] for line in some.text.splitlines()] == ["bronze.a", "silver.b", "silver.c"]
    assert some.html.count("class='edge'") == 2
    assert some.html.count("asked'") == 1
    with pytest.raises(ConfigError, match=r"no job reads or writes silver.bb. Did you mean 'silver.b'"):
        display.lineage("silver.bb")
