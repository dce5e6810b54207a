"""The ranges that a batch's keys lie in, as SQL literals: files of other keys are then neither read nor rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, DecimalType, IntegralType, StringType, TimestampType

from lakehouse.frames import quoted
from lakehouse.sql_text import text_literal

# Types whose literals are exact; a float's are not (NaN, -0.0).
_RANGED = (IntegralType, StringType, DateType, TimestampType, DecimalType)

Ranges = Mapping[str, tuple[str, str]]


def metrics(values: Sequence[Column], kinds: Sequence[DataType]) -> list[Column]:
    """The aggregates that `ranges` needs, for keys of these types."""
    found = []
    for index, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        if isinstance(kind, TimestampType):
            value = F.unix_micros(value)  # Python would read a timestamp in its own time zone
        if isinstance(kind, DateType):
            value = F.unix_date(value)  # Python knows no year before 1 or after 9999
        if isinstance(kind, _RANGED):
            found += [F.min(value).alias(f"min{index}"), F.max(value).alias(f"max{index}")]
    return found


def ranges(found: Mapping[str, Any], keys: Sequence[str], kinds: Sequence[DataType]) -> Ranges:
    """Lowest and highest of each key that has any, out of what `metrics` found."""
    return {
        key: (_literal(found[f"min{index}"], kind), _literal(found[f"max{index}"], kind))
        for index, (key, kind) in enumerate(zip(keys, kinds, strict=True))
        if found.get(f"min{index}") is not None
    }


def within(found: Ranges, prefix: str = "") -> str:
    """The ranges as a condition; '' where there is none."""
    parts = [
        f"{prefix}{quoted(key)} >= {low} AND {prefix}{quoted(key)} <= {high}" for key, (low, high) in found.items()
    ]
    return " AND ".join(parts)


def _literal(value: Any, kind: DataType) -> str:
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, Decimal):
        return f"CAST('{value}' AS {kind.simpleString()})"
    if isinstance(kind, TimestampType):
        return f"timestamp_micros({value})"
    if isinstance(kind, DateType):
        return f"date_from_unix_date({value})"
    return f"CAST({value} AS {kind.simpleString()})"
