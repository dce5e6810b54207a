"""The events of one batch, held: how many, of which kinds, and in which ranges their keys lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.change_data.order import Span, span, spanning
from lakehouse.errors import DataError, counted
from lakehouse.frames import FILE, NAMED, col, named
from lakehouse.history.events import OPERATION, SEQUENCE, TRUNCATE, invalid
from lakehouse.history.shape import Shape
from lakehouse.holding import held
from lakehouse.key_ranges import Ranges, metrics, ranges
from lakehouse.targets import Write

_FEW = 1_000_000  # rows whose keys are sent to every task


@dataclass(frozen=True)
class Batch:
    """The events of one batch, materialised, the ranges of their keys, and the span of their sequence where it is known."""

    events: DataFrame
    rows: int
    truncates: int
    ranges: Ranges
    span: Span | None = None


def materialised(given: DataFrame, known: Sequence[str], shape: Shape, write: Write, table: str) -> Batch:
    """Reads the batch once; `known` are the columns of earlier events. Raises DataError for events that have no place,
    naming up to five."""
    kinds = [given.schema[name].dataType for name in shape.keys]
    spanned = spanning(given, known, shape, write)
    aggregates = [
        F.count(F.lit(1)).alias("rows"),
        F.count_if(invalid(shape)).alias("invalid"),
        F.count_if(col(OPERATION) == TRUNCATE).alias("truncates"),
    ]
    rows, found = held(given, *aggregates, *metrics([col(name) for name in shape.keys], kinds), *spanned)
    if found["invalid"]:
        raise DataError(_said_of_invalid(rows, shape, write, table, int(found["invalid"])))
    return Batch(rows, int(found["rows"]), int(found["truncates"]), ranges(found, shape.keys, kinds), span(found))


def _said_of_invalid(rows: DataFrame, shape: Shape, write: Write, table: str, count: int) -> str:
    files = [FILE] if FILE in rows.columns else []
    names = [*shape.keys, "sequence", *("file" for _ in files)]
    shown = rows.where(invalid(shape)).select(*map(col, shape.keys), SEQUENCE, *files).limit(NAMED).collect()
    masked = write.masked | ({"sequence"} if write.masked & {*shape.sequence} else set())
    return (
        f"{table}: {counted(count, 'event has', 'events have')} NULL in the key ({', '.join(shape.keys)}) or the sequence ({', '.join(shape.sequence)}): "
        f"{named(names, shown, masked)}; nothing was applied; add the rule not_null, or set on_invalid: quarantine"
    )


def of_keys(rows: DataFrame, batch: Batch, shape: Shape) -> DataFrame:
    """The rows of the batch's keys."""
    keys = batch.events.select(*map(col, shape.keys))
    few = F.broadcast(keys) if batch.rows <= _FEW else keys
    return rows.join(few, on=list(shape.keys), how="left_semi")
