"""The command line in one process: what it prints and how it ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from lakehouse import reports, runs
from lakehouse.cli import command
from lakehouse.diagnosis.programs import java_version
from lakehouse.planning import graph
from lakehouse.planning.planner import plan_job
from shop import LAKEHOUSE, ROOT

ROWS = (
    'layer: silver\nsource:\n  rows: {{schema: "id int", rows: [{rows}]}}\nsink:\n  append: {{table: silver.{name}}}\n'
)


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    project.job("first", ROWS.format(rows="[1]", name="first"))
    return project


def test_run_prints_one_line_and_ends_with_zero(here, capsys):
    assert command(["run", "first"]) == 0
    assert capsys.readouterr().out.startswith("succeeded  first: 1 rows in, 1 out")


def test_several_jobs_run_in_order_and_one_failure_skips_what_depends_on_it(here, capsys):
    here.job(
        "second",
        "layer: gold\ninputs: [silver.bad]\nsource:\n  sql: {query: SELECT * FROM silver.bad}\nsink:\n  overwrite: {table: gold.second}\n",
    )
    here.job(
        "bad", ROWS.format(rows="[-1]", name="bad") + "rules:\n  - in_range: {column: id, min: 0, on_fail: fail}\n"
    )
    assert command(["run", "--all"]) == 3
    said = capsys.readouterr()
    states = {line.split()[0]: line.split()[1] for line in said.out.splitlines()[2:]}
    assert states == {"bad": "failed", "first": "succeeded", "second": "skipped"}
    assert "1 of 1 rows fail the run: in_range(id): 1" in said.err
    recorded = {row["job"]: row["state"] for row in here.rows("_runs")}
    assert recorded == states


def test_runs_and_quarantine_are_shown_without_spark(here, capsys):
    here.job("rows", ROWS.format(rows="[1], [null]", name="rows") + "rules:\n  - not_null: {column: id}\n")
    command(["run", "rows"])
    capsys.readouterr()
    assert command(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows_quarantined"] == 1
    command(["runs"])
    assert " rows  succeeded " in capsys.readouterr().out
    command(["quarantine", "list", "silver.rows", "--json"])
    broken = json.loads(capsys.readouterr().out)
    command(["quarantine", "list"])
    assert broken["id"][:10] in capsys.readouterr().out
    command(["quarantine", "show", broken["id"][:6]])
    assert 'row         {"id":null}' in capsys.readouterr().out
    assert command(["quarantine", "show", "nothing"]) == 2
    assert command(["quarantine", "show"]) == 2


def test_an_empty_lake_says_so(here, capsys):
    command(["runs"])
    command(["quarantine", "list"])
    said = capsys.readouterr().out
    assert "no runs in" in said
    assert "no quarantine in" in said


def test_plan_shows_every_hop_and_writes_nothing(here, capsys):
    here.job(
        "rows",
        ROWS.format(rows="[1]", name="rows")
        + "rules:\n  - not_null: {column: id}\ntransforms:\n  - derive: {columns: {b: id + 1}}\n",
    )
    assert command(["plan", "rows"]) == 0
    said = capsys.readouterr().out
    for piece in (
        "read       rows",
        "rule       not_null(id): quarantine",
        "transform  derive",
        "write      append",
        "broken     silver.rows__quarantine",
    ):
        assert piece in said
    assert not (here.lake / "silver").exists()
    here.job("rows", ROWS.format(rows="[1]", name="rows") + "transforms:\n  - derive: {columns: {b: idd + 1}}\n")
    assert command(["plan", "rows"]) == 2
    assert "rows.yml:7: transform 'derive'" in capsys.readouterr().err


def test_plan_says_where_an_input_is_not_there_yet(here, capsys):
    here.job("rows", "layer: silver\nsource:\n  delta: {table: bronze.none}\nsink:\n  append: {table: silver.rows}\n")
    assert command(["plan", "rows"]) == 0
    assert "columns not checked" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["jobs", "sources", "rules", "transforms", "sinks"])
def test_list_names_everything(here, what, capsys):
    assert command(["list", what]) == 0
    expected = {"jobs": "first", "sources": "files", "rules": "not_null", "transforms": "keep_latest", "sinks": "merge"}
    assert expected[what] in capsys.readouterr().out


def test_schema_is_json(capsys):
    assert command(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"]


def test_doctor_finds_what_is_missing_and_names_the_remedy(here, capsys, monkeypatch):
    assert command(["doctor"]) == 0
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("LAKE", "/proc/nowhere")
    assert command(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "BAD  Java is missing" in said
    assert "apt-get install openjdk-17-jre-headless" in said
    assert "set LAKE to a folder" in said
    assert java_version("/nowhere") is None


def test_sample_data_is_written_where_it_is_asked_for(here, capsys):
    assert command(["sample-data", "--days", "1", "--scale", "0.02", "--to", str(here.root / "landing")]) == 0
    assert (here.root / "landing" / "orders").is_dir()


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["run", "frist"], 2, "no job 'frist'"),
    (["run"], 2, "name a job"),
    (["run", "--select", "tag:nothing"], 2, "fits no job"),
    (["run", "nothing.yml"], 2, "no such file"),
])  # fmt: skip
def test_a_wrong_name_is_one_line(here, arguments, code, said, capsys):
    assert command(arguments) == code
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_debug_shows_the_trace(here, capsys):
    here.job(
        "bad", ROWS.format(rows="[-1]", name="bad") + "rules:\n  - in_range: {column: id, min: 0, on_fail: fail}\n"
    )
    command(["run", "bad", "--debug"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_ends_with_130_and_the_next_run_works(here, sign, capsys):
    environment = {name: value for name, value in os.environ.items() if name != "PYSPARK_GATEWAY_PORT"}
    with subprocess.Popen(
        [*LAKEHOUSE, "run", "first"], env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        lease = here.lake / "_leases"
        while not lease.exists():  # the program has not come to its own code before
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(random.uniform(0, 5))
        assert process.poll() is None
        process.send_signal(sign)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the next run finishes what was begun" in said
    assert command(["run", "first"]) == 0


def test_selectors_take_neighbours_and_tags():
    plans = [plan_job(file, lake="/nowhere") for file in sorted((ROOT / "conf").glob("*.yml"))]
    names = lambda *selectors: {plan.name for plan in graph.selected(plans, selectors)}  # noqa: E731 (a short word for a long call)
    assert names("silver_orders") == {"silver_orders"}
    assert names("+silver_orders") == {"silver_orders", "bronze_orders"}
    assert {"gold_fct_orders", "gold_daily_revenue"} <= names("silver_orders+")
    assert names("tag:shop") == {plan.name for plan in plans}
    assert names("layer:silver") == {plan.name for plan in plans if plan.name.startswith("silver")}


def test_progress_off_a_terminal_is_a_line_a_job(capsys):
    now = runs.now()
    record = runs.RunRecord("r", "job", "f", now, now, "succeeded")
    with reports.Progress() as progress:
        progress.started("job")
        progress.update("job", "5 rows")
        progress.ended(graph.Result("job", record))
    assert capsys.readouterr().err == "succeeded  job: 0 rows in, 0 out, 0.0 s, nothing new\n"


def test_a_terminal_shows_what_runs(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with reports.Progress() as progress:
        progress.note("starting Spark")
        time.sleep(0.5)
        progress.started("job")
        progress.update("job", "5 rows")
        time.sleep(0.5)
    said = capsys.readouterr().err
    assert "starting Spark" in said
    assert "job  0 s  5 rows" in said
