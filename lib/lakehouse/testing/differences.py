"""Rows held against what was expected of them, and the differences as a table to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.config.yaml_text import yaml_line
from lakehouse.errors import counted, did_you_mean
from lakehouse.testing.values import is_same, plain

_SHOWN = 20
Row = Mapping[str, Any]
Pair = tuple[Row | None, Row | None]


class Different(AssertionError):
    """What was found is not what was expected."""


def require_same(what: str, expected: Sequence[Row], found: Sequence[Row]) -> None:
    """Raises Different unless both hold the same rows, in any order; columns that no expected row names are not looked at."""
    said = difference(what, expected, found)
    if said is not None:
        raise Different(said)


def difference(what: str, expected: Sequence[Row], found: Sequence[Row]) -> str | None:
    """The differences, row below row, each cell that differs underlined; None where there is none."""
    columns = list(dict.fromkeys(name for row in expected or found for name in row))
    strange = next((name for name in columns if found and name not in found[0]), None)
    if strange is not None:
        return f"{what} has no column '{strange}'.{did_you_mean(strange, found[0])}"
    same, pairs = _paired(expected, found, columns)
    return _told(what, same, pairs, columns) if pairs else None


def _paired(expected: Sequence[Row], found: Sequence[Row], columns: Sequence[str]) -> tuple[list[Row], list[Pair]]:
    """The rows that are the same, and each that is not beside the one most like it."""
    left, same, missing = list(found), [], []
    for row in expected:
        fits = next((one for one in left if _likeness(row, one, columns) == len(columns)), None)
        if fits is None:
            missing.append(row)
        else:
            left.remove(fits)
            same.append(row)
    pairs: list[Pair] = []
    for row in missing:
        likest = max(left, key=lambda one: _likeness(row, one, columns), default=None)
        if likest is not None and _likeness(row, likest, columns):
            left.remove(likest)
        else:
            likest = None
        pairs.append((row, likest))
    return same, [*pairs, *((None, row) for row in left)]


def _likeness(expected: Row, found: Row, columns: Sequence[str]) -> int:
    """In how many columns the two are the same."""
    return sum(is_same(expected.get(name), found[name]) for name in columns)


def _told(what: str, same: Sequence[Row], pairs: Sequence[Pair], columns: Sequence[str]) -> str:
    lines = [["", *columns], *(["", *_cells(row, columns)] for row in same[:_SHOWN])]
    for expected, found in pairs[:_SHOWN]:
        if expected is not None:
            lines.append(["expected" if found is not None else "missing", *_cells(expected, columns)])
        if found is not None:
            lines.append(["found" if expected is not None else "too many", *_cells(found, columns)])
        if expected is not None and found is not None:
            lines.append(["", *_marks(expected, found, columns)])
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns) + 1)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    more = len(pairs) - _SHOWN
    return "\n".join([f"{what}: {_summary(pairs)}", *shown, *([f"and {more} more"] if more > 0 else [])])


def _summary(pairs: Sequence[Pair]) -> str:
    missing = sum(found is None for _, found in pairs)
    over = sum(expected is None for expected, _ in pairs)
    differ = len(pairs) - missing - over
    parts = [
        counted(differ, "row differs", "rows differ") if differ else "",
        f"{counted(missing, 'row')} missing" if missing else "",
        f"{counted(over, 'row')} too many" if over else "",
    ]
    return ", ".join(filter(None, parts))


def _cells(row: Row, columns: Sequence[str]) -> list[str]:
    return [yaml_line(plain(row.get(name))) for name in columns]


def _marks(expected: Row, found: Row, columns: Sequence[str]) -> list[str]:
    cells = zip(columns, _cells(expected, columns), _cells(found, columns), strict=True)
    return [
        "" if is_same(expected.get(name), found[name]) else "^" * max(len(one), len(other))
        for name, one, other in cells
    ]
