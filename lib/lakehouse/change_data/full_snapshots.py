"""Full snapshots into a target: version after version, each compared with the last accepted one and committed on its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from lakehouse import lake
from lakehouse.change_data import event_log
from lakehouse.change_data.event_log import EventLog
from lakehouse.change_data.holding import held
from lakehouse.change_data.widening import widened
from lakehouse.errors import DataError
from lakehouse.frames import FILE, HIDDEN_PREFIX, col, quoted, visible
from lakehouse.history import difference as diff
from lakehouse.history import snapshots as taken
from lakehouse.history.events import SEQUENCE
from lakehouse.history.shape import CURRENT, Selection, spelled
from lakehouse.history.snapshots import HardDeletes, SnapshotShape, Strategy
from lakehouse.targets import Write, Written, aligned, earlier_write, require_commit, save_rows, with_comments
from lakehouse.upserts import same_keys

_NAMED = 5
_TEXT = f"{HIDDEN_PREFIX}version_text"
_ROWS, _LAST = f"{HIDDEN_PREFIX}rows", f"{HIDDEN_PREFIX}last"


@dataclass(frozen=True)
class SnapshotOptions:
    """The sink's options, as the YAML gives them."""

    keys: Sequence[str]
    columns: Selection
    tracked: Selection
    version_column: str | None
    version_pattern: str | None
    version_type: str
    version_format: str | None
    stored_as: Literal[1, 2]
    strategy: Strategy
    updated_at: str | None
    check_columns: Sequence[str] | Literal["all"] | None
    hard_deletes: HardDeletes | None
    min_rows: int | None
    start: str
    end: str
    current_flag: bool

    @property
    def has_version(self) -> bool:
        """True where the data say which snapshot they are of; else it is the run's start."""
        return self.version_column is not None or self.version_pattern is not None

    def require_sense(self) -> None:
        """Raises ValueError for options that contradict each other."""
        if not self.keys:
            raise ValueError("'keys' is empty; name the columns that tell one entity from another")
        if self.version_column and self.version_pattern:
            raise ValueError("'version_column' and 'version_pattern' exclude each other; keep one")
        if self.strategy == "full" and not self.has_version:
            raise ValueError("strategy full needs 'version_column' or 'version_pattern'")
        if self.strategy == "timestamp" and not self.updated_at:
            raise ValueError("strategy timestamp needs 'updated_at'")
        if (self.strategy == "check") != (self.check_columns is not None):
            raise ValueError("'check_columns' belongs to strategy check, which needs it: a list of columns, or all")
        if self.hard_deletes == "new_record" and self.stored_as == 1:
            raise ValueError("'hard_deletes: new_record' needs 'stored_as: 2'")


@dataclass(frozen=True)
class _Target:
    write: Write
    table: str
    options: SnapshotOptions
    shape: SnapshotShape
    kind: DataType
    """The type of the rows' bounds."""
    version_kind: DataType


@dataclass(frozen=True)
class _Snapshot:
    """One snapshot of a batch: its version as text (None: the run's start) and how many rows it has."""

    version: str | None
    rows: int
    accepted: bool = True


@dataclass
class _Counts:
    """What the snapshots of a batch did, one added to the other."""

    rows: int = 0
    inserted: int = 0
    updated: int = 0
    target: dict[str, int] = field(default_factory=dict)
    version: int | None = None
    notes: list[str] = field(default_factory=list)

    def add(self, counts: Mapping[str, int], info: lake.CommitInfo | None) -> None:
        """Adds one snapshot."""
        self.rows += counts["rows"]
        self.inserted += counts["inserted"]
        self.updated += counts["updated"]
        metrics = info.metrics if info is not None else {}
        inserted = metrics.get("numTargetRowsInserted", metrics.get("numOutputRows", 0))
        for name, value in (("inserted", inserted), ("updated", metrics.get("numTargetRowsUpdated", 0)),
                            ("deleted", metrics.get("numTargetRowsDeleted", 0))):  # fmt: skip
            self.target[name] = self.target.get(name, 0) + value
        self.version = info.version if info is not None else self.version

    def written(self, table: str, ignored: tuple[str, ...]) -> Written:
        """All of it as one write."""
        return Written(
            table, self.version, self.rows, self.inserted, self.updated, 0, self.rows - self.inserted - self.updated,
            target_inserted=self.target.get("inserted", 0), target_updated=self.target.get("updated", 0),
            target_deleted=self.target.get("deleted", 0), ignored=ignored, notes=tuple(self.notes),
        )  # fmt: skip


def apply(df: DataFrame, write: Write, table: str, options: SnapshotOptions) -> Written:
    """Brings the target to the last of the batch's snapshots, through each of them; one that is not newer is skipped.

    Raises ValueError for options that do not fit the frame, DataError for a snapshot that cannot be accepted.
    """
    options.require_sense()
    before = lake.snapshot(write.spark, write.layout.table(table))
    shape = _shape(options, df)
    given, ignored = _given(df, before, write, table, options, shape)
    kinds = given.schema
    target = _Target(write, table, options, shape, kinds[shape.since or SEQUENCE].dataType, kinds[SEQUENCE].dataType)
    log = event_log.opened(write, table, before, _meaning(options)) if options.has_version else None
    done = _earlier(before, target)
    if log is None and done.version is not None:
        return replace(done.written(table, ignored), repeated=True)
    rows = _materialised(given, target)
    for snapshot in _snapshots(rows, log, target):
        if snapshot.accepted:
            done.add(*_accept(snapshot, rows, target))
        else:
            done.add({"rows": snapshot.rows, "inserted": 0, "updated": 0}, None)
            done.notes.append(
                f"{table}: snapshot {snapshot.version} skipped, it is not newer than the last accepted one"
            )
    return done.written(table, ignored)


def _shape(options: SnapshotOptions, df: DataFrame) -> SnapshotShape:
    """What each column is for; raises ValueError for a name that is no column, or a column that the sink adds itself."""
    names = visible(df)
    keys = spelled(options.keys, names, "keys")
    version = spelled([options.version_column], names, "version_column") if options.version_column else ()
    dropped = set(spelled(options.columns.excluded or (), names, "except_column_list")) & set(keys)
    if dropped:
        raise ValueError(f"'except_column_list' drops the key {', '.join(sorted(dropped))}; keys stay")
    chosen = options.columns.of(names, default=True)
    kept = tuple(name for name in chosen if name not in (*keys, *version))
    since = spelled([options.updated_at], names, "updated_at")[0] if options.updated_at else None
    if since is not None and options.stored_as == 1 and since not in kept:
        raise ValueError(f"'updated_at' names '{since}', which the target does not keep")
    given = options.check_columns
    checked = kept if given is None or given == "all" else spelled(given, kept, "check_columns")
    shape = SnapshotShape(
        keys, kept, checked, options.tracked.of(kept, default=True), options.stored_as == 2, options.strategy,
        options.hard_deletes or ("invalidate" if options.strategy == "full" else "ignore"), since,
        options.start, options.end, CURRENT if options.current_flag else None,
    )  # fmt: skip
    clash = {name.lower() for name in taken.own_columns(shape)} & {name.lower() for name in (*keys, *kept)}
    if clash:
        raise ValueError(f"the source's column '{min(clash)}' is named like one that the sink adds; rename it")
    return shape


def _given(
    df: DataFrame,
    before: lake.Snapshot | None,
    write: Write,
    table: str,
    options: SnapshotOptions,
    shape: SnapshotShape,
) -> tuple[DataFrame, tuple[str, ...]]:
    """The rows in the types of the target, each with its snapshot's version; and the columns left out."""
    beside = [shape.since] if shape.since and shape.since not in shape.kept else []
    names = [*shape.keys, *shape.kept]
    rows, ignored = aligned(df.select(*map(col, names)), before, write, table, types=False)
    kinds = {field.name: field.dataType for field in rows.schema}
    typed = df.select(
        *[col(name).cast(kind).alias(name) for name, kind in kinds.items()],
        *[col(name) for name in beside if name not in kinds],
        _version(options, write).alias(SEQUENCE),
        *([col(FILE)] if FILE in df.columns else []),
    )
    if before is None:
        return typed, tuple(ignored)
    return widened(typed, before.schema, allowed=write.settings.type_widening, table=table), tuple(ignored)


def _version(options: SnapshotOptions, write: Write) -> Column:
    if options.version_column:
        return col(options.version_column)
    if options.version_pattern:
        return _version_of_file(col(FILE), options)
    return F.lit(write.now)


def _version_of_file(file: Column, options: SnapshotOptions) -> Column:
    """The version that a file's path tells; NULL where the pattern is not in it."""
    text = F.nullif(F.regexp_extract(file, str(options.version_pattern), 1), F.lit(""))
    if options.version_type == "date" and options.version_format:
        return F.to_date(text, options.version_format)
    if options.version_format:
        return F.to_timestamp(text, options.version_format).cast(options.version_type)
    return text.try_cast(options.version_type)


def _materialised(given: DataFrame, target: _Target) -> DataFrame:
    """Reads the batch once; raises DataError for rows without a key or a version."""
    shape = target.shape
    bad = taken.is_invalid(shape) | col(SEQUENCE).isNull()
    rows, found = held(given, F.count_if(bad).alias("invalid"))
    if not found["invalid"]:
        return rows
    names = [*shape.keys, *([shape.since] if shape.since else []), SEQUENCE, *([FILE] if FILE in rows.columns else [])]
    shown = rows.where(bad).select(*map(col, names)).limit(_NAMED).collect()
    said = [name.removeprefix(HIDDEN_PREFIX).replace("sequence", "version") for name in names]
    named = "; ".join(", ".join(f"{name}={value}" for name, value in zip(said, row, strict=True)) for row in shown)
    raise DataError(
        f"{found['invalid']} rows of the snapshot have NULL in the key, the version or 'updated_at': {named}; nothing was applied"
    )


def _snapshots(rows: DataFrame, log: EventLog | None, target: _Target) -> list[_Snapshot]:
    """The batch's snapshots in their order, those of files without a row too."""
    options, write = target.options, target.write
    if log is None:
        return [_Snapshot(None, rows.count())]
    found = rows.groupBy(SEQUENCE).agg(F.count(F.lit(1)).alias(_ROWS))
    if options.version_pattern and write.files:
        files = write.spark.createDataFrame([(file,) for file in write.files], f"`{FILE}` string")
        empty = files.select(_version_of_file(col(FILE), options).alias(SEQUENCE), F.lit(0).cast("bigint").alias(_ROWS))
        found = found.unionByName(empty).groupBy(SEQUENCE).agg(F.sum(_ROWS).alias(_ROWS))
    known = event_log.read(write, log)
    accepted = F.lit(True)
    if known is not None:
        found = found.crossJoin(known.agg(F.max(SEQUENCE).alias(_LAST)))
        accepted = col(_LAST).isNull() | (col(SEQUENCE) > col(_LAST))
    versions = found.select(col(SEQUENCE).cast("string").alias(_TEXT), _ROWS, accepted.alias("accepted"), SEQUENCE)
    listed = [_Snapshot(*row) for row in versions.orderBy(SEQUENCE).drop(SEQUENCE).collect()]
    if any(snapshot.version is None for snapshot in listed):
        raise DataError(
            f"version_pattern '{options.version_pattern}' finds no version in the path of a file; nothing was applied"
        )
    return listed


def _accept(snapshot: _Snapshot, given: DataFrame, target: _Target) -> tuple[dict[str, int], lake.CommitInfo | None]:
    """One snapshot: compared with the open rows, remembered, committed."""
    options, shape, write = target.options, target.shape, target.write
    if options.min_rows is not None and snapshot.rows < options.min_rows:
        raise DataError(
            f"{target.table}: snapshot {snapshot.version or write.now} has {snapshot.rows} rows, min_rows asks for {options.min_rows}; nothing was applied"
        )
    rows = given if snapshot.version is None else given.where(col(SEQUENCE).cast("string") == snapshot.version)
    rows = _one_per_key(rows.drop(FILE), target)
    before = lake.snapshot(write.spark, write.layout.table(target.table))
    found, states = _compared(rows, before, snapshot, target)
    counts = {
        "rows": snapshot.rows,
        "inserted": states[diff.INSERTED],
        "updated": states[diff.UPDATED] + states[taken.REVISED],
    }
    write = _unused(replace(write, commit=replace(write.commit, note={**write.commit.note, **counts})), before)
    changed = sum(states.values())
    if options.has_version:
        log = event_log.opened(write, target.table, before, _meaning(options))
        event_log.append(_accepted(snapshot, target), write, log, changes=changed, meaning=_meaning(options))
    if not changed and before is not None:
        return counts, None
    return counts, _commit(taken.changes(found, rows, shape), before, replace(target, write=write))


def _earlier(before: lake.Snapshot | None, target: _Target) -> _Counts:
    """What an earlier try of this batch had got in."""
    done = _Counts()
    for write in _identities(target.write):
        info = earlier_write(before, write)
        if info is None:
            return done
        done.add(info.note, info)
    raise AssertionError("identities never end")


def _identities(write: Write) -> Iterator[Write]:
    """The write under one identity after the other: each snapshot of a batch is a commit of its own."""
    job, _, checkpoint = write.commit.app_id.rpartition("/")
    for number in count():
        app_id = write.commit.app_id if number == 0 else f"{job}/{number}/{checkpoint}"
        yield replace(write, commit=replace(write.commit, app_id=app_id))


def _unused(write: Write, before: lake.Snapshot | None) -> Write:
    """The write under the first identity that this batch has not used yet."""
    return next(named for named in _identities(write) if before is None or not before.has(named.commit))


def _one_per_key(rows: DataFrame, target: _Target) -> DataFrame:
    """Equal rows of a key collapse; raises DataError for different ones, naming up to five keys."""
    shape = target.shape
    grouped, found = held(taken.one_per_key(rows, shape), F.count_if(taken.clashes()).alias("clashes"))
    if found["clashes"]:
        keys = grouped.where(taken.clashes()).select(*map(col, shape.keys)).orderBy(*map(col, shape.keys)).limit(_NAMED)
        named = "; ".join(", ".join(f"{k}={v}" for k, v in zip(shape.keys, row, strict=True)) for row in keys.collect())
        raise DataError(
            f"{target.table}: {found['clashes']} keys have different rows in one snapshot ({named}); nothing was applied"
        )
    return taken.rows_of(grouped)


def _compared(
    rows: DataFrame, before: lake.Snapshot | None, snapshot: _Snapshot, target: _Target
) -> tuple[DataFrame, dict[str, int]]:
    """The keys that changed, held, and how many of each state."""
    shape, write = target.shape, target.write
    if before is None:
        present = rows.limit(0)
    else:
        present = lake.read(write.spark, before.path, version=before.version)
        present = present.where(col(shape.end).isNull()) if shape.versioned else present
    spared = write.quarantined(shape.keys) if shape.hard_deletes != "ignore" else None
    if spared is not None:
        spared = _readable(spared, target)
    version = F.lit(write.now) if snapshot.version is None else F.lit(snapshot.version).cast(target.version_kind)
    return held(taken.compared(rows, present, spared, shape, version, target.kind), *taken.counters())


def _readable(spared: DataFrame, target: _Target) -> DataFrame:
    keys, _ = held(spared.distinct())
    if not keys.where(" OR ".join(f"{quoted(key)} IS NULL" for key in target.shape.keys)).isEmpty():
        raise DataError(
            f"{target.table}: a broken row has no readable key ({', '.join(target.shape.keys)}): "
            "missing keys cannot be told, nothing was applied"
        )
    return keys


def _accepted(snapshot: _Snapshot, target: _Target) -> DataFrame:
    """What is remembered of a snapshot."""
    version = F.lit(snapshot.version).cast(target.version_kind)
    run = F.lit(target.write.commit.note.get("run_id")).cast("string")
    return target.write.spark.range(1).select(
        version.alias(SEQUENCE), F.lit(snapshot.rows).cast("bigint").alias(_ROWS), run.alias(event_log.RUN)
    )


def _commit(changes: DataFrame, before: lake.Snapshot | None, target: _Target) -> lake.CommitInfo:
    shape, write = target.shape, target.write
    rows = with_comments(
        changes.select(*[col(name) for name in changes.columns if not name.startswith(HIDDEN_PREFIX)]), write
    )
    if before is None:
        return save_rows(rows, None, write, target.table, mode="append")
    if write.settings.type_widening:
        lake.allow_widening(write.spark, before)
    condition = same_keys(shape.keys)
    values = dict(diff.assignments(rows))
    updates = values
    if shape.versioned:
        condition += (
            f" AND target.{quoted(shape.start)} = source.{quoted(taken.MATCHED)} AND target.{quoted(shape.end)} IS NULL"
        )
        updates = {quoted(name): f"source.{quoted(name)}" for name in taken.ending(shape)}
    lake.merge(
        changes,
        before.path,
        write.commit,
        condition=condition,
        matched=[
            (diff.is_kind(diff.DELETED), None),
            (diff.is_kind(taken.REVISED), values),
            (diff.is_kind(diff.UPDATED), updates),
        ],
        not_matched=(diff.is_kind(diff.INSERTED), values),
        evolve=write.settings.evolve,
    )
    return require_commit(write, target.table)


def _meaning(options: SnapshotOptions) -> dict[str, Any]:
    return {"keys": list(options.keys), "stored_as": options.stored_as, "strategy": options.strategy}
