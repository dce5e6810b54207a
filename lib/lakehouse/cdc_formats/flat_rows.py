"""What every format makes of its records: the flat row, and flags on records that make none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.cdc_formats import BEFORE, COLUMNS, OPERATION, SEQUENCE, UNAVAILABLE
from lakehouse.frames import BROKEN, FILE, MALFORMED, PLACE, RECORD, REPLAYED, SKIPPED, UNKNOWN, col, own_columns
from lakehouse.raw_rows import RECORD_SCHEMA, as_json, schema_of

_RESCUED = "_rescued_data"


@dataclass(frozen=True)
class FlatRow:
    """A record as columns: `broken` says why it makes no row (NULL: it does), `skipped` is true for one that says of none."""

    values: Mapping[str, Column]
    operation: Column
    sequence: Column | None
    before: Column | None
    unavailable: Column | None
    broken: Column
    skipped: Column


def flat_rows(records: DataFrame, row: FlatRow) -> DataFrame:
    """One flat row per record, with bronze's own columns and the hidden ones; the record itself is in RECORD.

    Raises ValueError where a column of the table is named like one of the format's.
    """
    clash = [name for name in row.values if name.lower() in COLUMNS]
    if clash:
        raise ValueError(f"the records have a column '{clash[0]}' of their own, the name of one that cdc_format adds")
    good = row.broken.isNull() & ~row.skipped
    said = {OPERATION: F.when(good, row.operation)}
    if row.sequence is not None:
        said[SEQUENCE] = F.when(good, row.sequence)
    if row.before is not None:
        said[BEFORE] = F.when(good, row.before)
    if row.unavailable is not None:
        said[UNAVAILABLE] = F.when(good, row.unavailable)
    taken = {name.lower() for name in row.values}
    kept = [
        name
        for name in (*own_columns(records), FILE, PLACE, UNKNOWN, REPLAYED)
        if name in records.columns and name not in taken
    ]
    named = {**row.values, **said}
    return records.select(
        *[value.alias(name) for name, value in named.items()],
        *map(col, kept),
        *_flags(records, row),
        as_json(records).alias(RECORD, metadata={RECORD_SCHEMA: schema_of(records)}),
    )


def _flags(records: DataFrame, row: FlatRow) -> list[Column]:
    # never so, and Spark cannot know: it would push filters below this, and parse the record again for each column they name
    broken = F.when(F.spark_partition_id() < 0, "").otherwise(F.when(~row.skipped, row.broken))
    flags = {BROKEN: broken, SKIPPED: row.skipped}
    if MALFORMED in records.columns:
        flags[MALFORMED] = F.when(~row.skipped, col(MALFORMED))
    return [flag.alias(name) for name, flag in flags.items()]


def corrupt_text(records: DataFrame) -> Column:
    """The text of a record that could not be parsed, here or on its way into bronze; else NULL."""
    texts = [col(MALFORMED)] if MALFORMED in records.columns else []
    if _RESCUED in records.columns:
        texts.append(F.get_json_object(col(_RESCUED), "$._corrupt_record"))
    return F.coalesce(*texts, F.lit(None).cast("string"))


def sequence_of(position: Column, committed_at: Column) -> Column:
    """What orders the changes of a key."""
    return F.struct(position.alias("position"), committed_at.alias("committed_at"))


def digits(value: Column, width: int = 20) -> Column:
    """A whole number's digits at one width, so that their text sorts like the number."""
    return F.lpad(value, F.greatest(F.length(value), F.lit(width)), F.lit("0"))


def own_column(records: DataFrame, name: str | None) -> Column | None:
    """The frame's column of a name, in whatever case; None where there is none."""
    found = next((there for there in records.columns if name is not None and there.lower() == name.lower()), None)
    return None if found is None else col(found)
