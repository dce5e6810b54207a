"""What a terminal gets: help with examples that are right, completion, colours, JSON; nothing here starts Spark."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from lakehouse import cli
from lakehouse.cli import command
from lakehouse.commands.options import COMMANDS
from lakehouse.commands.words import Command
from lakehouse.pipeline.live_work import Work, work_text
from lakehouse.terminal import is_coloured, is_live, painted
from shop import LAKEHOUSE

JOB = 'layer: silver\ntags: [t]\nsource:\n  rows: {schema: "id int", rows: [[1]]}\nsink:\n  append: {table: silver.orders}\n'


def words(commands: tuple[Command, ...], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    for one in commands:
        yield (*before, one.name), one
        yield from words(tuple(one.parts), (*before, one.name))


@pytest.mark.parametrize(
    ("path", "one"), list(words(COMMANDS)), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_each_example_of_a_commands_help_is_a_call_of_it(path, one, capsys):
    with pytest.raises(SystemExit) as ended:
        command([*path, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    for line in one.example.splitlines():
        assert f"lakehouse {line}" in said
        given = shlex.split(line.split(" > ")[0])
        assert tuple(given[: len(path)]) == path
        assert callable(cli._parser().parse_args(given).run)
    # a word with actions has an example of each
    for actions in re.findall(r"^  \{([a-z,-]+)\}$", said, re.MULTILINE):
        if path[-1] in ("quarantine", "checkpoint", "expectations"):
            assert all(f"lakehouse {path[-1]} {action}" in said for action in actions.split(",")), said


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "conf/env").mkdir(parents=True)
    (tmp_path / "conf/silver_orders.yml").write_text(JOB)
    (tmp_path / "conf/silver_other.yml").write_text(JOB.replace("silver.orders", "silver.other"))
    (tmp_path / "conf/env/prod.yml").write_text("{}\n")
    (tmp_path / "lake/silver/orders/_delta_log").mkdir(parents=True)
    (tmp_path / "lake/_runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKE", raising=False)
    return tmp_path


@pytest.mark.parametrize(("typed", "offered"), [
    ("lakehouse pla", {"plan"}),
    ("lakehouse plan silver_o", {"silver_orders", "silver_other"}),
    ("lakehouse show si", {"silver.orders"}),
    ("lakehouse run --env ", {"prod"}),
    ("lakehouse run --select layer:s", {"layer:silver"}),
    ("lakehouse quarantine re", {"replay"}),
    ("lakehouse contract ch", {"check"}),
    ("lakehouse graph --format s", {"svg"}),
    ("lakehouse plan --no-", {"--no-spark"}),
])  # fmt: skip
def test_a_shell_is_offered_commands_jobs_tables_and_environments(project, typed, offered):
    answer = project / "answer"
    asked = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": typed,
        "COMP_POINT": str(len(typed)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
    }
    asked |= {"_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "COMP_TYPE": "9"}
    done = subprocess.run(LAKEHOUSE, env={**os.environ, **asked}, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = {name.strip() for name in answer.read_text().split("\n")}
    assert {name.replace("\\", "") for name in found} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_code_that_it_can_read(shell, capsys, tmp_path):
    assert command(["completion", shell]) == 0
    code = capsys.readouterr().out
    assert "lakehouse" in code
    if shutil.which(shell):
        (tmp_path / "code").write_text(code)
        assert subprocess.run([shell, "-n", tmp_path / "code"], capture_output=True).returncode == 0


def test_a_plan_without_spark_asks_no_broker_and_waits_for_none(project, capsys):
    source = "kafka: {bootstrap_servers: 'nobody.invalid:9092', topics: [orders], schema: 'id int'}"
    (project / "conf/silver_other.yml").write_text(JOB.replace('rows: {schema: "id int", rows: [[1]]}', source))
    shutil.rmtree(project / "lake")
    assert command(["plan", "silver_other", "--no-spark", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["reads"][0]["name"], found["reads"][0]["detail"]) == ("orders", "not asked")
    assert found["tables"][0]["action"] == "create"
    assert not (project / "lake").exists()


def test_list_speaks_json(project, capsys):
    assert command(["list", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["job"], first["writes"], first["tags"]) == ("silver_orders", ["silver.orders"], ["t"])
    assert command(["list", "rules", "--json"]) == 0
    rules = {rule["name"]: rule for rule in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rules["in_range"]["options"]["required"] == ["column"]
    assert rules["unique"]["kind"] == "set_rule"


def test_progress_tells_rows_a_second_and_what_is_left_by_the_last_run_or_by_tasks():
    assert work_text(Work(), 5, None) == ""
    assert work_text(Work(1_200_000, 8, 2), 30, None) == "1,200,000 rows, 40,000 rows/s, about 1 min 30 s left"
    assert work_text(Work(1_200_000, 8, 2), 30, 42.4) == "1,200,000 rows, 40,000 rows/s, about 12 s left"
    assert work_text(Work(0, 8, 0), 30, 20) == "0 of 8 tasks"  # it takes longer than the last one did


def test_a_ci_that_is_a_terminal_gets_no_line_that_is_drawn_anew(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert is_live(Terminal())
    monkeypatch.setenv("CI", "true")
    assert not is_live(Terminal())


def test_colours_are_for_terminals_that_want_them(monkeypatch, capsys):
    class Terminal:
        def isatty(self):
            return True

    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert is_coloured(Terminal())
    assert not is_coloured()  # what pytest reads is no terminal
    monkeypatch.setenv("NO_COLOR", "1")
    assert not is_coloured(Terminal())
    assert (painted("a", "red", on=True), painted("a", "red", on=False)) == ("\033[31ma\033[0m", "a")
