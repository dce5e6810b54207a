"""What the commands that look at tables print: a table's facts, its versions, rows of any kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.errors import counted
from lakehouse.html_pages.figures import size
from lakehouse.reports import table
from lakehouse.table_log import Column, TableState, Version
from lakehouse.terminal import painted

_LEAST = 8  # letters of a cell: where a window has no room for as many, rows are told line by line
_CONTRACT = "lakehouse.contract."
_SIGNS = {"inserted": "+", "updated": "~", "deleted": "-"}


@dataclass(frozen=True)
class Shown:
    """A table as it is shown: `jobs` write it, no value of a `personal` column (in lower case) is told."""

    table: str
    state: TableState
    versions: tuple[Version, ...]
    jobs: tuple[str, ...]
    personal: frozenset[str]


def shown_text(found: Shown, *, colours: bool) -> str:
    """What the table is, its columns, its last versions."""
    state = found.state
    newest = found.versions[0].at if found.versions else None
    facts = {
        "place": state.path.removeprefix("file://").rstrip("/"),
        "version": f"{state.version}" + (f", {_time(newest)} UTC" if newest is not None else ""),
        "rows": "unknown without Spark" if state.rows is None else f"{state.rows:,}",
        "size": f"{size(state.bytes)} in {counted(state.files, 'file')}",
        "partitions": ", ".join(state.partitions),
        "written by": ", ".join(found.jobs),
        "contract": ", ".join(_contracts(state.properties)),
        "properties": ", ".join(
            f"{name}={value}" for name, value in sorted(state.properties.items()) if not name.startswith(_CONTRACT)
        ),
    }
    head = painted(found.table, "bold", on=colours) + (f": {state.comment}" if state.comment else "")
    lines = [head, *(f"  {name:<10} {value}" for name, value in facts.items() if value)]
    columns = table(["column", "type", "comment"], [_column(column, found.personal) for column in state.columns])
    versions = table(
        ["version", "at (UTC)", "operation", "rows", "job", "run"], [_version(one) for one in found.versions]
    )
    return "\n".join([*lines, "", columns, "", versions])


def rows_text(rows: Sequence[Mapping[str, Any]], most: int | None) -> str:
    """Rows as a table; in a window too narrow for that, a line a value."""
    names = list(rows[0])
    if most is not None and len(names) * (_LEAST + 2) > most:
        wide = max(map(len, names))
        return "\n\n".join(
            "\n".join(f"{name:<{wide}}  {value_text(value)}" for name, value in row.items()) for row in rows
        )
    return table(names, [[value_text(row[name]) for name in names] for row in rows])


def value_text(value: Any) -> str:
    """A value as text; NULL is NULL, and nothing in it moves a terminal's cursor."""
    text = "NULL" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _contracts(properties: Mapping[str, str]) -> Iterator[str]:
    """The contracts that the table's rows came in by, each with its version."""
    for name, version in sorted(properties.items()):
        if name.startswith(_CONTRACT) and name.endswith(".version"):
            yield f"{name.removeprefix(_CONTRACT).removesuffix('.version')} {version}"


def _column(column: Column, personal: frozenset[str]) -> list[str]:
    kind = column.type if column.nullable else f"{column.type} not null"
    return [column.name, f"{kind} (personal)" if column.name.lower() in personal else kind, column.comment or ""]


def _version(one: Version) -> list[str]:
    changes = " ".join(f"{_SIGNS[kind]}{rows:,}" for kind, rows in one.changes.items())
    return [str(one.version), _time(one.at), one.operation, changes, one.job or "", one.run_id or ""]


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
