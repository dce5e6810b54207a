"""A Delta target: what every table sink does alike before and after its own write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import NullType, StringType, StructField, StructType

from lakehouse.column_types import require_same_types
from lakehouse.commits import Commit, CommitInfo, find_commit
from lakehouse.errors import ConfigError, LakehouseError, SinkError
from lakehouse.frames import col, visible
from lakehouse.lake import Snapshot, allow_widening, clustering, create, read, save, snapshot
from lakehouse.table_checks import require_checks
from lakehouse.table_layout import cluster, require_partitions
from lakehouse.tables import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Settings:
    """The table's own settings, as the YAML gives them beside a sink's options; a constraint under `constraint_prefix`
    that is not among them is none of the table's any more."""

    partition_by: Sequence[str] = ()
    cluster_by: Sequence[str] = ()
    table_properties: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None
    evolve: bool = True
    type_widening: bool = False
    constraints: Mapping[str, str] = field(default_factory=dict)
    constraint_prefix: str | None = None
    column_comments: Mapping[str, str] = field(default_factory=dict)

    @property
    def may_alter(self) -> bool:
        """True where a write may change the table's schema: by a new column, or by a wider type."""
        return self.evolve or self.type_widening


@dataclass(frozen=True)
class Write:
    """Whose write this is: its identity, the run's start, and the target's settings."""

    spark: SparkSession
    layout: Layout
    commit: Commit
    settings: Settings
    now: datetime
    files: Sequence[str] = ()
    """The files of this batch, also those without a row."""
    place: str | None = None
    """Where a sink with a `path` writes, resolved from the project's root."""
    quarantined: Callable[..., DataFrame | None] = lambda *_: None
    """The given key columns of this batch's broken rows, and one beside them as text: such keys are not missing."""
    masked: frozenset[str] = frozenset()
    """The columns whose values no error shows."""
    single: bool = False
    """The rows are single ones, as a replay brings them: nothing is missing because it is not among them."""
    adopts: bool = False
    """Nothing is written to the table: its own rows become what a change-data sink remembers of it."""


@dataclass(frozen=True)
class Written:
    """What one write did. `inserted .. unchanged` split the rows that reached the sink by what each caused; `target_*`
    are the rows that changed in the table itself. `version` is None where there was nothing to write."""

    target: str
    version: int | None
    rows: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    target_inserted: int = 0
    target_updated: int = 0
    target_deleted: int = 0
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the run record should say beside the counts."""
    repeated: bool = False
    """An earlier try had got this write in, so that nothing was read this time, or it was read twice: not what was counted."""


class Stopped(LakehouseError):
    """A write of several commits that failed at one of them: `written` is what those before it did, `error` the failure."""

    def __init__(self, written: Written, error: Exception) -> None:
        super().__init__(str(error))
        self.written, self.error = written, error


def table_properties(settings: Settings, schema: StructType) -> dict[str, str]:
    """The properties of a new table: deletion vectors unless the job says otherwise, names mapped where Parquet has none."""
    properties = {"delta.enableDeletionVectors": "true", **settings.table_properties}
    if _odd_names(schema):
        properties.setdefault("delta.columnMapping.mode", "name")
    if settings.type_widening:
        properties.setdefault("delta.enableTypeWidening", "true")
    return properties


def aligned(
    df: DataFrame,
    before: Snapshot | None,
    write: Write,
    table: str,
    *,
    replaces: bool = False,
    types: bool = True,
    carried: Sequence[str] = (),
) -> tuple[DataFrame, list[str]]:
    """The frame as the table takes it, and the columns left out because the table does not take new ones.

    Raises SinkError for a changed type, unless the frame `replaces` the table or its `types` are looked at elsewhere.
    Columns that are `carried` stay in the frame, and are none of the table's.
    """
    rows = df.select(*map(col, [*(name for name in visible(df) if name not in carried), *carried]))
    rows = with_comments(rows.select(*[_storable(rows, name, before).alias(name) for name in rows.columns]), write)
    twice = sorted({name for name in rows.columns if [other.lower() for other in rows.columns].count(name.lower()) > 1})
    if twice:
        raise ConfigError(f"{table} would have two columns {', '.join(twice)}")
    if before is None:
        return rows, []
    if not replaces:
        require_partitions(table, before.partitions, write.settings.partition_by)
    if write.settings.cluster_by:
        cluster(write.spark, before.path, table, clustering(write.spark, before.path), write.settings.cluster_by)
    if types and not replaces:
        settings = write.settings
        require_same_types(
            before.schema, rows.schema, widening=settings.type_widening, evolve=settings.evolve, table=table
        )
    ignored = not_taken([name for name in rows.columns if name not in carried], before, write)
    return rows.drop(*ignored), ignored


def not_taken(names: Iterable[str], before: Snapshot | None, write: Write) -> list[str]:
    """Those of the columns that are new to a table which takes no new ones."""
    if before is None or write.settings.evolve:
        return []
    known = {column.name.lower() for column in before.schema}
    return [name for name in names if name.lower() not in known]


def _storable(rows: DataFrame, name: str, before: Snapshot | None) -> Column:
    """A column that is NULL in every row has no type of its own: the table's, or text where it is new."""
    if not isinstance(rows.schema[name].dataType, NullType):
        return col(name)
    known = {column.name.lower(): column.dataType for column in (before.schema if before else ())}
    return col(name).cast(known.get(name.lower(), StringType()))


def with_comments(rows: DataFrame, write: Write) -> DataFrame:
    """The frame with the contract's descriptions as its columns' comments."""
    comments = write.settings.column_comments
    return rows.select(
        *[
            col(name).alias(name, metadata={"comment": comments[name]}) if name in comments else col(name)
            for name in rows.columns
        ]
    )


def save_rows(
    rows: DataFrame,
    before: Snapshot | None,
    write: Write,
    table: str,
    *,
    mode: str,
    options: Mapping[str, str] | None = None,
) -> CommitInfo:
    """Writes the frame in one commit (a table with a comment is made first), and what that commit says."""
    path, settings = write.layout.table(table), write.settings
    given = dict(options or {})
    if before is None:
        _require_columns(rows.schema, settings)
        if settings.comment or settings.constraints or settings.cluster_by:  # which a frame's writer does not apply
            create(write.spark, path, rows.schema, comment=settings.comment, properties=table_properties(settings, rows.schema),
                   partition_by=settings.partition_by, cluster_by=settings.cluster_by)  # fmt: skip
            require_checks(write.spark, path, settings.constraints, {})  # an existing table's: see `constrained`
        else:
            given |= table_properties(settings, rows.schema)
    else:
        new = _new_columns(rows.schema, before.schema)
        _require_plain_names(new, before, table)
        if settings.evolve and "overwriteSchema" not in given and (new or _changed_columns(rows.schema, before.schema)):
            given["mergeSchema"] = "true"
        if settings.type_widening:
            allow_widening(write.spark, before)
            given.setdefault("mergeSchema", "true")
    is_anew = before is None or "overwriteSchema" in given
    partition_by = (settings.partition_by if is_anew else ()) or (before.partitions if before else ())
    save(rows, path, write.commit, mode=mode, partition_by=partition_by, options=given)
    return require_commit(write, table)


def constrained(write: Write, table: str) -> None:
    """Has a table that is there hold what the settings say of its rows, before the next ones reach it."""
    settings = write.settings
    if not settings.constraints and settings.constraint_prefix is None:
        return
    before = snapshot(write.spark, write.layout.table(table))
    if before is not None:
        require_checks(
            write.spark, before.path, settings.constraints, before.properties, ours=settings.constraint_prefix
        )


def require_commit(write: Write, table: str) -> CommitInfo:
    """The commit that this write made; raises SinkError where the table has none (somebody else removed it)."""
    path = write.layout.table(table)
    after = snapshot(write.spark, path)
    found = find_commit(path, after.version, write.commit) if after else None
    if found is None:
        raise SinkError(f"{table}: the write is not in the table's log at {path}; was the table replaced meanwhile?")
    return found


def earlier_write(before: Snapshot | None, write: Write) -> CommitInfo | None:
    """The commit of this very write, where an earlier try got it in."""
    if before is None or not before.has(write.commit):
        return None
    return find_commit(before.path, before.version, write.commit, depth=before.version + 1)


def batch_folder(commit: Commit) -> str:
    """The folder of a batch's files: of its job, its checkpoint and its number, so that a repeat replaces it."""
    job, checkpoint = commit.app_id.split("/")[0], commit.app_id.rsplit("/", 1)[-1]
    return f"{batch_folders(job)}{checkpoint}-{commit.batch:012d}"


def batch_folders(job: str) -> str:
    """How the folders of all of a job's batches begin."""
    return f"batch={job}-"


def has_no_match(before: Snapshot, spark: SparkSession, condition: str) -> bool:
    """True where no file of the table can hold a row of the condition: then a MERGE is a plain append."""
    return not read(spark, before.path, before.version).where(condition).inputFiles()


def _odd_names(schema: StructType) -> list[str]:
    """The columns whose names Delta takes only with column mapping: `Order ID`, `amount (EUR)`."""
    return [column.name for column in schema if set(column.name) & set(" ,;{}()\n\t=")]


def _require_plain_names(new: list[StructField], before: Snapshot, table: str) -> None:
    odd = _odd_names(StructType(new))
    if odd and before.properties.get("delta.columnMapping.mode", "none") == "none":
        raise SinkError(
            f"{table} cannot take the new column '{odd[0]}' under this name; add it to 'rename', or set "
            "table_properties: {delta.columnMapping.mode: name} and run with --full-refresh"
        )


def _changed_columns(after: StructType, before: StructType) -> list[StructField]:
    """The columns of another type than the table's: a struct with a new field, once types were required to be the same."""
    known = {column.name.lower(): column.dataType.simpleString().lower() for column in before}
    return [column for column in after if column.dataType.simpleString().lower() != known.get(column.name.lower())]


def _new_columns(after: StructType, before: StructType) -> list[StructField]:
    known = {column.name.lower() for column in before}
    return [column for column in after if column.name.lower() not in known]


def _require_columns(schema: StructType, settings: Settings) -> None:
    names = {column.name for column in schema}
    missing = [name for name in (*settings.partition_by, *settings.cluster_by) if name not in names]
    if missing:
        raise ConfigError(f"no column {', '.join(missing)} to lay the table out by; it has {', '.join(sorted(names))}")
