"""What people decide of quarantined rows: mended values, a reason to discard; noted with who, when and why, without Spark."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lakehouse.errors import ConfigError, DataError, did_you_mean
from lakehouse.quarantine import DECISIONS, DISCARDED
from lakehouse.raw_rows import CORRUPT
from lakehouse.runs import open_table
from lakehouse.tables import Layout


@dataclass(frozen=True)
class Decision:
    """Who decided, when (UTC) and why."""

    by: str
    at: datetime
    why: str | None


def mend(layout: Layout, table: str, mended: Mapping[str, str], decision: Decision) -> None:
    """Gives each row (by id) the JSON that it should have been; it stays open."""
    _note(layout, table, [{"id": row, "mended": text} for row, text in mended.items()], decision)


def discard(layout: Layout, table: str, ids: Sequence[str], decision: Decision) -> None:
    """Closes the rows: they are kept, and never replayed."""
    _note(layout, table, [{"id": row, "status": DISCARDED} for row in ids], decision)


def mended_row(row: Mapping[str, Any], changes: Mapping[str, str | None]) -> str:
    """The row's JSON with these columns changed (None: NULL), each in its type at the source.

    Raises ConfigError for a column that the source does not have, or a text that is no value of its type.
    """
    kinds = {field["name"]: field["type"] for field in json.loads(row["schema"])["fields"]}
    names = {name.lower(): name for name in kinds}
    found = json.loads(row["mended"] or row["row"], parse_float=_number)
    if list(found) == [CORRUPT] and CORRUPT not in kinds:  # nothing of it could be read
        found = dict.fromkeys(kinds)
    for column, text in changes.items():
        name = names.get(column.lower())
        if name is None:
            raise ConfigError(f"--set {column}: the row has no such column.{did_you_mean(column, kinds)}")
        found[name] = None if text is None else _value(name, text, kinds[name])
    return json.dumps(found, ensure_ascii=False)


def _note(layout: Layout, table: str, rows: Sequence[Mapping[str, Any]], decision: Decision) -> None:
    """Writes the decision on these rows, all with the same columns, in one commit."""
    import pyarrow as pa
    from deltalake import CommitProperties

    path = layout.table(table)
    opened = open_table(path, layout.root)
    missing = [name for name in DECISIONS if name not in opened.schema().to_arrow().names]
    if missing:
        raise DataError(f"{table} has no column {', '.join(missing)}: it was made by an older version")
    said = {"decided_by": decision.by, "decided_at": decision.at, "why": decision.why}
    source = pa.Table.from_pylist([{**row, **said} for row in rows], schema=_schema(rows[0]))
    note = json.dumps({"decided_by": decision.by, "rows": len(rows)})
    merger = opened.merge(
        source, "t.id = s.id", source_alias="s", target_alias="t",
        commit_properties=CommitProperties(custom_metadata={"userMetadata": note}),
    )  # fmt: skip
    merger.when_matched_update({name: f"s.{name}" for name in source.schema.names if name != "id"}).execute()


def _schema(row: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    text = [(name, pa.string()) for name in (*row, "decided_by", "why")]
    return pa.schema([*text, ("decided_at", pa.timestamp("us", tz="UTC"))])


def _number(text: str) -> float | str:
    """The number; as text where only a decimal holds it to its last digit."""
    return float(text) if Decimal(repr(float(text))) == Decimal(text) else text


def _value(name: str, text: str, kind: Any) -> Any:
    """A text as the JSON value of a Spark type (as in a schema's JSON)."""
    parse = _parser(kind)
    try:
        return parse(text)
    except (ValueError, ArithmeticError) as error:
        said = kind if isinstance(kind, str) else kind["type"]
        raise ConfigError(f"--set {name}: {text!r} is no {said}") from error


def _parser(kind: Any) -> Callable[[str], Any]:
    if not isinstance(kind, str):
        return _nested
    if kind.startswith("decimal"):
        return lambda text: str(Decimal(text))
    parsers: dict[str, Callable[[str], Any]] = {
        **dict.fromkeys(("byte", "short", "integer", "long"), int),
        **dict.fromkeys(("float", "double"), float),
        "boolean": _boolean,
        "date": lambda text: date.fromisoformat(text).isoformat(),
        "timestamp": lambda text: datetime.fromisoformat(text).isoformat(),
        "timestamp_ntz": lambda text: datetime.fromisoformat(text).isoformat(),
        "binary": lambda text: base64.b64encode(base64.b64decode(text, validate=True)).decode(),
    }
    return parsers.get(kind, str)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _nested(text: str) -> Any:
    found = json.loads(text, parse_float=_number)
    if not isinstance(found, dict | list):
        raise ValueError(text)
    return found
