"""What a batch of change data comes to: the events that decide its keys, and the rows of the target that they change.

A batch reads the events of its own keys alone, in the files that can hold them, or, where it is newer than all of them,
only the open rows of a history; a truncate reads all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse import lake, row_places
from lakehouse.change_data import event_log
from lakehouse.change_data.batch_events import Batch, of_keys
from lakehouse.change_data.event_log import EventLog
from lakehouse.change_data.retention import unsettled
from lakehouse.change_data.widening import target_types, widened
from lakehouse.frames import AT, col, quoted
from lakehouse.history import difference as diff
from lakehouse.history import versions as made
from lakehouse.history.events import NEW, OPERATION, SEQUENCE, SETTLED, TRUNCATE, after_truncate, open_events, winners
from lakehouse.history.shape import Shape
from lakehouse.holding import FEW, held
from lakehouse.key_ranges import within
from lakehouse.targets import Write

_FILE_ROWS, _MOST_FILES = 250_000, 1_000  # what a first load becomes


@dataclass(frozen=True)
class Outcome:
    """What a batch comes to: `history` are the events that decide it, `changes` the rows of the target that differ.

    `open_alone`: of a history it changes open rows alone.
    """

    history: DataFrame
    changes: DataFrame
    kinds: Mapping[str, int]
    open_alone: bool

    @property
    def total(self) -> int:
        """How many rows of the target change."""
        return sum(self.kinds[kind] for kind in (diff.INSERTED, diff.UPDATED, diff.DELETED))


@dataclass(frozen=True)
class Target:
    """Where the changes go."""

    write: Write
    table: str
    before: lake.Snapshot | None
    log: EventLog
    shape: Shape
    meaning: Mapping[str, Any]
    retention: timedelta | None = None


def outcome(batch: Batch, target: Target, truncating: bool) -> Outcome | None:
    """Works out, and holds, the events that decide the batch's keys and every row of the target that they change.

    None where no event is new: the target has what they make.
    """
    shape, goes_on = target.shape, _goes_on(batch, target)
    open_alone = goes_on and shape.versioned
    present = _present(batch, target, open_alone=open_alone)
    if present is not None and open_alone:
        rows = _continued(batch, present, target)
    else:
        known = None if goes_on else _known(batch, target, truncating)
        if known is not None and present is not None and SETTLED in known.columns and shape.versioned:
            present = unsettled(present, known, shape)
        rows = diff.difference(_history(batch, known, target, truncating), present, shape)
    counted = [F.count_if(is_remembered(shape)).alias("remembered"), F.count_if(col(made.CLOSES)).alias("closes")]
    history, seen = held(rows, *counted, *diff.counters())
    return Outcome(history, diff.changes(history, shape), seen, open_alone) if seen["remembered"] else None


def _present(batch: Batch, target: Target, *, open_alone: bool) -> DataFrame | None:
    """The target's rows of the batch's keys, or of these the open ones, None before there is a target; lazy."""
    before, is_open = target.before, f"{quoted(target.shape.end)} IS NULL" if open_alone else ""
    if before is None:
        return None
    condition, placed = touched(batch, target.shape, open_alone=open_alone), row_places.can_be_taken_out(before)
    rows = row_places.read_files(target.write.spark, before.path, before.version, condition, placed=placed)
    rows = widened(rows, target_types(batch.events, target.shape), allowed=True, table=target.table)
    rows = rows.where(is_open) if is_open else rows
    return rows if batch.truncates else of_keys(rows, batch, target.shape)


def touched(batch: Batch, shape: Shape, *, open_alone: bool) -> str:
    """A condition of every row of the target that the batch can change; '' where that is any."""
    is_open = f"{quoted(shape.end)} IS NULL" if open_alone else ""
    return "" if batch.truncates else " AND ".join(filter(None, (within(batch.ranges), is_open)))


def _goes_on(batch: Batch, target: Target) -> bool:
    """True where the target says all that matters of earlier events: each of the batch is newer than all of these."""
    shape, before = target.shape, target.before
    says_all = not shape.previous and (shape.versioned or not shape.filled) and not batch.truncates
    if not says_all or before is None or batch.span is None or not batch.span.is_newer(target.log.note):
        return False
    if not shape.versioned:
        return True
    return _kinds(before.schema).items() >= _needed_kinds(batch, target).items()


def _needed_kinds(batch: Batch, target: Target) -> dict[str, str]:
    """What the columns of a target are that holds all that earlier events said: not one of them is gone or yet to be widened."""
    shape, known = target.shape, _kinds(target.log.schema)
    kinds = {**known, **_kinds(batch.events.schema)}
    names = [name.lower() for name in (*shape.keys, *shape.kept)]
    return {**{name: kinds[name] for name in names if name in known}, shape.start.lower(): kinds[SEQUENCE]}


def _kinds(schema: StructType) -> dict[str, str]:
    return {column.name.lower(): column.dataType.simpleString() for column in schema}


def _continued(batch: Batch, opened: DataFrame, target: Target) -> DataFrame:
    """The difference of a history whose events so far are known by its open rows; lazy."""
    shape = target.shape
    if {*shape.tracked} == {*shape.kept}:
        return diff.continuation(_history(batch, open_events(opened, shape), target, truncating=False), shape)
    versions = _history(batch, open_events(opened.drop(AT), shape), target, truncating=False)
    return diff.difference(versions, opened, shape)


def _known(batch: Batch, target: Target, truncating: bool) -> DataFrame | None:
    """The events of the batch's keys that are in the log, and the truncates where there may be some; lazy."""

    def read(condition: str) -> DataFrame | None:
        rows = event_log.read(target.write, target.log, condition)
        if rows is None:
            return None
        return widened(rows, batch.events.schema, allowed=True, table=target.table).withColumn(NEW, F.lit(False))

    known = read("" if batch.truncates else within(batch.ranges))
    if known is None or batch.truncates:
        return known
    found, all_ = of_keys(known, batch, target.shape), read("") if truncating else None
    return found if all_ is None else found.unionByName(all_.where(col(OPERATION) == TRUNCATE))


def _history(batch: Batch, known: DataFrame | None, target: Target, truncating: bool) -> DataFrame:
    """Every event of the batch's keys, known or new, with what it makes of its key's history; lazy."""
    lacking = [field for field in target.log.schema if field.name in {*target.shape.kept} - {*batch.events.columns}]
    found = batch.events.withColumns(
        {NEW: F.lit(True), **{field.name: F.lit(None).cast(field.dataType) for field in lacking}}
    )
    if known is not None:
        found = known.unionByName(found, allowMissingColumns=True)
    elif target.before is None and batch.rows > FEW:  # the target's first files, each with its own range of keys
        files = min(max(batch.rows // _FILE_ROWS, 2), _MOST_FILES)
        found = found.repartitionByRange(files, *map(col, target.shape.keys))
    if truncating:
        found = after_truncate(found)
    return made.with_versions(winners(found, target.shape), target.shape)


def is_remembered(shape: Shape) -> Column:
    """A new event that can still decide something: where only a key's newest counts, older ones never will."""
    return col(NEW) if shape.remembers_all else col(NEW) & col(made.END).isNull()
