"""Rules that a profile suggests: all of them hold for the table that was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from lakehouse.config.variables import escaped
from lakehouse.config.yaml_text import yaml_text
from lakehouse.profiling.table_profile import Column, Profile

_FEW = 20
_NEARLY_ALL = 0.97  # of the rows: what the estimate of distinct values can miss


def suggested_rules(profile: Profile, now: datetime) -> str:
    """The rules as YAML, to be put under a job's or a contract's `rules:`; bronze's own columns have none.

    Of personal columns no value is told.
    """
    columns = [column for column in profile.columns if not column.name.startswith("_") and column.rows]
    rules = [rule for column in columns for rule in _rules(column, now)]
    head = (
        f"# suggested by {profile.table}, version {profile.version}, {profile.rows:,} rows; all of them hold for it\n"
    )
    unique = [f"# {column.name} looks unique\n" for column in columns if _looks_unique(column)]
    return head + "".join(unique) + yaml_text({"rules": escaped(rules)})


def _rules(column: Column, now: datetime) -> Iterator[dict[str, dict[str, Any]]]:
    name = column.reference
    if not column.nulls:
        yield {"not_null": {"column": name}}
    if _has_few_values(column):
        yield {"accepted_values": {"column": name, "values": [item.value for item in column.top]}}
    elif column.pattern is not None:
        yield {"matches": {"column": name, "pattern": column.pattern}}
    if column.kind in ("whole", "decimal", "float") and _is_bounded(column) and not _looks_unique(column):
        yield {"in_range": {"column": name, "min": _number(column.min), "max": _number(column.max)}}
    if column.kind == "time" and isinstance(column.max, date) and _moment(column.max) <= now:
        yield {"not_in_future": {"column": name}}


def _has_few_values(column: Column) -> bool:
    """True for text whose values come again and again."""
    few = column.distinct is not None and column.distinct <= _FEW and column.present >= 2 * column.distinct
    return column.kind == "text" and column.all_values and few and not column.personal


def _is_bounded(column: Column) -> bool:
    """NaN is in no range, infinity is no bound, and one value alone makes none."""
    bounds = (column.min, column.max)
    return (
        not column.personal
        and not column.nans
        and column.min != column.max
        and all(item is not None and math.isfinite(item) for item in bounds)
    )


def _looks_unique(column: Column) -> bool:
    return column.kind in ("whole", "text") and not column.nulls and (column.distinct or 0) >= _NEARLY_ALL * column.rows


def _number(value: Any) -> int | float:
    return float(value) if isinstance(value, Decimal) else value


def _moment(value: date) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time.min)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
