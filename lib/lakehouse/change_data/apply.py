"""Change data into a target: the events of a batch, remembered, and the one commit that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import lake, row_places
from lakehouse.change_data import event_log
from lakehouse.change_data.adoption import adopted
from lakehouse.change_data.agreement import link
from lakehouse.change_data.batch_events import Batch, materialised
from lakehouse.change_data.event_log import EventLog
from lakehouse.change_data.memory import completed, remembering
from lakehouse.change_data.outcome import Outcome, Target, is_remembered, outcome, touched
from lakehouse.change_data.retention import needed
from lakehouse.change_data.unfit import require_time
from lakehouse.change_data.widening import Keyed, widened
from lakehouse.commits import CommitInfo
from lakehouse.errors import SinkError
from lakehouse.frames import AT, FILE, HIDDEN_PREFIX, col, hidden, quoted, require_columns, visible
from lakehouse.history import difference as diff
from lakehouse.history import versions as made
from lakehouse.history.events import OPERATION, SEQUENCE, SETTLED, events
from lakehouse.history.shape import Options, Shape, shaped
from lakehouse.holding import FEW, sized, together
from lakehouse.intervals import marked
from lakehouse.key_ranges import within
from lakehouse.registry import length_of
from lakehouse.targets import (
    Write,
    Written,
    aligned,
    earlier_write,
    not_taken,
    require_commit,
    save_rows,
    with_comments,
)
from lakehouse.upserts import assigned, same_keys

_BESIDE = (diff.KIND, diff.BY_NEW, AT)  # what is known of a changed row beside its columns


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
    df, write = _spelled_as(known, df, write)
    if write.adopts and before is not None:
        return adopted(before, write, log, shaped(options, visible(df), known), table, meaning)
    conditions = {"apply_as_deletes": deletes, "apply_as_truncates": truncates}
    df = completed(df, log, {"except_column_list": options.columns.excluded}, conditions)
    shape = shaped(options, visible(df), known)
    ignored = tuple(not_taken(shape.kept, before, write))
    shape = shape.without(ignored)
    write, notes = remembering(df, write, log, (*shape.keys, *shape.kept), conditions)
    target = Target(write, table, before, log, shape, meaning, _retention(options, df, log, table))
    given = _given(df, target, deletes, truncates)
    batch = materialised(given, known, shape, write, table)
    if not batch.rows:
        return Written(table, None, 0, ignored=ignored, notes=notes)
    with sized(write.spark, None if batch.truncates else batch.rows):
        written, note = _applied(batch, target, truncates is not None)
    _tidy(target, note)
    return replace(written, ignored=ignored, notes=notes)


def _spelled_as(known: Sequence[str], df: DataFrame, write: Write) -> tuple[DataFrame, Write]:
    """The frame and what is personal of it, a known column under its known name: another case is the same column."""
    spelled = {name.lower(): name for name in known}
    names = {name: spelled[name.lower()] for name in df.columns if spelled.get(name.lower(), name) != name}
    if not names:
        return df, write
    return df.withColumnsRenamed(names), replace(
        write, masked=frozenset(names.get(name, name) for name in write.masked)
    )


def _retention(options: Options, df: DataFrame, log: EventLog, table: str) -> timedelta | None:
    """How long an event is remembered behind its key's newest; None for ever."""
    if options.state_retention is None:
        if SETTLED in log.schema.names:
            raise SinkError(f"{table} has forgotten events under state_retention; keep it, or run with --full-refresh")
        return None
    require_columns(df, options.sequence_by)
    require_time(df.schema[options.sequence_by[0]].dataType, options.sequence_by[0])
    return length_of(options.state_retention)


def _given(df: DataFrame, target: Target, deletes: str | None, truncates: str | None) -> DataFrame:
    """The frame's events in the types of the log."""
    found = events(df, target.shape, deletes, truncates)
    rows, _ = aligned(found, target.before, target.write, target.table, types=False, carried=hidden(found))
    allowed = target.write.settings.type_widening
    keyed = Keyed(target.shape.keys, target.write.masked, target.shape.sequence)
    return widened(rows, target.log.schema, allowed=allowed, table=target.table, keyed=keyed)


def _applied(batch: Batch, target: Target, truncating: bool) -> tuple[Written, Mapping[str, Any]]:
    """What the batch did to the target, and what the log notes of it."""
    found = outcome(batch, target, truncating)
    if found is None:
        return Written(target.table, None, batch.rows, unchanged=batch.rows), {}
    counts = _counts(batch, found, target.shape)
    target = replace(target, write=replace(target.write, commit=replace(
        target.write.commit, note={**target.write.commit.note, **counts, **link(target.log.table)})))  # fmt: skip
    # of a history: an event after all others outranks none of them, nor will another outrank it unseen
    is_first = target.shape.versioned and target.log.table is None
    all_needed = target.retention is None and (found.open_alone or is_first)
    note = event_log.append(
        _remembered(found.history, target), target.write, target.log, changes=found.total, meaning=target.meaning,
        number=found.kinds["remembered"], needed=all_needed, span=batch.span,
    )  # fmt: skip
    return _written(target.table, _commit(found, batch, target), counts), note


def _tidy(target: Target, note: Mapping[str, Any]) -> None:
    """Takes needless events out of the log once half of it may be so, else puts its small files together."""
    if event_log.is_due(note):
        events_ = lake.read(target.write.spark, target.log.path)
        event_log.tidied(needed(events_, target.shape, target.retention), target.write, target.log.path, note)
    else:
        event_log.compacted(target.write, target.log)


def _remembered(history: DataFrame, target: Target) -> DataFrame:
    """The events as they came, for the log."""
    shape = target.shape
    kept = [made.as_given(history, name) for name in shape.kept if name in history.columns]
    run = F.lit(target.write.commit.note.get("run_id")).cast("string").alias(event_log.RUN)
    beside = [FILE] if FILE in history.columns else []
    return history.where(is_remembered(shape)).select(*map(col, shape.keys), *kept, SEQUENCE, OPERATION, run, *beside)


def _counts(batch: Batch, found: Outcome, shape: Shape) -> dict[str, int]:
    """The batch's rows by what each caused: the row it made, changed or took away is counted once, others are unchanged."""
    inserted, updated = found.kinds["inserted_by_new"], found.kinds["updated_by_new"]
    gone = found.kinds["closes"] if shape.versioned else found.kinds[diff.DELETED]
    deleted = min(gone, batch.rows - inserted - updated)
    return {"rows": batch.rows, "inserted": inserted, "updated": updated, "deleted": deleted,
            "unchanged": batch.rows - inserted - updated - deleted}  # fmt: skip


def _commit(found: Outcome, batch: Batch, target: Target) -> CommitInfo | None:
    """The one commit to the target; None where nothing changes and it is there already."""
    write, before = target.write, target.before
    if before is None:
        return save_rows(_rows(found, target), None, write, target.table, mode="append")
    if not found.total:
        return None
    if write.settings.type_widening:
        lake.allow_widening(write.spark, before)
    if not found.kinds[diff.UPDATED] and not found.kinds[diff.DELETED]:
        return save_rows(_rows(found, target), before, write, target.table, mode="append")
    if not _replaced(found, batch, target, before):
        _merged(found, batch, target, before)
    return require_commit(write, target.table)


def _rows(found: Outcome, target: Target) -> DataFrame:
    """The changed rows as a table is made from them."""
    rows = found.changes.drop(*_BESIDE)
    return marked(with_comments(rows, target.write), target.shape.start, target.shape.end)


def _replaced(found: Outcome, batch: Batch, target: Target, before: lake.Snapshot) -> bool:
    """The changes in the places where the rows were read; False where that cannot be."""
    changes, counts = found.changes, [found.kinds[kind] for kind in (diff.INSERTED, diff.UPDATED, diff.DELETED)]
    if AT not in changes.columns:
        return False
    return row_places.replace(
        changes.where(col(diff.KIND) != diff.INSERTED),
        together(changes.where(col(diff.KIND) != diff.DELETED).drop(*_BESIDE), found.total),
        before,
        target.write.commit,
        condition=touched(batch, target.shape, open_alone=found.open_alone),
        changed=row_places.Changed(*counts),
    )


def _merged(found: Outcome, batch: Batch, target: Target, before: lake.Snapshot) -> None:
    """The changes by a MERGE."""
    changes, values = found.changes.drop(AT), assigned(name for name in found.changes.columns if name not in _BESIDE)
    ranged = "" if batch.truncates else within(batch.ranges, "target.")
    is_open = f"target.{quoted(target.shape.end)} IS NULL" if found.open_alone else ""
    lake.merge(
        F.broadcast(changes) if found.total <= FEW else changes,
        before.path,
        target.write.commit,
        condition=" AND ".join(filter(None, (same_keys(target.shape.identity), ranged, is_open))),
        matched=[(diff.is_kind(diff.DELETED), None), (diff.is_kind(diff.UPDATED), values)],
        not_matched=(diff.is_kind(diff.INSERTED), values),
        evolve=target.write.settings.may_alter,
    )


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
