"""The examples of docs/: each section is a project of its own, run as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess

import psycopg
import pytest
from psycopg.rows import dict_row

from lakehouse.cli import command
from shop import ROOT

_BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^\n]* -->\n)?```(?P<kind>\w+) ?(?P<file>\S*)\n(?P<text>.*?)```|(?P<table>(?:^\|[^\n]*\n)+)",
    re.DOTALL | re.MULTILINE,
)
_TOPICS = re.compile(r"<!-- topics: (.*) -->")
_ANY = r"[\s\S]*"
_NAME = re.compile(r"`((?:silver|gold)\.\w+)`")


def sections() -> dict[str, str]:
    """Every section that has a job in it, by its heading."""
    found = {}
    for file in sorted((ROOT / "docs").glob("*.md")):
        for part in re.split(r"^#+ (?!conf/|jobs/)", file.read_text(), flags=re.MULTILINE):
            heading, _, text = part.partition("\n")
            if "```yaml" in text:
                found[f"{file.stem}: {heading}"] = text
    return found


@pytest.mark.parametrize("section", sections())
def test_what_a_section_shows_is_what_comes(section, project, capsys, monkeypatch, request):
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("COLUMNS", "120")
    text, fresh, shown = sections()[section], False, 0
    make_topics(text, request, monkeypatch)
    database = database_of(request, monkeypatch) if "```sql" in text else None
    selected: list[dict] = []
    for block in (block for block in _BLOCK.finditer(text) if not block["mark"]):
        if block["kind"] in ("yaml", "python", "csv", "json"):
            shown += written_or_run(project, block)
        elif block["kind"] == "console":
            said(capsys, block["text"])
            shown += 1
        elif block["kind"] == "sql":
            selected = rows_of(database, block["text"])
        elif block["table"] and selected:
            assert_same(selected, block["table"], "the query above")
            shown += 1
        elif block["table"] and (table := named_before(text, block.start())):
            if not fresh:
                assert command(["run", "--all"]) == 0
            assert_holds(project, table, block["table"])
            shown += 1
        fresh = block["kind"] == "console" or bool(block["table"])
    assert shown


def written_or_run(project, block: re.Match[str]) -> int:
    """A block that names a file is written there; Python without one is run: 1 then, for what it asserts."""
    named = block["file"] or (re.findall(r"\A# (\S+)", block["text"]) or [None])[0]
    if named is None:
        exec(compile(block["text"], "the block", "exec"), {})
        return 1
    project.write(named, block["text"])
    return 0


def make_topics(text: str, request, monkeypatch) -> None:
    """The topics that a section names, on a broker of this run."""
    topics = _TOPICS.search(text)
    if topics:
        broker = request.getfixturevalue("broker")
        monkeypatch.setenv("KAFKA_SERVERS", broker.servers)
        for name in topics[1].split():
            broker.topic(name)


def named_before(text: str, place: int) -> str | None:
    """The table that the paragraph before a place names: what follows are its rows."""
    found = _NAME.findall(text[:place].rstrip().rpartition("\n\n")[2])
    return found[-1] if found else None


def said(capsys, text: str) -> None:
    """What each command prints; `...` stands for what differs from run to run, alone in its line for any lines."""
    for one in re.split(r"^(?=\$ )", text, flags=re.MULTILINE)[1:]:
        first, _, expected = one.partition("\n")
        capsys.readouterr()
        if first.startswith("$ lakehouse "):
            command(shlex.split(first.removeprefix("$ lakehouse ")))
        else:
            subprocess.run(["bash", "-ec", first.removeprefix("$ ")], check=True)
        out, err = capsys.readouterr()
        lines = [_ANY if line == "..." else re.escape(line) for line in expected.strip().splitlines()]
        pattern = "\n".join(lines).replace(r"\.\.\.", ".*")
        assert re.fullmatch(pattern, (out + err).strip()), out + err


def assert_holds(project, table: str, shown: str) -> None:
    assert_same(project.rows(table), shown, table)


def assert_same(found: list[dict], shown: str, what: str) -> None:
    head, _, *rows = [[text.strip() for text in line.strip("|").split("|")] for line in shown.strip().split("\n")]
    assert sorted([cell(row[name]) for name in head] for row in found) == sorted(rows), what


def database_of(request, monkeypatch) -> psycopg.Connection:
    """A database of the section's own, and what its jobs need to reach it in the environment."""
    server = request.getfixturevalue("database_server")
    name = f"docs_{abs(hash(request.node.name))}"
    with server.connect() as admin:
        admin.execute(f"CREATE DATABASE {name}")
    for variable, value in {"": server.jdbc(name), "_USER": server.user, "_PASSWORD": server.password}.items():
        monkeypatch.setenv(f"SHOP_DB{variable}", value)
    connection = server.connect(name)
    request.addfinalizer(connection.close)
    return connection


def rows_of(database: psycopg.Connection, sql: str) -> list[dict]:
    """What the last statement gives; nothing where it is no query."""
    cursor = database.cursor(row_factory=dict_row)
    cursor.execute(sql)
    while cursor.nextset():
        pass
    return cursor.fetchall() if cursor.description else []


def cell(value: object) -> str:
    return "NULL" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
