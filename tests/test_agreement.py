"""A change-data target and its events: one put back, or changed by others, is never gone on from in silence."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

from lakehouse import SinkError
from lakehouse.cli import command

JOB = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id string, name string, at int"
sink:
  {sink}
"""
SCD2 = "scd2: {table: silver.t, keys: [id], sequence_by: [at], except_column_list: [at]}"
SNAPSHOT = "snapshot: {table: silver.t, keys: [id], version_column: at, stored_as: 2}"


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    return project


def send(project, number, *lines, sink=SCD2):
    project.job("t", JOB.format(sink=sink))
    project.write(f"data/{number}.csv", "id,name,at\n" + "".join(f"{line}\n" for line in lines))
    return project.run("t")


def names(project):
    return sorted(
        f"{row['id']} {row['name']} {row['__START_AT']} {row['__END_AT']}" for row in project.rows("silver.t")
    )


@contextmanager
def put_back(project, part):
    """What a part of the lake holds before the block is what it holds after it."""
    shutil.copytree(project.lake / part, project.root / "copy")
    yield
    shutil.rmtree(project.lake / part)
    shutil.move(project.root / "copy", project.lake / part)


@pytest.mark.parametrize("sink", [SCD2, SNAPSHOT], ids=["scd2", "snapshot"])
@pytest.mark.parametrize("part", ["_state/silver/t", "silver/t"])
def test_an_older_copy_of_the_events_or_of_the_table_is_refused_until_both_are_anew(here, part, sink):
    send(here, 1, "a,Ann,1", sink=sink)
    with put_back(here, part):
        send(here, 2, "a,Bea,3", sink=sink)
    before = names(here)
    with pytest.raises(
        SinkError, match=r"older than .*; was a copy put back\?; `lakehouse rebuild silver.t --replace`"
    ):
        send(here, 3, "a,Cid,5", sink=sink)
    assert names(here) == before
    assert command(["rebuild", "silver.t", "--replace"]) == 0
    here.run("t")
    assert names(here) == ["a Ann 1 3", "a Bea 3 5", "a Cid 5 None"]


def test_rows_that_others_changed_or_restored_are_refused(here, spark):
    send(here, 1, "a,Ann,1")
    send(here, 2, "a,Bea,3")
    table, events = (f"delta.`{here.lake}/{part}/silver/t`" for part in (".", "_state"))
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.logRetentionDuration' = '90 days')")
    spark.sql(f"OPTIMIZE {table}")  # lays the same rows out anew
    send(here, 3, "a,Cid,5")
    for number, (change, said) in enumerate((
        (f"RESTORE TABLE {table} TO VERSION AS OF 0", "silver.t was changed by a RESTORE that left no events"),
        (f"RESTORE TABLE {events} TO VERSION AS OF 0", "the events of silver.t were changed by a RESTORE that no run"),
        (f"DELETE FROM {table} WHERE id = 'a'", "silver.t was changed by a DELETE that left no events"),
    ), 4):  # fmt: skip
        spark.sql(change)
        with pytest.raises(SinkError, match=said):
            send(here, number, "b,Bob,2")
        assert command(["rebuild", "silver.t", "--replace"]) == 0
        here.run("t")
        assert names(here) == ["a Ann 1 3", "a Bea 3 5", "a Cid 5 None", "b Bob 2 None"]


BY_FILE = r"snapshot: {table: silver.t, keys: [id], version_pattern: '(\d+)\.csv', stored_as: 2}"


@pytest.mark.parametrize(("sink", "changed"), [(SNAPSHOT, "current_flag: true"), (BY_FILE, "version_type: int")])
def test_a_snapshots_option_that_gives_its_rows_another_meaning_is_refused(here, sink, changed):
    send(here, 1, "a,Ann,1", sink=sink)
    said = f"silver.t was made with no {changed.partition(':')[0]}; run with --full-refresh"
    with pytest.raises(SinkError, match=said):
        send(here, 2, "a,Bea,2", sink=sink.replace("stored_as", f"{changed}, stored_as"))
