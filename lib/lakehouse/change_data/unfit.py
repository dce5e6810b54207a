"""Rows that a change-data sink cannot take: events without a place, and events that come too late to have one."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, StructType, TimestampNTZType, TimestampType

from lakehouse.frames import EXTRA, HIDDEN_PREFIX, any_null, col, require_columns
from lakehouse.history.events import OPERATION, SEQUENCE, SETTLED, TRUNCATE
from lakehouse.registry import length_of

TOO_LATE = "too_late"
"""The reason's name in the quarantine."""

_NEWEST, _FLOOR = f"{HIDDEN_PREFIX}newest", f"{HIDDEN_PREFIX}floor"


def why_invalid(df: DataFrame, *, keys: Sequence[str], sequence_by: Sequence[str], apply_as_truncates: str | None = None,
                **_: object) -> Column:  # fmt: skip
    """For `on_invalid: quarantine`: what is wrong with a row that is no event; NULL where nothing is."""
    require_columns(df, [*keys, *sequence_by])
    truncates = _truncates(df, apply_as_truncates)
    no_key = F.when(~truncates & any_null(keys), f"NULL in the key ({', '.join(keys)})")
    return no_key.when(any_null(sequence_by), f"NULL in the sequence ({', '.join(sequence_by)})")


def _truncates(df: DataFrame, condition: str | None) -> Column:
    """True for a truncate; False where the batch lacks a column that tells: the sink says whether it may."""
    found = F.lit(False) if condition is None else F.coalesce(F.expr(condition), F.lit(False))
    try:
        df.select(found)
    except AnalysisException:
        return F.lit(False)
    return found


def with_late(
    rows: DataFrame, known: DataFrame | None, *, keys: Sequence[str], sequence_by: Sequence[str], state_retention: str,
    **_: object,
) -> DataFrame:  # fmt: skip
    """For `state_retention`: the rows with EXTRA, why an event comes too late for what is `known` of its key, or NULL.

    Raises ValueError where the sequence is no date and no time.
    """
    require_columns(rows, [*keys, *sequence_by])
    require_time(rows.schema[sequence_by[0]].dataType, sequence_by[0])
    if known is None:
        return rows.withColumn(EXTRA, F.lit(None).cast("string"))
    there = {f"{HIDDEN_PREFIX}known_{name}": name for name in keys}
    settled = F.max(time_of(known, SETTLED)) if SETTLED in known.columns else F.lit(None).cast("timestamp")
    floors = (
        known.where(col(OPERATION) != TRUNCATE)
        .groupBy(*[col(name).alias(other) for other, name in there.items()])
        .agg(F.max(time_of(known, SEQUENCE)).alias(_NEWEST), settled.alias(_FLOOR))
        .withColumn(_FLOOR, F.greatest(col(_NEWEST) - F.lit(length_of(state_retention)), _FLOOR))
    )
    joined = rows.join(floors, on=[col(name) == col(other) for other, name in there.items()], how="left")
    said = F.concat(
        F.lit(f"more than {state_retention} older than its key's newest event, "), col(_NEWEST).cast("string")
    )
    late = col(sequence_by[0]).cast("timestamp") < col(_FLOOR)
    return joined.withColumn(EXTRA, F.when(late, said)).drop(*there, _NEWEST, _FLOOR)


def require_time(kind: DataType, name: str) -> None:
    """Raises ValueError where the type of the (first) sequence column is no date and no time."""
    if not isinstance(kind, DateType | TimestampType | TimestampNTZType):
        raise ValueError(
            f"'state_retention' needs a date or a timestamp in 'sequence_by'; '{name}' is {kind.simpleString()}"
        )


def time_of(rows: DataFrame, name: str) -> Column:
    """A sequence as a time: its own, or that of its first column."""
    kind = rows.schema[name].dataType
    value = col(name).getField(kind.fields[0].name) if isinstance(kind, StructType) else col(name)
    return value.cast("timestamp")
