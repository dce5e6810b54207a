"""The source `delta`."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from lakehouse.cdc_formats import CdcColumns, CdcFormat, flattened
from lakehouse.lake import read as read_version
from lakehouse.registry import Name, source
from lakehouse.sources import Read
from lakehouse.tables import resolved


def place_of(table: str | None, path: str | None, read: Read) -> str:
    """Where the table lies: by name in the lake, or by path."""
    if (table is None) == (path is None):
        raise ValueError("needs either 'table' or 'path'")
    return read.layout.table(table) if table is not None else resolved(str(path), read.root)


def start_at(to: str) -> dict[str, int]:
    """Where a stream that is moved begins to read."""
    kind, _, version = to.partition(":")
    if kind != "version" or not version.isdigit():
        raise ValueError("version:N, the first version to read")
    return {"version": int(version)}


@source(incremental="stream", start_at=start_at, place=place_of)
def delta(
    spark: SparkSession,
    *,
    table: Name | None = None,
    path: str | None = None,
    changes: bool = False,
    starting_version: int | None = None,
    max_files_per_trigger: int | None = None,
    cdc_format: CdcFormat | None = None,
    cdc_columns: CdcColumns | None = None,
    read: Read,
) -> DataFrame:
    """A Delta table: in full at one version, or incrementally what was appended since (`changes: true`: its change data feed).

    With a `cdc_format` each row is a record of a change, as bronze keeps it: see `lakehouse.cdc_formats`.
    """
    place = place_of(table, path, read)
    if not read.incremental:
        if changes:
            raise ValueError("'changes' needs read: incremental")
        rows = read_version(spark, place, version=read.pin.get("version"))
        return flattened(rows, cdc_format, cdc_columns, read.fields)
    options = {"readChangeFeed": str(changes).lower()}
    first = read.start.get("version", starting_version)
    if first is not None:
        options["startingVersion"] = str(first)
    if max_files_per_trigger is not None:
        options["maxFilesPerTrigger"] = str(max_files_per_trigger)
    return flattened(
        spark.readStream.format("delta").options(**options).load(place), cdc_format, cdc_columns, read.fields
    )
