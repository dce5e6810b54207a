"""Everything that the README shows is so."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.cli import command
from shop import ROOT, finished, program

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


def test_the_job_is_the_file():
    job = blocks("yaml")[0]
    file = re.match(r"# (\S+)", job)[1]
    assert job == (ROOT / file).read_text()


def test_the_demo_prints_what_the_readme_shows(demo):
    """Line for line but for the numbers, which depend on the scale."""
    shape = re.compile(r"[\d,.-]+")
    printed = {" ".join(shape.sub("0", line).split()) for line in demo[1][0].splitlines()}
    for line in blocks("text")[0].splitlines():
        wanted = " ".join(shape.sub("0", line.replace("lake/", f"{demo[0]}/")).split())
        same_start = [
            line for line in printed if line.split(":")[0].split(" 0")[0] == wanted.split(":")[0].split(" 0")[0]
        ]
        assert wanted in printed or same_start or line.startswith("20"), line


def test_the_table_shown_has_the_columns_of_silver_orders(demo):
    from deltalake import DeltaTable

    shown = re.search(r"^\| (order_id.*) \|$", README, re.MULTILINE)[1].split(" | ")
    assert set(shown) <= {field.name for field in DeltaTable(f"{demo[0]}/silver/orders").schema().fields}


def test_python_runs_as_shown(spark, tmp_path, monkeypatch):
    monkeypatch.setenv("LAKE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    exec(compile(blocks("python")[0], "README.md", "exec"), {})


def test_late_bob_splits_alice_as_shown(project):
    source = 'layer: silver\nsource:\n  files: {path: data}\nschema: "id int, name string, at int, op string"\n'
    project.job("people", source + blocks("yaml")[1])
    for number, event in enumerate(("1,Alice,5,", "1,Alice,15,", "1,Bob,12,")):
        project.write(f"data/{number}.csv", f"id,name,at,op\n{event}\n")
        project.run("people")
    table = README.partition("Bob, late, at 12")[2].partition("`scd1`")[0]
    shown = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| 1")
    ]
    columns = ("id", "name", "__START_AT", "__END_AT")
    held = [["" if row[name] is None else str(row[name]) for name in columns] for row in project.rows("silver.people")]
    assert sorted(shown) == sorted(held)


def test_the_rule_of_your_own_works_as_shown(project):
    project.write("jobs/lines.py", blocks("python")[1])
    source = 'layer: silver\nsource:\n  rows: {schema: "quantity int", rows: [[1], [2], [3]]}\n'
    project.job("lines", source + blocks("yaml")[2] + "sink:\n  append: {table: silver.lines}\n")
    record = project.run("lines")
    assert (record.rows_valid, record.rows_warned) == (3, 2)
    assert len(blocks("python")[1].split("\n\n")[1].strip().splitlines()) <= 6


def shown_commands() -> list[str]:
    lines = [
        line[2:].split("#")[0].strip()
        for text in blocks("console")
        for line in text.splitlines()
        if line.startswith("$ ")
    ]
    return [line for line in lines if line.startswith("lakehouse ") and " run " not in line]


@pytest.mark.parametrize("line", shown_commands())
def test_commands_run_as_shown(line, demo):
    assert finished(program(demo[0], *shlex.split(line)[1:])).strip()


@pytest.mark.parametrize("line", ["spark-submit jobs/gold_dim_dates.py", "./spark-submit.sh jobs/gold_dim_dates.py"])
def test_a_job_is_started_by_spark_submit_from_any_directory(line, demo, tmp_path):
    """The first with the environment activated, the second without."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}" if line.startswith("spark-submit") else "/usr/bin:/bin"
    words = [word if word == "spark-submit" else str(ROOT / word) for word in line.split()]
    environment = {**os.environ, "LAKE": demo[0], "PATH": path}
    environment.pop("PYSPARK_GATEWAY_PORT", None)
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "succeeded  gold_dim_dates: 4,017 rows in, 4,017 out" in done.stdout


def test_every_command_of_the_table_exists_and_none_is_left_out(capsys):
    named = set(re.findall(r"^\| `lakehouse ([a-z-]+)", README, re.MULTILINE))
    with pytest.raises(SystemExit):
        command(["--help"])
    real = set(re.findall(r"^    ([a-z][a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert named == real


def test_every_target_named_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", README)) | {"setup"} <= targets
