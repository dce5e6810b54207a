"""Which snapshots a batch holds, which of them are newer than the last accepted one, and what is remembered of each."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from lakehouse.change_data import event_log
from lakehouse.change_data.event_log import EventLog
from lakehouse.change_data.snapshot_commits import batch_name
from lakehouse.errors import DataError
from lakehouse.frames import FILE, HIDDEN_PREFIX, col
from lakehouse.history.events import SEQUENCE
from lakehouse.history.snapshot_options import SnapshotOptions, version_of_file
from lakehouse.targets import Write

_TEXT = f"{HIDDEN_PREFIX}version_text"
_ROWS, _LAST = f"{HIDDEN_PREFIX}rows", f"{HIDDEN_PREFIX}last"
_BATCH, _OWN = f"{HIDDEN_PREFIX}batch", f"{HIDDEN_PREFIX}own"  # the batch that brought a version; this batch's versions


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a batch: its version as text (None: the run's start) and how many rows it has."""

    version: str | None
    rows: int
    accepted: bool = True
    own: bool = False
    """An earlier try of this batch had accepted it."""


def snapshots_of(rows: DataFrame, log: EventLog | None, write: Write, options: SnapshotOptions) -> list[Snapshot]:
    """A batch's snapshots in their order, those of files without a row too.

    Rows that are replayed belong to the last accepted one alone. Raises DataError for a file that tells no version.
    """
    if log is None:
        return [Snapshot(None, rows.count())]
    found = rows.groupBy(SEQUENCE).agg(F.count(F.lit(1)).alias(_ROWS))
    if options.version_pattern and write.files:
        files = write.spark.createDataFrame([(file,) for file in write.files], f"`{FILE}` string")
        empty = files.select(version_of_file(col(FILE), options).alias(SEQUENCE), F.lit(0).cast("bigint").alias(_ROWS))
        found = found.unionByName(empty).groupBy(SEQUENCE).agg(F.sum(_ROWS).alias(_ROWS))
    known = event_log.read(write, log)
    accepted, own = F.lit(True), F.lit(False)
    if known is not None:
        own_ones = F.collect_set(F.when(col(_BATCH) == batch_name(write), col(SEQUENCE)))
        found = found.crossJoin(known.agg(F.max(SEQUENCE).alias(_LAST), own_ones.alias(_OWN)))
        accepted = col(_LAST).isNull() | (col(SEQUENCE) > col(_LAST))
        accepted = (col(SEQUENCE) == col(_LAST)) if write.single else accepted
        own = F.array_contains(_OWN, col(SEQUENCE))
    versions = found.select(col(SEQUENCE).cast("string").alias(_TEXT), _ROWS, accepted, own, SEQUENCE)
    listed = [Snapshot(*row) for row in versions.orderBy(SEQUENCE).drop(SEQUENCE).collect()]
    if any(snapshot.version is None for snapshot in listed):
        raise DataError(
            f"version_pattern '{options.version_pattern}' finds no version in the path of a file; nothing was applied"
        )
    return listed


def as_accepted(snapshot: Snapshot, write: Write, kind: DataType) -> DataFrame:
    """What is remembered of a snapshot, its version in this type."""
    version = F.lit(snapshot.version).cast(kind)
    run = F.lit(write.commit.note.get("run_id")).cast("string")
    return write.spark.range(1).select(
        version.alias(SEQUENCE), F.lit(snapshot.rows).cast("bigint").alias(_ROWS), run.alias(event_log.RUN),
        F.lit(batch_name(write)).alias(_BATCH),
    )  # fmt: skip
