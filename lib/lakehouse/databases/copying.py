"""One reading of a database into a copy beside the job's progress, and the copy as a source's frame."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.databases.control import Database, snapshot
from lakehouse.databases.reading import OVERLAPS, UNPLACED, Reading, frame
from lakehouse.databases.retries import retried
from lakehouse.databases.values import UNFIT, WHOLE
from lakehouse.errors import SinkError
from lakehouse.frames import BROKEN, HIDDEN_PREFIX, RECORD, UNKNOWN, col, visible
from lakehouse.raw_rows import RECORD_SCHEMA, as_json, schema_of
from lakehouse.row_copies import ROWS, is_kept, kept

_TAKEN = f"{HIDDEN_PREFIX}taken"  # true for a row that an earlier batch took
_KEYS = "taken"  # the part of a copy that says which rows of the overlap its batch has


def copy_rows(spark: SparkSession, database: Database, reading: Reading, place: str, *, one_snapshot: bool) -> None:
    """Copies the rows, whole or not at all; a connection that is lost on the way is a reading begun again.

    Raises the database's error kind where it stays lost, SinkError where it is gone which rows were taken before.
    """

    def attempt() -> None:
        with snapshot(database) if one_snapshot else nullcontext(None) as name:
            kept(spark, f"{place}/{ROWS}", lambda: _with_taken(frame(spark, database, reading, name), reading, place))

    retried(attempt, database.address, database.kind, database.what)
    if reading.known_by and reading.pin.get("to"):
        again = spark.read.parquet(f"{place}/{ROWS}").where(col(OVERLAPS))
        again.select(*map(col, reading.known_by)).distinct().write.mode("overwrite").parquet(f"{place}/{_KEYS}")


def copied_rows(spark: SparkSession, place: str) -> DataFrame | None:
    """The rows of a copy that no earlier batch took; None where there is no copy, or not a whole one."""
    if not is_kept(f"{place}/{ROWS}"):
        return None
    rows = spark.read.parquet(f"{place}/{ROWS}")
    return rows.where(~col(_TAKEN)).drop(_TAKEN) if _TAKEN in rows.columns else rows


def as_source(rows: DataFrame, cursor_column: str | None, *, rescue: bool) -> DataFrame:
    """The frame as the pipeline takes it: what fits no column is rescued, or flagged with the row as the database has it."""
    own = visible(rows)
    if WHOLE not in rows.columns:
        return rows.select(*map(col, own))
    record = F.coalesce(col(WHOLE), as_json(rows)).alias(RECORD, metadata={RECORD_SCHEMA: schema_of(rows)})
    broken = F.lit(None).cast("string")
    extra = []
    if UNPLACED in rows.columns:
        said = f"cursor_column {cursor_column} is NULL or infinite: the row has no place in the order of reading"
        broken = F.when(col(UNPLACED), F.lit(said))
    if UNFIT in rows.columns:
        found = F.from_json(col(UNFIT), "map<string,string>")
        misfit = F.concat(F.lit("no type holds the value of "), F.array_join(F.map_keys(found), ", "))
        if rescue:
            extra.append(found.alias(UNKNOWN))
        else:
            broken = F.coalesce(broken, misfit)
    return rows.select(*map(col, own), *extra, broken.alias(BROKEN), record)


def _with_taken(rows: DataFrame, reading: Reading, place: str) -> DataFrame:
    """The rows, each with whether the batch before has it already."""
    last = reading.pin.get("_last")
    if last is None or not reading.known_by:
        return rows
    path = f"{place.rpartition('/')[0]}/{last}/{_KEYS}"
    if not is_kept(path):
        raise SinkError(f"{path} is gone, which says what was taken of the lookback; run the job with --full-refresh")
    known = rows.sparkSession.read.parquet(path)
    known = known.toDF(*[f"{_TAKEN}{index}" for index, _ in enumerate(known.columns)]).withColumn(_TAKEN, F.lit(True))
    return rows.join(known, _same(reading.known_by), "left").select(
        *map(col, rows.columns), F.coalesce(col(_TAKEN), F.lit(False)).alias(_TAKEN)
    )


def _same(names: Sequence[str]) -> list[Column]:
    return [col(name).eqNullSafe(col(f"{_TAKEN}{index}")) for index, name in enumerate(names)]
