"""What a MERGE must do so that a target holds the rows that its events make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import HIDDEN_PREFIX, col, orderable, quoted
from lakehouse.history.events import NEW
from lakehouse.history.shape import Shape
from lakehouse.history.versions import END, IS_ROW, START, STARTED_NEW

KIND = f"{HIDDEN_PREFIX}kind"
"""What becomes of a row: INSERTED, UPDATED or DELETED."""

INSERTED, UPDATED, DELETED = "inserted", "updated", "deleted"
BY_NEW = f"{HIDDEN_PREFIX}by_new"
"""A new event caused it: a late event also moves the rows of others."""

_THEIRS = f"{HIDDEN_PREFIX}theirs_"
_HAS_OURS, _HAS_THEIRS = f"{HIDDEN_PREFIX}has_ours", f"{HIDDEN_PREFIX}has_theirs"


def target_rows(versions: DataFrame, shape: Shape) -> DataFrame:
    """The rows of the target, with NEW and STARTED_NEW beside them."""
    rows = versions.where(col(IS_ROW))
    bounds = {shape.start: col(START), shape.end: col(END)} if shape.versioned else {}
    current = {shape.current: col(END).isNull()} if shape.current else {}
    kept = [*shape.keys, *(name for name in shape.kept if name in rows.columns)]
    beside = [name for name in shape.own if name in rows.columns]
    named = {**{name: col(name) for name in (*kept, *beside)}, **bounds, **current}
    return rows.select(*[value.alias(name) for name, value in named.items()], col(NEW), col(STARTED_NEW))


def all_inserted(rows: DataFrame) -> DataFrame:
    """The difference from a target that is not there yet."""
    beside = [F.lit(INSERTED).alias(KIND), col(STARTED_NEW).alias(BY_NEW)]
    return rows.select(*[col(name) for name in rows.columns if name not in (NEW, STARTED_NEW)], *beside)


def difference(rows: DataFrame, present: DataFrame, shape: Shape) -> DataFrame:
    """The rows that the target lacks, has otherwise or has too much, each with its KIND and BY_NEW.

    `present` are the target's rows of the same keys.
    """
    values = [name for name in rows.columns if name not in (*shape.identity, NEW, STARTED_NEW)]
    joined = beside(rows, present, shape.identity)
    kind = F.when(is_new(), INSERTED).when(is_missing(), DELETED).when(any_differs(joined, rows, values), UPDATED)
    by_new = F.when(is_new(), col(STARTED_NEW)).otherwise(col(NEW) | col(STARTED_NEW))
    added = [kind.alias(KIND), F.coalesce(by_new, F.lit(False)).alias(BY_NEW)]
    return joined.select(*map(col, shape.identity), *map(col, values), *added).where(col(KIND).isNotNull())


def beside(rows: DataFrame, present: DataFrame, identity: Sequence[str]) -> DataFrame:
    """Ours and theirs in one row by their identity; their other columns under names of their own, see `theirs`."""
    spelled = {name.lower(): name for name in present.columns}
    keys = {name.lower() for name in identity}
    ours = rows.withColumn(_HAS_OURS, F.lit(True))
    other = present.select(
        *[col(spelled[name.lower()]).alias(name) for name in identity],
        *[col(name).alias(f"{_THEIRS}{name.lower()}") for name in present.columns if name.lower() not in keys],
        F.lit(True).alias(_HAS_THEIRS),
    )
    return ours.join(other, on=list(identity), how="full_outer")


def theirs(joined: DataFrame, name: str) -> Column:
    """The target's value of a column; NULL where the target has no such column."""
    hidden = f"{_THEIRS}{name.lower()}"
    return col(hidden) if hidden in joined.columns else F.lit(None)


def is_new() -> Column:
    """The target does not have the row."""
    return col(_HAS_THEIRS).isNull()


def is_missing() -> Column:
    """Only the target has the row."""
    return col(_HAS_OURS).isNull()


def any_differs(joined: DataFrame, rows: DataFrame, names: Sequence[str]) -> Column:
    """True where one of the columns is another value than the target's, NULLs alike."""
    return reduce(Column.__or__, [_differs(joined, rows, name) for name in names], F.lit(False))


def _differs(joined: DataFrame, rows: DataFrame, name: str) -> Column:
    hidden = f"{_THEIRS}{name.lower()}"
    theirs_ = orderable(hidden, joined.schema[hidden].dataType) if hidden in joined.columns else F.lit(None)
    ours = orderable(name, rows.schema[name].dataType) if name in rows.columns else F.lit(None)
    return ~ours.eqNullSafe(theirs_)


def counters() -> list[Column]:
    """The changes by kind, and how many of them a new event caused."""
    kinds = (INSERTED, UPDATED, DELETED)
    found = [F.count_if(col(KIND) == kind).alias(kind) for kind in kinds]
    caused = [F.count_if((col(KIND) == kind) & col(BY_NEW)).alias(f"{kind}_by_new") for kind in (INSERTED, UPDATED)]
    return [*found, *caused]


def is_kind(kind: str) -> str:
    """The condition of a MERGE's clause."""
    return f"source.{quoted(KIND)} = '{kind}'"
