"""The examples of docs/: each section is a project of its own, run as it stands there."""

from __future__ import annotations

import re
import shlex

import pytest

from lakehouse.cli import command
from shop import ROOT

_BLOCK = re.compile(
    r"```(?P<kind>\w+) ?(?P<file>\S*)\n(?P<text>.*?)```|(?P<table>(?:^\|[^\n]*\n)+)", re.DOTALL | re.MULTILINE
)
_TOPICS = re.compile(r"<!-- topics: (.*) -->")
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
    topics = _TOPICS.search(text)
    if topics:
        broker = request.getfixturevalue("broker")
        monkeypatch.setenv("KAFKA_SERVERS", broker.servers)
        for name in topics[1].split():
            broker.topic(name)
    for block in _BLOCK.finditer(text):
        if block["kind"] in ("yaml", "python"):
            project.write(re.match(r"# (\S+)", block["text"])[1], block["text"])
        elif block["kind"] in ("csv", "json"):
            project.write(block["file"], block["text"])
        elif block["kind"] == "console":
            for one in re.split(r"^(?=\$ )", block["text"], flags=re.MULTILINE)[1:]:
                said(capsys, one)
            shown += 1
        elif block["table"] and (table := named_before(text, block.start())):
            if not fresh:
                assert command(["run", "--all"]) == 0
            assert_holds(project, table, block["table"])
            shown += 1
        fresh = block["kind"] == "console" or bool(block["table"])
    assert shown


def named_before(text: str, place: int) -> str | None:
    """The table that the paragraph before a place names: what follows are its rows."""
    found = _NAME.findall(text[:place].rstrip().rpartition("\n\n")[2])
    return found[-1] if found else None


def said(capsys, text: str) -> None:
    """What a command prints; `...` stands for what differs from run to run."""
    first, _, expected = text.partition("\n")
    capsys.readouterr()
    command(shlex.split(first.removeprefix("$ lakehouse ")))
    out, err = capsys.readouterr()
    pattern = re.escape(expected.strip()).replace(r"\.\.\.", ".*")
    assert re.fullmatch(pattern, (out + err).strip()), out + err


def assert_holds(project, table: str, shown: str) -> None:
    head, _, *rows = [[text.strip() for text in line.strip("|").split("|")] for line in shown.strip().split("\n")]
    found = [[cell(row[name]) for name in head] for row in project.rows(table)]
    assert sorted(found) == sorted(rows), table


def cell(value: object) -> str:
    return "NULL" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
