"""A profile's figures as they are read: numbers in groups, shares, what is frequent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lakehouse.profiling.table_profile import Column, Frequent


def value_text(value: Any) -> str:
    """A value in few letters; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if math.isfinite(value) and abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "seconds")
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value) if isinstance(value, date) else " ".join(str(value).split())


def nulls_text(column: Column) -> str:
    """How many rows have no value, and NaN."""
    nulls = f"{column.nulls:,} ({share(column.nulls, column.rows)})" if column.nulls else "0"
    return f"{nulls}, {column.nans:,} NaN" if column.nans else nulls


def distinct_text(column: Column) -> str:
    """How many values differ; `~` for an estimate."""
    if column.distinct is None:
        return ""
    return f"{'' if column.counted else '~'}{column.distinct:,}"


def length_text(column: Column) -> str:
    """The lengths, least to most."""
    if column.shortest is None:
        return ""
    return f"{column.shortest:,}" if column.shortest == column.longest else f"{column.shortest:,}..{column.longest:,}"


def frequent_text(items: Sequence[Frequent], rows: int, most: int) -> str:
    """The first of what is frequent, with their shares; nothing where every value stands alone."""
    if not items or (items[0].rows == 1 and rows > 1):
        return ""
    return ", ".join(f"{value_text(item.value) or repr(item.value)} {share(item.rows, rows)}" for item in items[:most])


def share(part: int, whole: int) -> str:
    """A part as a percentage that is 0% or 100% only where it is none or all."""
    if not whole or part in (0, whole):
        return "100%" if part else "0%"
    percent = 100 * part / whole
    return "<1%" if percent < 1 else ">99%" if percent > 99 else f"{percent:.0f}%"
