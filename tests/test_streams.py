"""Jobs that go on: how they take what is new, how they are ended, and what is kept of each micro-batch."""

from __future__ import annotations

import json
import os
import signal
import textwrap
import threading
import time

import pytest

from conftest import balanced
from lakehouse import ending, interrupts, runs
from lakehouse.cli import command
from lakehouse.errors import ConfigError, SinkError
from programs import program, until
from shop import ROOT

BRONZE = """
    layer: bronze
    source:
      files: {path: landing, format: json, max_files_per_trigger: 1}
    schema: id bigint
    sink:
      append: {table: bronze.events}
    stream: {trigger: 1 second}
"""
SILVER = """
    layer: silver
    source:
      delta: {table: bronze.events}
    rules:
      - not_null: {column: id}
    sink:
      merge: {table: silver.events, keys: [id]}
    stream: {trigger: 0.2 seconds}
"""


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    project.job("bronze_events", BRONZE)
    project.job("silver_events", SILVER)
    return project


def land(here, *numbers: int | None, folder: str = "landing") -> None:
    """One file a number, put into place whole."""
    for number in numbers:
        part = here.write(f"{folder}/.{number}.part", json.dumps({"id": number}) + "\n")
        part.rename(here.root / f"{folder}/{number}.json")


def ids(here, table: str) -> list[int]:
    made = (here.lake / table.replace(".", "/") / "_delta_log/00000000000000000000.json").exists()
    return sorted(row["id"] for row in here.rows(table)) if made else []


def records(here, job: str) -> list[runs.RunRecord]:
    return runs.read(runs.Layout(str(here.lake)), job)


def test_streams_in_one_application_go_on_until_a_signal_and_end_with_zero(here):
    land(here, 1)
    with program(here.root, "run", "--all") as process:
        until(lambda: ids(here, "silver.events") == [1], process)
        land(here, 2, 3, None)
        quarantined = here.lake / "silver/events__quarantine/_delta_log/00000000000000000000.json"
        until(lambda: quarantined.exists() and ids(here, "silver.events") == [1, 2, 3], process)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal: the JVM gets it too
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.count("ending after the micro-batch in hand") == 1
    assert "Traceback" not in said
    (bronze,), (silver,) = records(here, "bronze_events"), records(here, "silver_events")
    assert (bronze.state, bronze.rows_read, bronze.batches) == ("succeeded", 4, 4)
    assert (silver.state, silver.rows_read, silver.rows_quarantined) == ("succeeded", 4, 1)
    assert balanced(bronze)
    assert balanced(silver)
    assert "stopped by a signal" in silver.notes
    rows = here.rows("_batches")
    assert sum(row["rows_read"] for row in rows if row["job"] == "silver_events") == 4
    assert {(row["batch"], row["taken"][:12]) for row in rows if row["job"] == "bronze_events"} == {
        (number, '{"files": 1,') for number in range(4)
    }
    assert all(row["write_ms"] <= row["total_ms"] for row in rows if row["job"] == "silver_events")


@pytest.mark.parametrize("to_all", [False, True])
def test_a_stream_under_spark_submit_ends_with_zero_too(here, to_all):
    land(here, 1)
    script = here.write("jobs/bronze_events.py", "import lakehouse\n\nraise SystemExit(lakehouse.main(__file__))\n")
    with program(here.root, str(script), starter=(str(ROOT / "spark-submit.sh"),)) as process:
        until(lambda: ids(here, "bronze.events") == [1], process)
        if to_all:
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert records(here, "bronze_events")[0].state == "succeeded"


def test_what_python_and_the_jvm_both_hear_is_one_signal_however_late(monkeypatch):
    """A terminal sends Ctrl-C to both; where the machine is busy seconds lie between."""
    now, ended, told = [10.0], [], threading.Event()
    monkeypatch.setattr(interrupts, "_end", lambda *_: ended.append(now[0]))
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    handler = interrupts.Handler(told)
    handler(signal.SIGINT, None)
    now[0] += 30
    handler.handle(None)
    assert told.is_set()
    assert not ended
    now[0] += 2
    handler(signal.SIGINT, None)
    assert ended == [42.0]


@pytest.mark.soak
def test_streams_side_by_side_killed_amid_fifty_micro_batches_take_each_file_once(here):
    here.job("bronze_others", BRONZE.replace("landing", "others").replace("bronze.events", "bronze.others"))
    land(here, *range(50))
    land(here, *range(50), folder="others")
    with program(here.root, "run", "--all") as process:
        until(lambda: min(len(ids(here, table)) for table in ("bronze.events", "bronze.others")) >= 5, process, 300)
        os.killpg(process.pid, signal.SIGKILL)
    assert len(ids(here, "bronze.events")) < 50
    assert command(["run", "--all", "--once"]) == 0
    for table in ("bronze.events", "bronze.others", "silver.events"):
        assert ids(here, table) == list(range(50)), table
    rows = here.rows("_batches")
    for job in ("bronze_events", "bronze_others"):
        assert sorted(row["batch"] for row in rows if row["job"] == job) == list(range(50))


def test_a_stream_is_ended_from_another_shell(here, capsys):
    land(here, 1)
    ended = []

    def stop() -> None:
        until(lambda: ids(here, "bronze.events") == [1])
        ended.append(command(["stop", "bronze_events", "silver_events"]))

    other = threading.Thread(target=stop)
    other.start()
    done = here.run("bronze_events", timeout=100)
    other.join(60)
    assert ended == [0]
    assert capsys.readouterr().out.splitlines() == ["silver_events is not running", "bronze_events has ended"]
    assert done.notes == ("stopped by `lakehouse stop`",)
    land(here, 2)
    assert here.run("bronze_events", once=True).rows_read == 1  # the wish to end was for the run before


def test_limits_of_batches_and_time_end_a_run(here, monkeypatch, capsys):
    land(here, 1, 2, 3)
    here.job("bronze_events", BRONZE.replace("1 second}", "available_now, max_batches: 2}"))
    first = here.run("bronze_events")
    assert (first.rows_read, first.batches, first.notes) == (2, 2, ("stopped by max_batches",))
    assert here.run("bronze_events").rows_read == 1
    here.job("silver_events", SILVER.replace("table: bronze.events}", "table: bronze.events, max_files_per_trigger: 1}")
             .replace("0.2 seconds}", "available_now, max_batches: 2}"))  # fmt: skip
    assert [here.run("silver_events").rows_read for _ in range(3)] == [2, 1, 0]
    monkeypatch.setattr("lakehouse.pipeline.batch_records.KEPT", 1)
    land(here, 4, 5)
    here.run("bronze_events")
    assert sorted(row["batch"] for row in here.rows("_batches") if row["job"] == "bronze_events") == [0, 1, 2, 3, 4]
    capsys.readouterr()
    assert command(["batches", "bronze_events", "--limit", "2"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["4", "3"]
    here.job("silver_events", SILVER)
    begun = time.monotonic()
    assert here.run("silver_events", timeout=3).notes == ("stopped by its --timeout",)
    assert 3 <= time.monotonic() - begun < 30
    here.run("silver_events", once=True)
    assert ids(here, "silver.events") == [1, 2, 3, 4, 5]


AWAY = """
from pathlib import Path
from lakehouse import transform
from lakehouse.errors import Unreachable

@transform
def away_for(df, *, times: int, seen: str):
    tried = Path(seen)
    tried.touch()
    with tried.open("a") as file:
        file.write("x")
    if len(tried.read_text()) <= times:
        raise Unreachable("the store does not answer")
    return df
"""


def test_a_failure_that_passes_is_tried_again_and_one_that_stays_ends_the_stream(here, monkeypatch):
    land(here, 1)
    here.write("jobs/bronze_events.py", AWAY)
    job = textwrap.dedent(BRONZE.replace("1 second}", "available_now, max_failures: 2}"))
    away = "transforms:\n  - away_for: {{times: {}, seen: {}}}\n"
    here.job("bronze_events", job + away.format(2, here.root / "a"))
    monkeypatch.setattr("lakehouse.pipeline.retrying._LONGEST", 0.1)
    assert here.run("bronze_events").rows_read == 1
    assert [record.state for record in records(here, "bronze_events")] == ["succeeded", "failed", "failed"]
    land(here, 2)
    here.job("bronze_events", job + away.format(9, here.root / "b"))
    with pytest.raises(
        SinkError, match=r"gave up after 3 failures in a row \(stream: max_failures\): .*does not answer"
    ):
        here.run("bronze_events")
    here.job("bronze_events", job + away.format(0, here.root / "c"))
    assert here.run("bronze_events").rows_read == 1
    assert ids(here, "bronze.events") == [1, 2]


def test_a_checkpoint_is_shown_moved_and_copied(here, capsys):
    def said(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert command(["checkpoint", *words]) == code
        return "".join(capsys.readouterr())

    assert "no checkpoints" in said("list")
    here.job("bronze_events", BRONZE.replace(", max_files_per_trigger: 1", "").replace("1 second}", "available_now}"))
    here.job("silver_events", SILVER.replace("0.2 seconds}", "available_now}"))
    for number in (1, 2):
        land(here, number)
        here.run("bronze_events")
        here.run("silver_events")
    listed = said("list").splitlines()[2:]
    assert [" ".join(line.split()) for line in listed] == ["bronze_events 2 2 files", "silver_events 2 up to version 2"]
    assert "targets    silver.events" in said("show", "silver_events")
    both = [json.loads(line) for line in said("list", "--json").splitlines()]
    assert [(held["job"], held["batches"], held["taken"], held["files"], held["to_finish"]) for held in both] == [
        ("bronze_events", 2, "2 files", 2, None), ("silver_events", 2, "up to version 2", 0, None),
    ]  # fmt: skip
    assert json.loads(said("show", "silver_events", "--json")) == both[1]

    assert "Do it with --yes" in said("reset", "silver_events", "--to", "version:1")
    assert here.run("silver_events").rows_read == 0
    said("reset", "silver_events", "--to", "version:1", "--yes")
    again = here.run("silver_events")
    assert (again.rows_read, again.rows_to_sink, ids(here, "silver.events")) == (1, 1, [1, 2])

    said("reset", "bronze_events", "--to", "2099-01-01", "--yes")
    assert here.run("bronze_events").rows_read == 0
    said("reset", "bronze_events", "--to", "2020-01-01", "--yes")
    assert here.run("bronze_events").rows_read == 2
    assert ids(here, "bronze.events") == [1, 1, 2, 2]  # what an append does, as it was told

    assert "takes version:N" in said("reset", "silver_events", "--to", "yesterday", code=2)
    assert "has not run there yet" in said("show", "nothing", code=3)
    assert "only one of them" in said("copy", "silver_events", "silver_clicks")
    (here.root / "conf/silver_events.yml").rename(here.root / "conf/silver_clicks.yml")
    land(here, 3)
    here.run("bronze_events")
    assert here.run("silver_clicks").rows_read == 3
    assert ids(here, "silver.events") == [1, 2, 3]
    assert "has a checkpoint of its own" in said("copy", "silver_events", "silver_clicks", code=2)


def test_a_wrong_trigger_and_a_stream_of_everything_are_refused(here):
    here.job("bronze_events", BRONZE.replace("1 second", "1 sec"))
    with pytest.raises(ConfigError, match=r"bronze_events.yml:8: .*trigger"):
        here.run("bronze_events")
    here.job(
        "silver_events",
        SILVER.replace("stream:", "read: full\nstream:").replace("    read: full\n", "    read: full\n    "),
    )
    with pytest.raises(ConfigError, match="goes on with what is new"):
        here.run("silver_events")


def test_waiting_ends_at_once_when_told(tmp_path):
    told = threading.Event()
    asked = ending.Ending(runs.Layout(str(tmp_path)), "job", told)
    assert not asked.wait(0.01)
    threading.Timer(0.1, told.set).start()
    begun = time.monotonic()
    assert asked.wait(60)
    assert time.monotonic() - begun < 5
