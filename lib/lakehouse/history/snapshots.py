"""A full snapshot against the rows that a target has open: what is new, changed or missing, and what a MERGE does about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from lakehouse.frames import HIDDEN_PREFIX, any_null, col, orderable
from lakehouse.history.difference import (
    BY_NEW,
    DELETED,
    INSERTED,
    KIND,
    UPDATED,
    any_differs,
    beside,
    is_missing,
    is_new,
    theirs,
)

Strategy = Literal["full", "timestamp", "check"]
HardDeletes = Literal["ignore", "invalidate", "new_record"]

REVISED = "revised"
"""The KIND of an open row whose untracked columns change in place."""

NEVER_HELD = "never held"
"""The state of an open row whose start is not before the time at which its key went missing."""

MATCHED = f"{HIDDEN_PREFIX}matched"
"""The start of the open row that a change ends; NULL for a row that begins, which matches nothing."""

IS_DELETED = "__IS_DELETED"

_NEWEST, _LEAST, _MOST = f"{HIDDEN_PREFIX}newest", f"{HIDDEN_PREFIX}least", f"{HIDDEN_PREFIX}most"
_STATE, _SPARED = f"{HIDDEN_PREFIX}state", f"{HIDDEN_PREFIX}spared"
_BOUND, _OPEN_SINCE = f"{HIDDEN_PREFIX}bound", f"{HIDDEN_PREFIX}open_since"
_LAST_END = f"{HIDDEN_PREFIX}last_end"


@dataclass(frozen=True)
class SnapshotShape:
    """What each column of a snapshot's target is for.

    `compared` decide whether a row is another one, and of these `tracked` whether that opens a version.
    """

    keys: tuple[str, ...]
    kept: tuple[str, ...]
    compared: tuple[str, ...]
    tracked: tuple[str, ...]
    versioned: bool
    strategy: Strategy
    hard_deletes: HardDeletes
    updated_at: str | None
    start: str
    end: str
    current: str | None

    def without(self, names: Collection[str]) -> SnapshotShape:
        """The same of a target that does not keep these columns."""
        kept, compared_, tracked = (
            tuple(name for name in chosen if name not in names) for chosen in (self.kept, self.compared, self.tracked)
        )
        return replace(self, kept=kept, compared=compared_, tracked=tracked)

    @property
    def since(self) -> str | None:
        """The column that says since when a row holds; None where the snapshot's version says so."""
        return self.updated_at if self.strategy != "full" else None

    @property
    def marks_deleted(self) -> bool:
        """True where a key that went missing has a row that says so."""
        return self.hard_deletes == "new_record"


def one_per_key(rows: DataFrame, shape: SnapshotShape) -> DataFrame:
    """A row per key out of equal ones; see `clashes` for those that are not."""
    beside_ = [shape.since] if shape.since and shape.since not in shape.kept else []
    values = [*shape.kept, *beside_]
    order = F.struct(F.lit(0), *[orderable(name, rows.schema[name].dataType) for name in values])
    return rows.groupBy(*[col(name) for name in shape.keys]).agg(
        F.max_by(F.struct(*map(col, (*shape.keys, *values))), order).alias(_NEWEST),
        F.min(order).alias(_LEAST),
        F.max(order).alias(_MOST),
    )


def clashes() -> Column:
    """True for a key that has different rows."""
    return ~col(_LEAST).eqNullSafe(col(_MOST))


def rows_of(grouped: DataFrame) -> DataFrame:
    """The rows of `one_per_key`."""
    return grouped.select(f"{_NEWEST}.*")


def last_ends(rows: DataFrame, shape: SnapshotShape) -> DataFrame:
    """Up to when each key has rows that ended."""
    ended = rows.where(col(shape.end).isNotNull())
    return ended.groupBy(*map(col, shape.keys)).agg(F.max(col(shape.end)).alias(_LAST_END))


def compared(
    rows: DataFrame, present: DataFrame, spared: DataFrame | None, shape: SnapshotShape, version: Column,
    kind: DataType, ends: DataFrame | None = None,
) -> DataFrame:  # fmt: skip
    """The keys that changed, ours and theirs side by side; for `changes`.

    `rows` has one row per key, `present` the open rows; the keys of `spared` are not missing; `version` is the
    snapshot's, `kind` the type of the target's bounds; `ends` are the `last_ends`, where rows say since when they hold.
    """
    joined = beside(rows, present, shape.keys)
    if ends is not None:
        joined = joined.join(ends, on=list(shape.keys), how="left")
    if spared is not None:
        marked = spared.distinct().withColumn(_SPARED, F.lit(True))
        joined = joined.join(marked, on=list(shape.keys), how="left").where(~is_missing() | col(_SPARED).isNull())
    opened = joined.withColumn(_OPEN_SINCE, theirs(joined, shape.start).cast(kind))
    found = opened.withColumns({_STATE: _state(joined, rows, shape), _BOUND: _bound(opened, shape, version, kind)})
    found = found.where(col(_STATE).isNotNull())
    if not shape.versioned:
        return found
    # twice within one day of a date, a row that begins in the future, or a snapshot's row that is replayed
    no_room = col(_BOUND) <= col(_OPEN_SINCE)
    state = F.when(no_room & (col(_STATE) == UPDATED), REVISED).when(no_room & (col(_STATE) == DELETED), NEVER_HELD)
    return found.withColumn(_STATE, F.coalesce(state, col(_STATE)))


def _bound(joined: DataFrame, shape: SnapshotShape, version: Column, kind: DataType) -> Column:
    """When a row begins and the one before it ends: what the row says, unless that lies inside its key's rows."""
    if shape.since is None:
        return version.cast(kind)
    since = col(shape.since).cast(kind)
    stale, now = since <= col(_OPEN_SINCE), version.cast(kind)
    if _LAST_END in joined.columns:
        last_end = col(_LAST_END).cast(kind)
        stale, now = F.coalesce(stale, since < last_end), F.when(is_new(), F.greatest(now, last_end)).otherwise(now)
    return F.when(is_missing() | F.coalesce(stale, F.lit(False)), now).otherwise(since)


def changes(found: DataFrame, rows: DataFrame, shape: SnapshotShape) -> DataFrame:
    """The difference as rows of the target, with KIND, BY_NEW and MATCHED."""
    kept = [name for name in shape.kept if name in rows.columns]
    if not shape.versioned:
        beside_ = [col(_STATE).alias(KIND), (col(_STATE) != DELETED).alias(BY_NEW)]
        return found.select(*map(col, shape.keys), *map(col, kept), *beside_)
    parts = (_ended, _begun, _revised, _never_held)
    return reduce(DataFrame.unionByName, [part(found, kept, shape) for part in parts])


def _state(joined: DataFrame, rows: DataFrame, shape: SnapshotShape) -> Column:
    """INSERTED, UPDATED, REVISED, DELETED, or NULL where nothing changed."""
    was_deleted = F.coalesce(theirs(joined, IS_DELETED).cast("boolean"), F.lit(False))
    missing = F.lit(None) if shape.hard_deletes == "ignore" else F.when(~was_deleted, DELETED)
    changed = _is_changed(joined, rows, shape) | was_deleted
    found = F.when(is_new(), INSERTED).when(is_missing(), missing)
    if shape.strategy == "full" and shape.versioned and shape.tracked != shape.compared:
        opens = any_differs(joined, rows, shape.tracked) | was_deleted
        return found.when(opens, UPDATED).when(changed, REVISED)
    return found.when(changed, UPDATED)


def _is_changed(joined: DataFrame, rows: DataFrame, shape: SnapshotShape) -> Column:
    if shape.strategy != "timestamp" or shape.since is None:
        return any_differs(joined, rows, shape.compared)
    before = theirs(joined, shape.start if shape.versioned else shape.since)
    return F.coalesce(before < col(shape.since), F.lit(False))


def _ended(found: DataFrame, kept: list[str], shape: SnapshotShape) -> DataFrame:
    """The open rows that end."""
    nothing = [F.lit(None).cast(found.schema[name].dataType).alias(name) for name in kept]
    rows = found.where(col(_STATE).isin(UPDATED, DELETED))
    return rows.select(
        *map(col, shape.keys), *nothing, col(_OPEN_SINCE).alias(shape.start), col(_BOUND).alias(shape.end),
        *_flags(shape, current=False, deleted=F.lit(None).cast("boolean")),
        F.lit(UPDATED).alias(KIND), F.lit(False).alias(BY_NEW), col(_OPEN_SINCE).alias(MATCHED),
    )  # fmt: skip


def _begun(found: DataFrame, kept: list[str], shape: SnapshotShape) -> DataFrame:
    """The rows that begin; of a key that went missing with the values that it had."""
    gone = col(_STATE) == DELETED
    begins = (INSERTED, UPDATED, DELETED) if shape.marks_deleted else (INSERTED, UPDATED)
    rows = found.where(col(_STATE).isin(*begins))
    values = [F.when(gone, theirs(found, name)).otherwise(col(name)).alias(name) for name in kept]
    nothing = F.lit(None).cast(found.schema[_BOUND].dataType)
    return rows.select(
        *map(col, shape.keys), *values, col(_BOUND).alias(shape.start), nothing.alias(shape.end),
        *_flags(shape, current=True, deleted=gone),
        F.lit(INSERTED).alias(KIND), (~gone).alias(BY_NEW), nothing.alias(MATCHED),
    )  # fmt: skip


def _revised(found: DataFrame, kept: list[str], shape: SnapshotShape) -> DataFrame:
    """The open rows that get other values and stay open."""
    nothing = F.lit(None).cast(found.schema[_BOUND].dataType)
    return found.where(col(_STATE) == REVISED).select(
        *map(col, shape.keys), *map(col, kept), col(_OPEN_SINCE).alias(shape.start), nothing.alias(shape.end),
        *_flags(shape, current=True, deleted=F.lit(False)),
        F.lit(REVISED).alias(KIND), F.lit(True).alias(BY_NEW), col(_OPEN_SINCE).alias(MATCHED),
    )  # fmt: skip


def _never_held(found: DataFrame, kept: list[str], shape: SnapshotShape) -> DataFrame:
    """The open rows that had not begun when their key went missing: taken out, or the row that says so from then on."""
    values = [theirs(found, name).alias(name) for name in kept]
    nothing = F.lit(None).cast(found.schema[_BOUND].dataType)
    return found.where(col(_STATE) == NEVER_HELD).select(
        *map(col, shape.keys), *values, col(_OPEN_SINCE).alias(shape.start), nothing.alias(shape.end),
        *_flags(shape, current=True, deleted=F.lit(True)),
        F.lit(REVISED if shape.marks_deleted else DELETED).alias(KIND), F.lit(False).alias(BY_NEW),
        col(_OPEN_SINCE).alias(MATCHED),
    )  # fmt: skip


def counters() -> list[Column]:
    """The changed keys by what became of them."""
    return [
        F.count_if(col(_STATE) == state).alias(state) for state in (INSERTED, UPDATED, REVISED, DELETED, NEVER_HELD)
    ]


def _flags(shape: SnapshotShape, *, current: bool, deleted: Column) -> list[Column]:
    found = [F.lit(current).alias(shape.current)] if shape.current else []
    return [*found, *([deleted.alias(IS_DELETED)] if shape.marks_deleted else [])]


def ending(shape: SnapshotShape) -> list[str]:
    """The columns that change where a row ends."""
    return [shape.end, *([shape.current] if shape.current else [])]


def is_invalid(shape: SnapshotShape) -> Column:
    """True for a row without a whole key, or without the column that says since when it holds."""
    return any_null([*shape.keys, *([shape.since] if shape.since else [])])
