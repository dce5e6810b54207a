"""What a change-data target may forget: events that no later one can matter to, and with `state_retention` those behind it.

Of each key stay the events of the last `state_retention` before its newest, the last one before these, and the first of
that one's run. The rows of the target that end before it are settled: they are neither compared nor changed any more.
"""

from __future__ import annotations

from datetime import timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.change_data.unfit import time_of
from lakehouse.frames import HIDDEN_PREFIX, col
from lakehouse.history import versions as made
from lakehouse.history.events import (
    NEW,
    OPERATION,
    SEQUENCE,
    SETTLED,
    TRUNCATE,
    UPSERT,
    after_truncate,
    by_key,
    per_key,
    winners,
)
from lakehouse.history.shape import CHANGED_AT, Shape

_NEWEST, _FLOOR = f"{HIDDEN_PREFIX}newest", f"{HIDDEN_PREFIX}floor"
_LAST, _FIRST, _OLDEST = f"{HIDDEN_PREFIX}last", f"{HIDDEN_PREFIX}first", f"{HIDDEN_PREFIX}oldest"
_FOLLOWING = f"{HIDDEN_PREFIX}next"


def needed(known: DataFrame, shape: Shape, length: timedelta | None) -> DataFrame:
    """The events that can still matter, in the log's columns; with SETTLED on the first of a key of which some are gone.

    Without a `length` nothing is lost: only what other events outrank for ever is left out.
    """
    columns = known.columns if length is None else list(dict.fromkeys([*known.columns, SETTLED]))
    rows = (
        known
        if SETTLED in known.columns
        else known.withColumn(SETTLED, F.lit(None).cast(known.schema[SEQUENCE].dataType))
    )
    alive = winners(after_truncate(rows.withColumn(NEW, F.lit(False))), shape)
    truncates = alive.where(col(OPERATION) == TRUNCATE).orderBy(col(SEQUENCE).desc()).limit(1)
    keyed = alive.where(col(OPERATION) != TRUNCATE)
    if not shape.remembers_all:
        newest = keyed.withColumn(_NEWEST, F.max(SEQUENCE).over(per_key(shape))).where(col(SEQUENCE) == col(_NEWEST))
        return newest.unionByName(truncates, allowMissingColumns=True).select(*map(col, columns))
    if length is not None:
        keyed = _recent(made.with_versions(keyed, shape), shape, length)
    return keyed.unionByName(truncates, allowMissingColumns=True).select(*map(col, columns))


def _recent(rows: DataFrame, shape: Shape, length: timedelta) -> DataFrame:
    key = per_key(shape)
    horizon = F.max(time_of(rows, SEQUENCE)).over(key) - F.lit(length)
    before = rows.withColumn(_LAST, F.max(F.when(time_of(rows, SEQUENCE) < horizon, col(SEQUENCE))).over(key))
    is_last = col(SEQUENCE) == col(_LAST)
    first = F.when((col(OPERATION) == UPSERT) & F.lit(shape.versioned), col(made.START)).otherwise(col(SEQUENCE))
    found = before.withColumns({
        _FIRST: F.max(F.when(is_last, first)).over(key),
        _OLDEST: F.min(SEQUENCE).over(key),
        _FOLLOWING: F.lead(SEQUENCE).over(by_key(shape)),
    })  # fmt: skip
    changed = [F.max(F.when(is_last, col(f"{name}{CHANGED_AT}"))).over(key) for name in shape.previous]
    found = found.withColumns({f"{_LAST}{index}": value for index, value in enumerate(changed)})
    previous = [col(f"{_LAST}{index}") for index, _ in enumerate(shape.previous)]
    kept = [col(SEQUENCE) == col(_FIRST), *[(col(SEQUENCE) == at) | (col(_FOLLOWING) == at) for at in previous]]
    is_kept = (
        col(_LAST).isNull() | (col(SEQUENCE) >= col(_LAST)) | F.coalesce(reduce(Column.__or__, kept), F.lit(False))
    )
    is_first = (col(SEQUENCE) == col(_FIRST)) & (col(_OLDEST) < col(_FIRST))
    settled = F.when(is_first, col(_FIRST)).otherwise(col(SETTLED)) if shape.versioned else col(SETTLED)
    given = {
        name: F.when(col(SEQUENCE) <= col(_LAST), col(name)).otherwise(made.as_given(found, name))
        for name in shape.filled
    }
    return found.where(is_kept).withColumns({SETTLED: settled, **given})


def unsettled(rows: DataFrame, known: DataFrame, shape: Shape) -> DataFrame:
    """The rows of a target that the known events of their keys still decide."""
    bounds = known.where(col(SETTLED).isNotNull()).groupBy(*map(col, shape.keys)).agg(F.max(SETTLED).alias(_FLOOR))
    joined = rows.join(F.broadcast(bounds), on=list(shape.keys), how="left")
    return joined.where(col(_FLOOR).isNull() | (col(shape.start) >= col(_FLOOR))).drop(_FLOOR)
