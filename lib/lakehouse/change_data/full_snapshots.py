"""Full snapshots into a target: version after version, each compared with the last accepted one and committed on its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from lakehouse import lake
from lakehouse.change_data import event_log
from lakehouse.change_data.adoption import last_version
from lakehouse.change_data.agreement import link
from lakehouse.change_data.event_log import EventLog
from lakehouse.change_data.memory import completed, remembering
from lakehouse.change_data.snapshot_commits import Counts, earlier, unused
from lakehouse.change_data.snapshot_versions import Snapshot, as_accepted, snapshots_of
from lakehouse.change_data.widening import Keyed, widened
from lakehouse.commits import CommitInfo
from lakehouse.errors import DataError, counted
from lakehouse.frames import FILE, HIDDEN_PREFIX, NAMED, col, named, quoted, visible
from lakehouse.history import difference as diff
from lakehouse.history import snapshots as taken
from lakehouse.history.events import SEQUENCE
from lakehouse.history.snapshot_options import SnapshotOptions, snapshot_shape, version, version_of_file
from lakehouse.history.snapshots import SnapshotShape
from lakehouse.holding import held
from lakehouse.intervals import marked
from lakehouse.targets import Stopped, Write, Written, aligned, not_taken, require_commit, save_rows, with_comments
from lakehouse.upserts import assigned, readable_keys, same_keys


@dataclass(frozen=True)
class _Target:
    write: Write
    table: str
    options: SnapshotOptions
    shape: SnapshotShape
    kind: DataType
    """The type of the rows' bounds."""
    version_kind: DataType


def apply(df: DataFrame, write: Write, table: str, options: SnapshotOptions) -> Written:
    """Brings the target to the last of the batch's snapshots, through each of them; one that is not newer is skipped.

    Raises ValueError for options that do not fit the frame, DataError for a snapshot that cannot be accepted.
    """
    before = lake.snapshot(write.spark, write.layout.table(table))
    log = event_log.opened(write, table, before, options.meaning()) if options.has_version else None
    df = _whole(df, before, log, options)
    shape = snapshot_shape(options, visible(df))
    ignored = tuple(not_taken(shape.kept, before, write))
    shape = shape.without(ignored)
    if log is not None:
        write, _ = remembering(df, write, log, (*shape.keys, *shape.kept), {})
    given = _given(df, before, write, table, options, shape)
    kinds = given.schema
    target = _Target(write, table, options, shape, kinds[shape.since or SEQUENCE].dataType, kinds[SEQUENCE].dataType)
    if write.adopts and before is not None:
        return _adopted(before, log, target)
    done = earlier(before, write)
    if log is None and done.version is not None:
        return replace(done.written(table, ignored), repeated=True)
    rows = _materialised(given, target)
    try:
        _take(rows, log, target, done)
    except Exception as error:
        if done.version is None:
            raise
        raise Stopped(done.written(table, ignored), error) from error
    return done.written(table, ignored)


def _whole(df: DataFrame, before: lake.Snapshot | None, log: EventLog | None, options: SnapshotOptions) -> DataFrame:
    """The frame with NULL in each column that it lacks and the target has, or an option names, of earlier snapshots."""
    needed = (*options.keys, *([options.updated_at] if options.updated_at else []))  # each snapshot has these
    there = {name.lower() for name in (*df.columns, *needed, *options.own)}
    lacking = [field for field in (before.schema if before else ()) if field.name.lower() not in there]
    found = df.withColumns({field.name: F.lit(None).cast(field.dataType) for field in lacking})
    return completed(found, log or EventLog("", before), {"except_column_list": options.columns.excluded}, {})


def _take(rows: DataFrame, log: EventLog | None, target: _Target, done: Counts) -> None:
    """Takes the batch's snapshots in their order, each once."""
    for snapshot in snapshots_of(rows, log, target.write, target.options):
        if snapshot.own and snapshot.version in done.committed:
            continue
        if snapshot.accepted:
            done.add(*_accept(snapshot, rows, target))
            continue
        done.add({"rows": snapshot.rows, "inserted": 0, "updated": 0}, None)
        if not snapshot.own:
            why = (
                "it is not the last accepted one"
                if target.write.single
                else "it is not newer than the last accepted one"
            )
            said = f"snapshot {snapshot.version} skipped, {why}"
            done.notes.append(f"{target.table}: {said}")


def _adopted(before: lake.Snapshot, log: EventLog | None, target: _Target) -> Written:
    """Remembers the last snapshot that a table made by others holds a trace of."""
    write, table = target.write, target.table
    if log is None:
        raise DataError(
            f"{table}: strategy {target.options.strategy} goes by the table's own rows; there is nothing to adopt"
        )
    if not target.shape.versioned:
        raise DataError(f"{table}: stored_as 1 does not tell its last version; run with --full-refresh")
    last = last_version(before, write, target.shape)
    accepted = as_accepted(Snapshot(last, 0), write, target.version_kind)
    event_log.append(accepted, write, log, changes=0, meaning=target.options.meaning())
    return Written(table, None, 0, notes=(f"its last snapshot is {last}",))


def _given(
    df: DataFrame,
    before: lake.Snapshot | None,
    write: Write,
    table: str,
    options: SnapshotOptions,
    shape: SnapshotShape,
) -> DataFrame:
    """The rows in the types of the target, each with its snapshot's version."""
    beside = [shape.since] if shape.since and shape.since not in shape.kept else []
    files = [FILE] if FILE in df.columns else []
    named_rows = df.withColumn(SEQUENCE, version(options, write.now)).select(
        *map(col, (*shape.keys, *shape.kept, *beside, SEQUENCE, *files))
    )
    rows, _ = aligned(named_rows, before, write, table, types=False, carried=[*beside, SEQUENCE, *files])
    known = before.schema if before is not None else StructType()
    keyed = Keyed(shape.keys, write.masked)
    return widened(rows, known, allowed=write.settings.type_widening, table=table, keyed=keyed)


def _materialised(given: DataFrame, target: _Target) -> DataFrame:
    """Reads the batch once; raises DataError for rows without a key or a version."""
    shape = target.shape
    bad = taken.is_invalid(shape) | col(SEQUENCE).isNull()
    rows, found = held(given, F.count_if(bad).alias("invalid"))
    if not found["invalid"]:
        return rows
    raise DataError(_said_of_invalid(rows.where(bad), int(found["invalid"]), target))


def _said_of_invalid(bad: DataFrame, count: int, target: _Target) -> str:
    shape, options = target.shape, target.options
    names = [*shape.keys, *([shape.since] if shape.since else []), SEQUENCE, *([FILE] if FILE in bad.columns else [])]
    shown = bad.select(*map(col, names)).limit(NAMED).collect()
    personal = target.write.masked | ({"version"} if options.version_column in target.write.masked else set())
    said = [name.removeprefix(HIDDEN_PREFIX).replace("sequence", "version") for name in names]
    needed = ["the key", *([f"'{shape.since}'"] if shape.since else []), "the version"]
    pattern = options.version_pattern
    told = f"; a version is what version_pattern '{pattern}' finds, as {options.version_type}" if pattern else ""
    return (
        f"{target.table}: {counted(count, 'row of the snapshot has', 'rows of the snapshot have')} NULL in {' or '.join(needed)}: "
        f"{named(said, shown, personal)}{told}; nothing was applied"
    )


def _accept(snapshot: Snapshot, given: DataFrame, target: _Target) -> tuple[dict[str, int], CommitInfo | None]:
    """One snapshot: compared with the open rows, remembered, committed."""
    options, shape, write = target.options, target.shape, target.write
    if options.min_rows is not None and not write.single and snapshot.rows < options.min_rows:
        raise DataError(
            f"{target.table}: snapshot {snapshot.version or write.now} has {counted(snapshot.rows, 'row')}, min_rows asks for {options.min_rows}; nothing of it was applied"
        )
    rows = given if snapshot.version is None else given.where(col(SEQUENCE).cast("string") == snapshot.version)
    rows = _one_per_key(rows, snapshot, target)
    before = lake.snapshot(write.spark, write.layout.table(target.table))
    found, states = _compared(rows, before, snapshot, target)
    counts = {
        "rows": snapshot.rows,
        "inserted": states[diff.INSERTED],
        "updated": states[diff.UPDATED] + states[taken.REVISED],
    }
    changed = sum(states.values())
    log = event_log.opened(write, target.table, before, options.meaning()) if options.has_version else None
    note = {**write.commit.note, **counts, **(link(log.table) if log else {}), "snapshot": snapshot.version}
    write = unused(replace(write, commit=replace(write.commit, note=note)), before)
    if log is not None:
        accepted = as_accepted(snapshot, target.write, target.version_kind)
        event_log.append(accepted, write, log, changes=changed, meaning=options.meaning())
    if not changed and before is not None:
        return counts, None
    return counts, _commit(taken.changes(found, rows, shape), before, replace(target, write=write))


def _one_per_key(rows: DataFrame, snapshot: Snapshot, target: _Target) -> DataFrame:
    """Equal rows of a key collapse; raises DataError for different ones, naming up to five keys."""
    shape = target.shape
    grouped, found = held(taken.one_per_key(rows, shape), F.count_if(taken.clashes()).alias("clashes"))
    if found["clashes"]:
        raise DataError(_said_of_clashes(rows, grouped, snapshot, target, int(found["clashes"])))
    return taken.rows_of(grouped)


def _said_of_clashes(rows: DataFrame, grouped: DataFrame, snapshot: Snapshot, target: _Target, count: int) -> str:
    keys = list(target.shape.keys)
    first = grouped.where(taken.clashes()).select(*map(col, keys)).orderBy(*map(col, keys)).limit(NAMED)
    files = [F.array_join(F.sort_array(F.collect_set(FILE)), " and ").alias("file")] if FILE in rows.columns else []
    shown = (
        rows.join(first, on=keys, how="left_semi").groupBy(*map(col, keys)).agg(F.count(F.lit(1)).alias("rows"), *files)
    )
    said = named(shown.columns, shown.orderBy(*map(col, keys)).collect(), target.write.masked)
    return f"{target.table}: {counted(count, 'key has', 'keys have')} different rows in snapshot {snapshot.version or target.write.now} ({said}); nothing of it was applied"


def _compared(
    rows: DataFrame, before: lake.Snapshot | None, snapshot: Snapshot, target: _Target
) -> tuple[DataFrame, dict[str, int]]:
    """The keys that changed, held, and how many of each state."""
    shape, write = target.shape, target.write
    ends = None
    if before is None:
        present = rows.limit(0)
    else:
        present = lake.read(write.spark, before.path, version=before.version)
        present = widened(present, rows.schema, allowed=True, table=target.table)
        ends = taken.last_ends(present, shape) if shape.versioned and shape.since else None
        present = present.where(col(shape.end).isNull()) if shape.versioned else present
        if write.single:
            present = present.join(rows.select(*map(col, shape.keys)), on=list(shape.keys), how="left_semi")
    spared = _spared(snapshot, target)
    version = F.lit(write.now) if snapshot.version is None else F.lit(snapshot.version).cast(target.version_kind)
    return held(taken.compared(rows, present, spared, shape, version, target.kind, ends), *taken.counters())


def _spared(snapshot: Snapshot, target: _Target) -> DataFrame | None:
    """The keys that are not missing, for a row of theirs in this snapshot is broken; one of no readable version is in each."""
    options, keys = target.options, target.shape.keys
    if target.shape.hard_deletes == "ignore":
        return None
    told_by = options.version_column or (FILE if options.version_pattern else None)
    broken = target.write.quarantined(keys, told_by)
    if broken is None:
        return None
    if told_by is not None:
        told = version_of_file(col(FILE), options) if told_by == FILE else col(told_by)
        here = told.try_cast(target.version_kind).cast("string") == F.lit(snapshot.version)
        broken = broken.where(F.coalesce(here, F.lit(True)))
    return readable_keys(broken.select(*map(col, keys)), keys, f"nothing was applied to {target.table}")


def _commit(changes: DataFrame, before: lake.Snapshot | None, target: _Target) -> CommitInfo:
    write = target.write
    rows = marked(
        with_comments(changes.select(*map(col, visible(changes))), write), target.shape.start, target.shape.end
    )
    if before is None:
        return save_rows(rows, None, write, target.table, mode="append")
    if write.settings.type_widening:
        lake.allow_widening(write.spark, before)
    condition, values = same_keys(target.shape.keys), assigned(rows.columns)
    updates = values
    if target.shape.versioned:
        start, end = quoted(target.shape.start), quoted(target.shape.end)
        condition += f" AND target.{start} = source.{quoted(taken.MATCHED)} AND target.{end} IS NULL"
        updates = assigned(taken.ending(target.shape))
    clauses = [(diff.DELETED, None), (taken.REVISED, values), (diff.UPDATED, updates)]
    lake.merge(
        changes, before.path, write.commit, condition=condition, evolve=write.settings.may_alter,
        matched=[(diff.is_kind(kind), assigned) for kind, assigned in clauses],
        not_matched=(diff.is_kind(diff.INSERTED), values),
    )  # fmt: skip
    return require_commit(write, target.table)
