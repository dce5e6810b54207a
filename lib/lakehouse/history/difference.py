"""What a MERGE must do so that a target holds the rows that its events make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.frames import AT, HIDDEN_PREFIX, col, orderable, quoted
from lakehouse.history.events import NEW, by_key
from lakehouse.history.shape import Shape
from lakehouse.history.versions import END, IS_ROW, START, STARTED_NEW

KIND = f"{HIDDEN_PREFIX}kind"
"""What becomes of a row: INSERTED, UPDATED or DELETED."""

INSERTED, UPDATED, DELETED = "inserted", "updated", "deleted"
BY_NEW = f"{HIDDEN_PREFIX}by_new"
"""A new event caused it: a late event also moves the rows of others."""

_THEIRS = f"{HIDDEN_PREFIX}theirs_"
_ROW = f"{HIDDEN_PREFIX}row_of_key"
_HAS_OURS, _HAS_THEIRS = f"{HIDDEN_PREFIX}has_ours", f"{HIDDEN_PREFIX}has_theirs"


def difference(versions: DataFrame, present: DataFrame | None, shape: Shape) -> DataFrame:
    """All events of some keys, each with the row of the target that it makes, and the rows that no event makes any more.

    KIND says what becomes of the row; it is NULL for an event that makes none, and for a row that stays as it is.
    `present` are the target's rows of the same keys, None before there is a target; AT, where they have it, is kept.
    """
    rows = versions.withColumns(_bounds(shape)).withColumn(_ROW, F.when(col(IS_ROW), _row(shape)))
    if present is None:
        kind, found = F.when(col(IS_ROW), INSERTED), rows
    else:
        found = beside(rows, present.withColumn(_ROW, _row(shape)), (*shape.keys, _ROW))
        values = [name for name in columns(rows, shape) if name not in shape.identity]
        differs = F.when(col(IS_ROW) & any_differs(found, rows, values), UPDATED)
        kind = F.when(col(IS_ROW) & is_new(), INSERTED).when(is_missing(), DELETED).otherwise(differs)
    named = {shape.start: col(_ROW)} if shape.versioned else {}
    placed = {AT: theirs(found, AT)} if present is not None and AT in present.columns else {}
    return _flagged(found.withColumns({KIND: kind, **named, **placed}), [*rows.columns, *placed]).drop(_ROW)


def continuation(versions: DataFrame, shape: Shape) -> DataFrame:
    """The same of events that begin with the target's open rows and are newer otherwise: a row is new, is ended, or stays."""
    # of a row that new events go on with and then end, the last of them is what it becomes
    so_far = by_key(shape).rowsBetween(Window.unboundedPreceding, 0)
    placed = {AT: F.first(AT, ignorenulls=True).over(so_far)} if AT in versions.columns else {}
    rows = versions.withColumns({**_bounds(shape), **placed})
    kind = F.when(col(IS_ROW) & col(STARTED_NEW), INSERTED).when(col(IS_ROW) & col(END).isNotNull(), UPDATED)
    return _flagged(rows.withColumn(KIND, kind), rows.columns)


def _flagged(found: DataFrame, names: Sequence[str]) -> DataFrame:
    by_new = F.when(col(KIND) == INSERTED, col(STARTED_NEW)).otherwise(col(NEW) | col(STARTED_NEW))
    return found.select(*map(col, names), KIND, F.coalesce(by_new, F.lit(False)).alias(BY_NEW))


def changes(found: DataFrame, shape: Shape) -> DataFrame:
    """Of a difference the rows that change, as the target has them, with KIND and BY_NEW, and with AT where it is there."""
    beside = [name for name in (KIND, BY_NEW, AT) if name in found.columns]
    return found.where(col(KIND).isNotNull()).select(*map(col, columns(found, shape)), *beside)


def columns(versions: DataFrame, shape: Shape) -> list[str]:
    """The target's columns, as far as the events have had them."""
    return [name for name in (*shape.keys, *shape.kept, *shape.own) if name in versions.columns]


def _bounds(shape: Shape) -> dict[str, Column]:
    bounds = {shape.start: col(START), shape.end: col(END)} if shape.versioned else {}
    return {**bounds, **({shape.current: col(END).isNull()} if shape.current else {})}


def _row(shape: Shape) -> Column:
    """What tells a key's rows apart, ours (before they are named so) and theirs."""
    return col(shape.start) if shape.versioned else F.lit(True)


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
