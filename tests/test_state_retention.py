"""`state_retention`: what comes too late is quarantined, what is forgotten changes no table, the log stays bounded."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from conftest import Project, balanced
from lakehouse import ConfigError, LakehouseError, SinkError
from lakehouse.change_data import event_log

JOB = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id string, name string, city string, at {kind}, op string"
sink:
  {sink}: {{table: silver.{table}, keys: [id], sequence_by: [at], apply_as_deletes: "op = 'D'", except_column_list: [op, at]{more}}}
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


def job(project: Project, table: str, more: str, sink: str = "scd2", kind: str = "timestamp") -> None:
    project.job(table, JOB.format(table=table, more=more, sink=sink, kind=kind))


def land(project: Project, number: int, *lines: str) -> None:
    project.write(f"data/{number:03}.csv", "id,name,city,at,op\n" + "".join(f"{line}\n" for line in lines))


def send(project: Project, number: int, *lines: str):
    land(project, number, *lines)
    record = project.run("t")
    assert balanced(record)
    return record


def day(number: float) -> str:
    return (START + timedelta(days=number)).strftime("%Y-%m-%d %H:%M:%S")


def test_an_event_older_than_its_keys_newest_allows_goes_to_the_quarantine(project):
    job(project, "t", ', state_retention: "30 days"')
    first = send(project, 1, f"1,Old,,{day(-100)},", f"1,Ann,,{day(60)},", f"2,Bob,,{day(0)},")
    assert (first.rows_quarantined, len(project.rows("silver.t"))) == (0, 3)
    late = send(project, 2, f"1,Zoe,,{day(29)},", f"1,Yan,,{day(30)},", f"2,Ben,,{day(-29)},", f"3,New,,{day(-900)},")
    assert (late.rows_valid, late.rows_quarantined, late.rows_inserted) == (3, 1, 3)
    [row] = project.rows("silver.t__quarantine")
    assert [reason["rule"] for reason in row["reasons"]] == ["too_late"]
    assert row["reasons"][0]["message"] == "more than 30 days older than its key's newest event, 2026-03-02 00:00:00"
    assert "Zoe" in row["row"] and row["source"].endswith("002.csv")
    names = sorted(row["name"] for row in project.rows("silver.t"))
    assert names == ["Ann", "Ben", "Bob", "New", "Old", "Yan"]


def test_a_dead_run_that_is_finished_finds_the_same_events_late(project, monkeypatch):
    job(project, "t", ', state_retention: "30 days"')
    send(project, 1, f"1,Ann,,{day(0)},")
    with monkeypatch.context() as patch:
        patch.setattr("lakehouse.batches.batch.save_evidence", lambda *_: 1 / 0)
        with pytest.raises(LakehouseError, match="ZeroDivisionError"):
            send(project, 2, f"1,Bea,,{day(90)},", f"1,Cid,,{day(50)},", f"1,Dan,,{day(-40)},")
    record = project.run("t")
    assert (record.rows_read, record.rows_valid, record.rows_quarantined) == (3, 2, 1)
    assert [row["name"] for row in project.rows("silver.t", "__START_AT")] == ["Ann", "Cid", "Bea"]
    assert len(project.rows("silver.t__quarantine")) == 1


def stream(seed: int) -> list[list[str]]:
    """Batches of events of forty keys over a year, none more than 25 days late."""
    draw = random.Random(seed)
    events = []
    for _ in range(700):
        at = draw.randrange(0, 360 * 24) / 24
        name, city = draw.choice(["", "Ann", "Ann", "Bea"]), draw.choice(["", "Rome", "Oslo"])
        operation = "D" if draw.random() < 0.15 else ""
        events.append((at + draw.randrange(0, 25), f"{draw.randrange(40)},{name},{city},{day(at)},{operation}"))
    events.sort()
    lines = [line for _, line in events]
    return [lines[cut : cut + 140] for cut in range(0, 700, 140)]


@pytest.mark.parametrize(
    ("sink", "more"),
    [
        ("scd2", ""),
        ("scd2", ", ignore_null_updates: true, track_history_column_list: [name], keep_previous: [city]"),
        ("scd3", ", ignore_null_updates_column_list: [name], keep_previous: [city, name]"),
        ("scd1", ""),
        ("scd1", ", ignore_null_updates: true, apply_as_truncates: \"name = 'Bea' AND city = 'Oslo' AND id < '5'\""),
    ],
)
def test_what_is_forgotten_changes_no_table(project, monkeypatch, sink, more):
    monkeypatch.setattr(event_log, "_MANY", 0)
    job(project, "t", more + ', state_retention: "30 days"', sink)
    job(project, "u", more, sink)
    sizes = []
    for number, lines in enumerate(stream(seed=len(sink + more))):
        record = send(project, number, *lines)
        assert record.rows_quarantined == 0
        sizes.append(event_count(project, "t"))
    monkeypatch.setattr(event_log, "_MANY", 10**9)
    project.run("u")
    assert project.rows("silver.t") == project.rows("silver.u")
    if (sink, more) != ("scd1", ""):  # which holds one event a key without it
        assert sizes[-1] < 0.7 * event_count(project, "u")


def event_count(project: Project, table: str) -> int:
    return len(project.rows(f"_state.silver.{table}"))


def test_without_retention_the_log_of_scd1_holds_one_event_a_key(project, monkeypatch):
    monkeypatch.setattr(event_log, "_MANY", 3)
    job(project, "t", "", "scd1", kind="int")
    for number in range(4):
        send(project, number, f"1,Ann{number},,{number},", f"2,Bea,,{number},D")
    assert event_count(project, "t") <= 6
    send(project, 9, "2,Old,,1,", "1,Old,,1,")
    assert [row["name"] for row in project.rows("silver.t")] == ["Ann3"]


def test_retention_needs_a_time_and_cannot_be_taken_away_from_what_was_forgotten(project, monkeypatch):
    job(project, "t", ', state_retention: "30 days"', kind="int")
    land(project, 1, "1,Ann,,1,")
    message = "'state_retention' needs a date or a timestamp in 'sequence_by'; 'at' is int"
    with pytest.raises(ConfigError, match=message):
        project.run("t")
    monkeypatch.setattr(event_log, "_MANY", 0)
    job(project, "t", ', state_retention: "30 days"', kind="date")
    land(project, 1, *[f"1,Ann{month},,{date(2026, month, 1)}," for month in range(1, 7)])
    project.run("t")
    send(project, 2, "1,Zoe,,2026-08-01,")
    job(project, "t", "", kind="date")
    land(project, 3, "1,Late,,2026-01-15,")
    with pytest.raises(SinkError, match=r"silver\.t has forgotten events under state_retention; keep it, or run with"):
        project.run("t")
