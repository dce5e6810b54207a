"""A table that others made as a change-data target: its rows become the events that it is made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse import lake
from lakehouse.change_data import event_log
from lakehouse.change_data.event_log import EventLog
from lakehouse.errors import DataError, counted
from lakehouse.frames import HIDDEN_PREFIX, NAMED, any_null, col, named, orderable, require_columns
from lakehouse.history.events import DELETE, OPERATION, SEQUENCE, UPSERT, sequence
from lakehouse.history.shape import Shape
from lakehouse.history.snapshots import SnapshotShape
from lakehouse.holding import held
from lakehouse.targets import Write, Written

_NEXT, _BAD, _SAME = f"{HIDDEN_PREFIX}next", f"{HIDDEN_PREFIX}bad", f"{HIDDEN_PREFIX}same"


def adopted(
    before: lake.Snapshot, write: Write, log: EventLog, shape: Shape, table: str, meaning: Mapping[str, Any]
) -> Written:
    """Remembers each row of the table as the event that it began with, and each gap after one as a delete.

    Raises DataError where the rows are no history: a NULL key or start, a row that ends before it starts, rows of one
    key that overlap; of a table without versions, where a key has several rows.
    """
    if shape.previous and not shape.versioned:
        raise DataError(f"{table}: what came before a previous value is not in the table; scd3 can only be rebuilt")
    rows = lake.read(write.spark, before.path, version=before.version)
    bounds = [shape.start, shape.end] if shape.versioned else list(shape.sequence)
    try:
        require_columns(rows, [*shape.keys, *bounds])
    except ValueError as error:
        raise DataError(f"{table} cannot be adopted: {error}") from error
    judged = _versions(rows, shape) if shape.versioned else _states(rows, shape)
    aggregates = (F.count(F.lit(1)).alias("rows"), F.count_if(_BAD).alias("bad"), F.count_if(_SAME).alias("same"))
    found, counts = held(judged, *aggregates)
    if counts["bad"]:
        raise DataError(_said_of_bad(found, [*shape.keys, *bounds], table, int(counts["bad"]), write.masked))
    event_log.append(_events(found, shape), write, log, changes=0, meaning=meaning)
    notes = [f"{counted(counts['rows'], 'row')} adopted"]
    if counts["same"]:
        notes.append(f"{counts['same']:,} of them with the values of the row before: one row once the key changes")
    return Written(table, None, 0, notes=tuple(notes))


def _said_of_bad(rows: DataFrame, names: Sequence[str], table: str, count: int, masked: Collection[str]) -> str:
    shown = rows.where(_BAD).select(*map(col, names)).limit(NAMED).collect()
    return (
        f"{table} cannot be adopted: {counted(count, 'row has', 'rows have')} a NULL in key, start or sequence, an end before "
        f"the start, or another row of the key at that time: {named(names, shown, masked)}"
    )


def _versions(rows: DataFrame, shape: Shape) -> DataFrame:
    """The rows of a history, each with the start of its key's next one."""
    keyed = Window.partitionBy(*map(col, shape.keys)).orderBy(col(shape.start).asc_nulls_first())
    following = rows.withColumn(_NEXT, F.lead(col(shape.start)).over(keyed))
    start, end = col(shape.start), col(shape.end)
    bad = (
        any_null([*shape.keys, shape.start])
        | (end <= start)
        | (col(_NEXT) < end)
        | (end.isNull() & col(_NEXT).isNotNull())
    )
    tracked = [name for name in shape.tracked if name in rows.columns]
    values = F.struct(F.lit(0), *[orderable(name, rows.schema[name].dataType) for name in tracked])
    touches = F.lag(col(shape.end)).over(keyed) == start
    same = touches & F.lag(values).over(keyed).eqNullSafe(values)
    return following.withColumns({_BAD: F.coalesce(bad, F.lit(False)), _SAME: F.coalesce(same, F.lit(False))})


def _states(rows: DataFrame, shape: Shape) -> DataFrame:
    """The rows of a table that holds one a key."""
    several = F.count(F.lit(1)).over(Window.partitionBy(*map(col, shape.keys))) > 1
    return rows.withColumns({_BAD: several | any_null([*shape.keys, *shape.sequence]), _SAME: F.lit(False)})


def _events(rows: DataFrame, shape: Shape) -> DataFrame:
    kept = [name for name in shape.kept if name in rows.columns]
    nothing = [F.lit(None).cast(rows.schema[name].dataType).alias(name) for name in kept]
    keys, run = [col(name) for name in shape.keys], F.lit(None).cast("string").alias(event_log.RUN)

    def made(found: DataFrame, order: Column, operation: str, values: Sequence[Column]) -> DataFrame:
        return found.select(*keys, *values, order.alias(SEQUENCE), F.lit(operation).alias(OPERATION), run)

    upserts = made(rows, col(shape.start) if shape.versioned else sequence(shape), UPSERT, [col(name) for name in kept])
    if not shape.versioned:
        return upserts
    ended = rows.where(col(shape.end).isNotNull() & ~col(_NEXT).eqNullSafe(col(shape.end)))
    return upserts.unionByName(made(ended, col(shape.end), DELETE, nothing))


def last_version(before: lake.Snapshot, write: Write, shape: SnapshotShape) -> str | None:
    """The newest bound in a table of snapshots, as text: the last one that it holds a trace of."""
    rows = lake.read(write.spark, before.path, version=before.version)
    newest = rows.agg(F.max(F.greatest(col(shape.start), col(shape.end))).cast("string")).first()
    return None if newest is None else newest[0]
