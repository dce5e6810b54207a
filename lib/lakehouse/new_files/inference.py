"""A contract's fields as the data suggests them: what its values look like, which column names a row, which orders rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lakehouse.new_files.samples import Sample

_WHOLE = re.compile(r"[-+]?(0|[1-9]\d{0,17})")  # with a zero ahead it is a code, not a number
_DECIMAL = re.compile(r"[-+]?(?P<whole>\d+)\.(?P<part>\d+)")
_PERSONAL = re.compile(
    r"(^|_)(e_?mail|phone|mobile|fax|iban|ssn|birth(day|date)?|street|address|(first|last|sur|full)_?name)(_|$)"
)
_KEY = re.compile(r"(^|_)(id|key|uuid|code|number|no)$")
_CHANGED = re.compile(r"(^|_)(updated|modified|changed|version|sequence|loaded)(_|$)")
_TIMES = ("timestamp", "timestamp_ntz", "date")
_NESTED = ("struct", "array", "map", "binary")
_FEW = 8


@dataclass(frozen=True)
class Suggested:
    """The fields as a contract has them, the columns that name a row, and the one that says which row is newer."""

    fields: Sequence[dict[str, Any]]
    keys: Sequence[str]
    sequence: str | None


def suggested(sample: Sample) -> Suggested:
    """What the rows that were looked at suggest; all of it holds for them."""
    values = {name: [row.get(name) for row in sample.rows] for name in sample.types}
    types = {name: _type(kind, values[name]) for name, kind in sample.types.items()}
    sequence = next((name for name in types if types[name] in _TIMES and _CHANGED.search(name.lower())), None)
    keys = _keys(types, values, sequence)
    return Suggested([_field(name, kind, values[name], keys) for name, kind in types.items()], keys, sequence)


def _type(kind: str, values: Sequence[Any]) -> str:
    """The column's type; of text, the one that all of its values can be read as."""
    texts = [str(value).strip() for value in values if value not in (None, "")]
    if kind != "string" or not texts:
        return kind
    if all(text.lower() in ("true", "false") for text in texts):
        return "boolean"
    if all(_WHOLE.fullmatch(text) for text in texts):
        return "bigint"
    if all(_WHOLE.fullmatch(text) or _DECIMAL.fullmatch(text) for text in texts):
        return _decimal(texts)
    if all(_is_time(date, text) for text in texts):
        return "date"
    return "timestamp" if all(_is_time(datetime, text) for text in texts) else "string"


def _decimal(texts: Sequence[str]) -> str:
    parts = [(len(found["whole"]), len(found["part"])) for text in texts if (found := _DECIMAL.fullmatch(text))]
    scale = max(part for _, part in parts)
    whole = max([len(text) for text in texts if "." not in text] + [digits for digits, _ in parts])
    return f"decimal({min(38, max(12, whole + 2 + scale))},{scale})" if whole + scale <= 36 else "string"


def _is_time(kind: type[date], text: str) -> bool:
    """True for a date, or a time, as ISO 8601 writes it with its signs: 20260101 is a number."""
    if len(text) < 10 or text[4] != "-":
        return False
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True


def _keys(types: Mapping[str, str], values: Mapping[str, Sequence[Any]], sequence: str | None) -> list[str]:
    """The first column named like a key, or whose values are all different; several versions of a row share it."""
    whole = [name for name in types if types[name] in ("string", "bigint", "int") and None not in values[name]]
    named = [name for name in whole if _KEY.search(name.lower())]
    different = [name for name in whole if values[name] and len(set(map(str, values[name]))) == len(values[name])]
    both = [name for name in named if name in different]
    if sequence is not None and named and not both:
        return named[:1]
    return (both or [name for name in different if types[name] != "string"] or different)[:1]


def _field(name: str, kind: str, values: Sequence[Any], keys: Sequence[str]) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "type": kind}
    known = [value for value in values if value not in (None, "")]
    if name not in keys and values and len(known) == len(values) and not kind.startswith(_NESTED):
        field["required"] = True
    if _PERSONAL.search(name.lower()):
        return {**field, "pii": True}
    few = sorted({value for value in known if isinstance(value, str)})
    if kind == "string" and name not in keys and len(few) <= _FEW and len(known) >= 5 * max(1, len(few)):
        field["allowed"] = few
    return field
