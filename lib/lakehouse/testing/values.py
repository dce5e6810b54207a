"""A value of a table beside one of YAML: whether they are the same, and how YAML writes the first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any


def is_same(expected: Any, found: Any) -> bool:
    """True where a table's value is what YAML says: times as text in UTC, decimals as numbers or text, of a struct the
    fields that are named.
    """
    if expected is None or found is None:
        return expected is None and found is None
    if isinstance(found, dict) or _is_map(found):
        known = dict(found)
        return isinstance(expected, Mapping) and all(
            name in known and is_same(value, known[name]) for name, value in expected.items()
        )
    if isinstance(found, list):
        return (
            isinstance(expected, list)
            and len(expected) == len(found)
            and all(is_same(one, other) for one, other in zip(expected, found, strict=True))
        )
    return _is_same_scalar(expected, found)


def _is_same_scalar(expected: Any, found: Any) -> bool:
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, datetime):
        return isinstance(expected, str) and _moment(expected) == _in_utc(found)
    if isinstance(found, Decimal):
        return _decimal(expected) == found
    if isinstance(found, float):
        return isinstance(expected, int | float) and (expected == found or (math.isnan(expected) and math.isnan(found)))
    return type(expected) is type(plain(found)) and bool(expected == plain(found))


def plain(found: Any) -> Any:
    """A table's value as YAML has it; a decimal that a number of YAML would round is text, so are bytes."""
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list):
        return {key: plain(value) for key, value in found} if _is_map(found) else [plain(value) for value in found]
    if isinstance(found, datetime):
        return _in_utc(found).replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(found, date):
        return found.isoformat()
    if isinstance(found, Decimal):
        return _number(found)
    return found.decode(errors="backslashreplace") if isinstance(found, bytes) else found


def _number(found: Decimal) -> int | float | str:
    if found == found.to_integral_value() and found.as_tuple().exponent == 0:
        return int(found)
    return float(found) if Decimal(repr(float(found))) == found else str(found)


def _is_map(found: Any) -> bool:
    """Maps are read as lists of pairs."""
    return isinstance(found, list) and bool(found) and all(isinstance(item, tuple) for item in found)


def _decimal(expected: Any) -> Decimal | None:
    try:
        return Decimal(str(expected))
    except InvalidOperation:
        return None


def _moment(text: str) -> datetime | None:
    try:
        return _in_utc(datetime.fromisoformat(text))
    except ValueError:
        return None


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
