"""Change data into a target: the events of a batch, what they and all earlier ones make, and the one commit that follows.

A batch reads the events of its own keys alone, in the files that can hold them, or, where it is newer than all of them,
only the open rows of a history; a truncate reads all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse import lake
from lakehouse.change_data import event_log
from lakehouse.change_data.adoption import adopted
from lakehouse.change_data.agreement import link
from lakehouse.change_data.batch_events import Batch, materialised, of_keys
from lakehouse.change_data.event_log import EventLog
from lakehouse.change_data.memory import completed, remembering
from lakehouse.change_data.retention import needed, unsettled
from lakehouse.change_data.unfit import require_time
from lakehouse.change_data.widening import Keyed, target_types, widened
from lakehouse.commits import CommitInfo
from lakehouse.errors import SinkError
from lakehouse.frames import FILE, HIDDEN_PREFIX, col, hidden, quoted, require_columns, visible
from lakehouse.history import difference as diff
from lakehouse.history import versions as made
from lakehouse.history.events import (
    NEW,
    OPERATION,
    SEQUENCE,
    SETTLED,
    after_truncate,
    events,
    open_events,
    winners,
)
from lakehouse.history.shape import Options, Shape, shaped
from lakehouse.holding import FEW, held, sized
from lakehouse.intervals import marked
from lakehouse.key_ranges import within
from lakehouse.registry import length_of
from lakehouse.targets import Write, Written, aligned, earlier_write, require_commit, save_rows, with_comments
from lakehouse.upserts import assigned, same_keys

_FILE_ROWS, _MOST_FILES = 250_000, 1_000  # what a first load becomes


@dataclass(frozen=True)
class _Found:
    """What a batch comes to: `history` are the events that decide it, `changes` the rows of the target that differ.

    `goes_on`: of what is there it changes open rows alone.
    """

    history: DataFrame
    changes: DataFrame
    kinds: Mapping[str, int]
    goes_on: bool = False

    @property
    def total(self) -> int:
        """How many rows of the target change."""
        return sum(self.kinds[kind] for kind in (diff.INSERTED, diff.UPDATED, diff.DELETED))


@dataclass(frozen=True)
class _Target:
    """Where the changes go."""

    write: Write
    table: str
    before: lake.Snapshot | None
    log: EventLog
    shape: Shape
    meaning: Mapping[str, Any]
    retention: timedelta | None = None


def apply(
    df: DataFrame, write: Write, table: str, options: Options, *, deletes: str | None, truncates: str | None = None
) -> Written:
    """Brings the target to what all events so far make, in one commit; none where nothing changes.

    Raises ValueError for options that do not fit the frame, DataError for events without a key or a sequence.
    """
    before = lake.snapshot(write.spark, write.layout.table(table))
    earlier = earlier_write(before, write)
    if earlier is not None:
        return replace(_written(table, earlier, earlier.note), repeated=True)
    meaning = options.meaning()
    log = event_log.opened(write, table, before, meaning)
    known = [name for name in log.schema.names if not name.startswith(HIDDEN_PREFIX)]
    if write.adopts and before is not None:
        return adopted(before, write, log, shaped(options, visible(df), known), table, meaning)
    conditions = {"apply_as_deletes": deletes, "apply_as_truncates": truncates}
    df = completed(df, log, {"except_column_list": options.columns.excluded}, conditions)
    shape = shaped(options, visible(df), known)
    write, notes = remembering(df, write, log, (*shape.keys, *shape.kept), conditions)
    target = _Target(write, table, before, log, shape, meaning, _retention(options, df, log, table))
    given, ignored = _given(df, target, deletes, truncates)
    batch = materialised(given, target.shape, write, table)
    if not batch.rows:
        return Written(table, None, 0, ignored=ignored, notes=notes)
    with sized(write.spark, None if batch.truncates else batch.rows):
        written, note = _applied(batch, target, truncates is not None)
    _tidy(target, note)
    return replace(written, ignored=ignored, notes=notes)


def _retention(options: Options, df: DataFrame, log: EventLog, table: str) -> timedelta | None:
    """How long an event is remembered behind its key's newest; None for ever."""
    if options.state_retention is None:
        if SETTLED in log.schema.names:
            raise SinkError(f"{table} has forgotten events under state_retention; keep it, or run with --full-refresh")
        return None
    require_columns(df, options.sequence_by)
    require_time(df.schema[options.sequence_by[0]].dataType, options.sequence_by[0])
    return length_of(options.state_retention)


def _given(
    df: DataFrame, target: _Target, deletes: str | None, truncates: str | None
) -> tuple[DataFrame, tuple[str, ...]]:
    """The frame's events in the types of the log, and the columns left out because the target takes no new ones."""
    found = events(df, target.shape, deletes, truncates)
    rows, ignored = aligned(found, target.before, target.write, target.table, types=False, carried=hidden(found))
    allowed = target.write.settings.type_widening
    keyed = Keyed(target.shape.keys, target.write.masked)
    return widened(rows, target.log.schema, allowed=allowed, table=target.table, keyed=keyed), tuple(ignored)


def _applied(batch: Batch, target: _Target, truncating: bool) -> tuple[Written, Mapping[str, Any]]:
    """What the batch did to the target, and what the log notes of it."""
    found = _found(batch, target, truncating)
    if found is None:
        return Written(target.table, None, batch.rows, unchanged=batch.rows), {}
    counts = _counts(batch, found, target.shape)
    target = replace(target, write=replace(target.write, commit=replace(
        target.write.commit, note={**target.write.commit.note, **counts, **link(target.log.table)})))  # fmt: skip
    # of a history: an event after all others outranks none of them, nor will another outrank it unseen
    needed = target.shape.versioned and target.retention is None and (found.goes_on or target.log.table is None)
    note = event_log.append(
        _remembered(found.history, target), target.write, target.log, changes=found.total, meaning=target.meaning,
        number=found.kinds["remembered"], needed=needed, span=batch.span,
    )  # fmt: skip
    return _written(target.table, _commit(found, batch, target), counts), note


def _tidy(target: _Target, note: Mapping[str, Any]) -> None:
    """Takes needless events out of the log once half of it may be so, else puts its small files together."""
    if event_log.is_due(note):
        events_ = lake.read(target.write.spark, target.log.path)
        event_log.tidied(needed(events_, target.shape, target.retention), target.write, target.log.path, note)
    else:
        event_log.compacted(target.write, target.log)


def _found(batch: Batch, target: _Target, truncating: bool) -> _Found | None:
    """Works out, and holds, the events that decide the batch's keys and every row of the target that they change.

    None where no event is new: the target has what they make.
    """
    shape, present = target.shape, _present(batch, target)
    goes_on = present is not None and _goes_on(batch, present, target)
    if present is not None and goes_on and shape.versioned:
        rows = _continued(batch, present.where(col(shape.end).isNull()), shape)
    else:
        known = None if goes_on else _known(batch, target, truncating)
        if known is not None and present is not None and SETTLED in known.columns and shape.versioned:
            present = unsettled(present, known, shape)
        rows = diff.difference(_history(batch, known, shape, truncating), present, shape)
    counted = [F.count_if(_is_remembered(shape)).alias("remembered"), F.count_if(col(made.CLOSES)).alias("closes")]
    history, seen = held(rows, *counted, *diff.counters())
    return _Found(history, diff.changes(history, shape), seen, goes_on) if seen["remembered"] else None


def _present(batch: Batch, target: _Target) -> DataFrame | None:
    """The target's rows of the batch's keys, None before there is a target; lazy."""
    if target.before is None:
        return None
    rows = lake.read(target.write.spark, target.before.path, version=target.before.version)
    rows = widened(rows, target_types(batch.events, target.shape), allowed=True, table=target.table)
    return rows if batch.truncates else of_keys(rows, batch, target.shape)


def _goes_on(batch: Batch, present: DataFrame, target: _Target) -> bool:
    """True where the target says all that matters of earlier events: each of the batch is newer than all of these."""
    shape = target.shape
    says_all = not shape.previous and (shape.versioned or not shape.filled) and not batch.truncates
    if not says_all or batch.span is None or not batch.span.is_newer(target.log.note):
        return False
    if not shape.versioned:
        return True
    start, order = present.select(col(shape.start)).schema[0].dataType, batch.events.schema[SEQUENCE].dataType
    return (
        start.simpleString() == order.simpleString()
    )  # without what may be NULL; one that is yet to be widened is not


def _continued(batch: Batch, opened: DataFrame, shape: Shape) -> DataFrame:
    """The difference of a history whose events so far are known by its open rows; lazy."""
    versions = _history(batch, open_events(opened, shape), shape, truncating=False)
    if {*shape.tracked} == {*shape.kept}:
        return diff.continuation(versions, shape)
    return diff.difference(versions, opened, shape)


def _known(batch: Batch, target: _Target, truncating: bool) -> DataFrame | None:
    """The events of the batch's keys that are in the log; lazy."""
    known = event_log.read(target.write, target.log)
    if known is None:
        return None
    known = widened(known, batch.events.schema, allowed=True, table=target.table).withColumn(NEW, F.lit(False))
    return known if batch.truncates else of_keys(known, batch, target.shape, truncating)


def _history(batch: Batch, known: DataFrame | None, shape: Shape, truncating: bool) -> DataFrame:
    """Every event of the batch's keys, known or new, with what it makes of its key's history; lazy."""
    found = batch.events.withColumn(NEW, F.lit(True))
    if known is not None:
        found = known.unionByName(found, allowMissingColumns=True)
    elif batch.rows > FEW:  # the target's first files, each with its own range of keys
        files = min(max(batch.rows // _FILE_ROWS, 2), _MOST_FILES)
        found = found.repartitionByRange(files, *map(col, shape.keys))
    if truncating:
        found = after_truncate(found)
    return made.with_versions(winners(found, shape), shape)


def _is_remembered(shape: Shape) -> Column:
    """A new event that can still decide something: where only a key's newest counts, older ones never will."""
    return col(NEW) if shape.remembers_all else col(NEW) & col(made.END).isNull()


def _remembered(history: DataFrame, target: _Target) -> DataFrame:
    """The events as they came, for the log."""
    shape = target.shape
    kept = [made.as_given(history, name) for name in shape.kept if name in history.columns]
    run = F.lit(target.write.commit.note.get("run_id")).cast("string").alias(event_log.RUN)
    beside = [FILE] if FILE in history.columns else []
    return history.where(_is_remembered(shape)).select(*map(col, shape.keys), *kept, SEQUENCE, OPERATION, run, *beside)


def _counts(batch: Batch, found: _Found, shape: Shape) -> dict[str, int]:
    """The batch's rows by what each caused: the row it made, changed or took away is counted once, others are unchanged."""
    inserted, updated = found.kinds["inserted_by_new"], found.kinds["updated_by_new"]
    gone = found.kinds["closes"] if shape.versioned else found.kinds[diff.DELETED]
    deleted = min(gone, batch.rows - inserted - updated)
    return {"rows": batch.rows, "inserted": inserted, "updated": updated, "deleted": deleted,
            "unchanged": batch.rows - inserted - updated - deleted}  # fmt: skip


def _commit(found: _Found, batch: Batch, target: _Target) -> CommitInfo | None:
    """The one commit to the target; None where nothing changes and it is there already."""
    write, before = target.write, target.before
    rows = marked(
        with_comments(found.changes.drop(diff.KIND, diff.BY_NEW), write), target.shape.start, target.shape.end
    )
    if before is None:
        return save_rows(rows, None, write, target.table, mode="append")
    if not found.total:
        return None
    if write.settings.type_widening:
        lake.allow_widening(write.spark, before)
    if not found.kinds[diff.UPDATED] and not found.kinds[diff.DELETED]:
        return save_rows(rows, before, write, target.table, mode="append")
    ranged = "" if batch.truncates else within(batch.ranges, "target.")
    is_open = f"target.{quoted(target.shape.end)} IS NULL" if found.goes_on and target.shape.versioned else ""
    values = assigned(rows.columns)
    lake.merge(
        F.broadcast(found.changes) if found.total <= FEW else found.changes,
        before.path,
        write.commit,
        condition=" AND ".join(filter(None, (same_keys(target.shape.identity), ranged, is_open))),
        matched=[(diff.is_kind(diff.DELETED), None), (diff.is_kind(diff.UPDATED), values)],
        not_matched=(diff.is_kind(diff.INSERTED), values),
        evolve=write.settings.evolve,
    )
    return require_commit(write, target.table)


def _written(table: str, info: CommitInfo | None, counts: Mapping[str, Any]) -> Written:
    return Written(
        table,
        info.version if info is not None else None,
        int(counts["rows"]),
        int(counts["inserted"]),
        int(counts["updated"]),
        int(counts["deleted"]),
        int(counts["unchanged"]),
        target_inserted=info.inserted if info is not None else 0,
        target_updated=info.updated if info is not None else 0,
        target_deleted=info.deleted if info is not None else 0,
    )
