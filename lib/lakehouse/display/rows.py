"""The first rows of a frame as a table."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from lakehouse.display.shown import Shown, shown
from lakehouse.errors import counted
from lakehouse.html_pages import markup
from lakehouse.html_pages.markup import Html, text
from lakehouse.reports import table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
_HIDDEN = "***"
_LONGEST = 80


def first_rows(df: DataFrame, title: str, most: int, personal: Collection[str]) -> Shown:
    """The first rows, their columns' types below the names, and how many rows there are; personal values as `***`."""
    types = {field.name: field.dataType.simpleString() for field in df.schema.fields}
    hidden = {name for name in types if name.lower() in {other.lower() for other in personal}}
    cells = [[_cell(row[name], is_hidden=name in hidden) for name in types] for row in df.limit(most).collect()]
    said = f"{title}: {counted(df.count(), 'row')}, {counted(len(types), 'column')}"
    head = [f"{name}\n{kind}" for name, kind in types.items()]
    numbers = [place for place, kind in enumerate(types.values()) if kind.startswith(_NUMBERS)]
    body = _with_types(markup.table(said, head, [[text(cell, _LONGEST) for cell in row] for row in cells], numbers))
    return shown(body, f"{said}\n{table(list(types), cells)}")


def _with_types(body: Html) -> Html:
    """Each column's type in a line of its own below its name."""
    first, end, rest = body.partition("</thead>")
    return Html(first.replace("\n", "<br><small>").replace("</th>", "</small></th>") + end + rest)


def _cell(value: object, *, is_hidden: bool) -> str:
    return "NULL" if value is None else _HIDDEN if is_hidden else str(value)
