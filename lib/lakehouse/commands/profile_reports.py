"""A profile as a table on a terminal, as wide as its window."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from lakehouse.profiling.table_profile import Column, Profile
from lakehouse.profiling.words import distinct_text, frequent_text, length_text, nulls_text, value_text
from lakehouse.reports import table

_HEAD = ["column", "type", "nulls", "distinct", "min", "max", "mean", "length", "most frequent", "shapes"]
_LEAST = 9  # letters that a cell keeps
_FIRST_TO_GO = ["shapes", "length", "mean", "type", "most frequent", "max", "min"]


def profile_text(profile: Profile, width: int | None = None) -> str:
    """A row a column; what does not fit into the window is cut, and left out where even that is too wide."""
    width = width or shutil.get_terminal_size((120, 24)).columns
    head = f"{profile.table}, version {profile.version}: {profile.rows:,} rows, {len(profile.columns)} columns"
    rows = [_row(column) for column in profile.columns]
    kept = [index for index in range(len(_HEAD)) if index < 3 or any(row[index] for row in rows)]
    for name in ("", *_FIRST_TO_GO):
        kept = [index for index in kept if _HEAD[index] != name]
        names, cells = [_HEAD[index] for index in kept], [[row[index] for index in kept] for row in rows]
        widths = _widths([names, *cells], width)
        if sum(widths) + 2 * (len(widths) - 1) <= width:
            break
    cut = [[_cut(cell, most) for cell, most in zip(row, widths, strict=True)] for row in cells]
    return f"{head}\n{table([_cut(cell, most) for cell, most in zip(names, widths, strict=True)], cut)}"


def _row(column: Column) -> list[str]:
    personal = " (personal)" if column.personal else ""
    return [
        column.name, f"{column.type}{personal}", nulls_text(column), distinct_text(column), value_text(column.min),
        value_text(column.max), value_text(column.mean), length_text(column), frequent_text(column.top, column.rows, 3),
        frequent_text(column.shapes, column.rows, 2),
    ]  # fmt: skip


def _widths(lines: Sequence[Sequence[str]], most: int) -> list[int]:
    """How wide each column may be: the widest gives way first."""
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > most and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
