"""Reads the sample data's landing files as a program of no framework would."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = dict[str, Any]


def date_of(path: Path) -> str:
    """The day in a file's name."""
    found = re.search(r"\d{4}-\d\d-\d\d", path.name)
    assert found
    return found.group()


def csv_rows(path: Path) -> Iterator[Row]:
    """The file's rows by column; a line with too few or too many fields has only `_kind`."""
    header, *lines = csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""))
    for line in lines:
        short = {-1: "too_few_fields", 1: "too_many_fields"}.get((len(line) > len(header)) - (len(line) < len(header)))
        yield {"_kind": short} if short else {name: value or None for name, value in zip(header, line, strict=True)}


def json_rows(path: Path) -> Iterator[Row]:
    """The file's rows; a line that is no JSON has only `_kind`."""
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line, parse_float=Decimal)
        except json.JSONDecodeError:
            yield {"_kind": "broken_line"}


@cache
def rows_of(folder: Path, feed: str) -> list[Row]:
    """All rows of a feed, each with the date of its file."""
    readers: dict[str, Callable[[Path], Any]] = {".csv": csv_rows, ".json": json_rows}
    rows = []
    for path in sorted((folder / feed).iterdir()):
        found = readers.get(path.suffix, lambda parquet: pq.read_table(parquet).to_pylist())(path)
        rows += [{"_date": date_of(path), **row} for row in found]
    return rows


def whole_rows(folder: Path, feed: str) -> list[Row]:
    """The rows of lines that are not broken."""
    return [row for row in rows_of(folder, feed) if "_kind" not in row]


def number(value: object) -> Decimal | None:
    """The value as a number, None where it is none."""
    text = str(value).strip()
    return Decimal(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None
