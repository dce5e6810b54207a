"""A Great Expectations suite as its JSON file says it: read without Great Expectations, each expectation with its line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lakehouse.config.yaml_files import shown
from lakehouse.errors import ConfigError, Problem

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set")
_ON_THE_SCHEMA = ("expect_column_to_exist", "expect_table_columns_")  # they judge whether a column is there themselves
SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True)
class Expectation:
    """One expectation: its name in Great Expectations, its arguments, and the line at which it begins."""

    type: str
    kwargs: dict[str, Any]
    meta: dict[str, Any] = field(default_factory=dict)
    severity: str = "critical"
    line: int = 0
    description: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that it reads and does not ask for."""
        if self.type.startswith(_ON_THE_SCHEMA):
            return []
        return _columns(self.kwargs)

    @property
    def said(self) -> str:
        """Its name and its columns, as messages tell it."""
        return f"{self.type}({', '.join(_columns(self.kwargs))})"

    def as_json(self) -> dict[str, Any]:
        """It as Great Expectations 1.x takes it."""
        said = {"type": self.type, "description": self.description, "kwargs": self.kwargs, "severity": self.severity}
        return {name: value for name, value in {**said, "meta": self.meta}.items() if value or name == "kwargs"}


@dataclass(frozen=True)
class Suite:
    """A suite and the file that it stands in."""

    name: str
    file: str
    expectations: tuple[Expectation, ...]

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """It as Great Expectations 1.x takes it: `ExpectationSuite(**suite.as_json)`."""
        return {"name": self.name, "expectations": [item.as_json() for item in self.expectations]}

    def problem(self, line: int, message: str) -> Problem:
        """A problem at a line of the file."""
        return Problem(self.file, line, message)


def load_suite(file: Path) -> Suite:
    """The suite of a JSON file, of Great Expectations 1.x or 0.x; raises ConfigError with every problem in it."""
    name = shown(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        value = json.loads(text)
    except FileNotFoundError as error:
        raise ConfigError(Problem(name, 0, "no such file")) from error
    except json.JSONDecodeError as error:
        raise ConfigError(Problem(name, error.lineno, f"no JSON: {error.msg}")) from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(Problem(name, 0, f"cannot be read: {error}")) from error
    items = value.get("expectations") if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise ConfigError(Problem(name, 1, "no suite of Great Expectations: it has no list 'expectations'"))
    lines = _lines(text)
    places = lines if len(lines) == len(items) else [1] * len(items)
    found = [_expectation(name, line, item) for line, item in zip(places, items, strict=True)]
    problems = [item for item in found if isinstance(item, Problem)]
    if problems:
        raise ConfigError(problems)
    known = str(value.get("name") or value.get("expectation_suite_name") or file.stem)
    return Suite(known, name, tuple(item for item in found if isinstance(item, Expectation)))


def _expectation(file: str, line: int, item: Any) -> Expectation | Problem:
    name = (item.get("type") or item.get("expectation_type")) if isinstance(item, dict) else None
    if not isinstance(name, str):
        return Problem(file, line, "an expectation is an object with 'type' and 'kwargs'")
    kwargs, meta = item.get("kwargs") or {}, item.get("meta") or {}
    if not isinstance(kwargs, dict) or not isinstance(meta, dict):
        return Problem(file, line, f"{name}: 'kwargs' and 'meta' are objects")
    severity = item.get("severity") or "critical"
    if severity not in SEVERITIES:
        return Problem(file, line, f"{name}: severity cannot be {severity!r}. Known: {', '.join(SEVERITIES)}.")
    return Expectation(name, kwargs, meta, severity, line, item.get("description"))


def _columns(kwargs: dict[str, Any]) -> list[str]:
    named = [kwargs[option] for option in _COLUMNS if option in kwargs]
    flat = [name for item in named for name in (item if isinstance(item, list) else [item])]
    return [name for name in flat if isinstance(name, str)]


def _lines(text: str) -> list[int]:
    """The line at which each item of the top level's `expectations` begins."""
    depth, inside, last = 0, False, ""
    found = []
    for piece in _PIECE.finditer(text):
        sign = piece.group()
        if sign in "{[":
            if inside and depth == 2:
                found.append(text.count("\n", 0, piece.start()) + 1)
            depth += 1
            inside = inside or (depth == 2 and sign == "[" and last == '"expectations"')
        elif sign in "}]":
            depth -= 1
            inside = inside and depth > 1
        elif depth == 1:
            last = sign
    return found
