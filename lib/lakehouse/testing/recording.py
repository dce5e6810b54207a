"""A test's `expect` written into its file as text: all else in it, comments too, stays as it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lakehouse.config.yaml_files import shown
from lakehouse.config.yaml_text import parse, yaml_line
from lakehouse.errors import ConfigError, Problem


def record(file: Path, index: int, expect: Mapping[str, Any]) -> None:
    """Replaces the `expect` of the test at a place of the file's list, or adds it behind the test's last line.

    Raises ConfigError where the test is no block of lines of its own.
    """
    text = file.read_text(encoding="utf-8")
    longer = with_expectation(text, index, expect, shown(file))
    file.write_text(longer, encoding="utf-8")


def with_expectation(text: str, index: int, expect: Mapping[str, Any], name: str) -> str:
    """The text with this expectation in its test."""
    test = _test_node(text, index)
    lines = text.splitlines(keepends=True)
    keys = {key.value: (key, value) for key, value in test.value}
    first = test.value[0][0].start_mark
    if "expect" in keys:
        key, value = keys["expect"]
        begin, end = key.start_mark.line, max(key.start_mark.line, _last_line(value)) + 1
    else:
        begin = end = _last_line(test) + 1
    if begin and not lines[begin - 1].endswith("\n"):
        lines[begin - 1] += "\n"
    new = "".join(lines[:begin]) + "".join(_lines(expect, " " * first.column)) + "".join(lines[end:])
    if not _is_only_change(text, new, index, expect):
        said = "is no block of lines of its own: write each of its keys on a line, then record again"
        raise ConfigError(Problem(name, first.line + 1, f"the test {said}"))
    return new


def _test_node(text: str, index: int) -> yaml.MappingNode:
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    tests = next(value for key, value in node.value if key.value == "tests")
    found: yaml.MappingNode = tests.value[index]
    return found


def _is_only_change(text: str, new: str, index: int, expect: Mapping[str, Any]) -> bool:
    before: Any = parse(text, "").value
    tests = list(before["tests"])
    tests[index] = {**tests[index], "expect": expect}
    try:
        return parse(new, "").value == {**before, "tests": tests}
    except ConfigError:
        return False


def _last_line(node: yaml.Node) -> int:
    """The last line (from 0) that a value stands on, without blank lines and comments behind it."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        mark = node.end_mark
        return int(mark.line - 1 if mark.column == 0 and mark.line > node.start_mark.line else mark.line)
    last = node.value[-1]
    return max(_last_line(part) for part in (last if isinstance(last, tuple) else (last,)))


def _lines(expect: Mapping[str, Any], indent: str) -> Iterator[str]:
    """A row of a table or of the quarantine on one line each."""
    yield f"{indent}expect:\n"
    for key, value in expect.items():
        if key == "rows":
            yield f"{indent}  rows:\n"
            for table, rows in value.items():
                yield from _items(table, rows, f"{indent}    ")
        elif key == "quarantine":
            yield from _items(key, value, f"{indent}  ")
        else:
            yield f"{indent}  {key}: {yaml_line(value)}\n"


def _items(key: str, rows: list[Any], indent: str) -> Iterator[str]:
    yield f"{indent}{key}:\n" if rows else f"{indent}{key}: []\n"
    for row in rows:
        yield f"{indent}  - {yaml_line(row)}\n"
