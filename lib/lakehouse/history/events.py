"""Events out of a frame: a key, a sequence, an operation and the kept columns; and of those that tie, the one that counts."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from lakehouse.frames import AT, FILE, HIDDEN_PREFIX, any_null, col, orderable
from lakehouse.history.shape import Shape

SEQUENCE = f"{HIDDEN_PREFIX}sequence"
OPERATION = f"{HIDDEN_PREFIX}operation"
NEW = f"{HIDDEN_PREFIX}new"
"""The event is of this batch, and nothing that was known says the same."""

SETTLED = f"{HIDDEN_PREFIX}settled"
"""On the first event of a key that is still known, where there were older ones: the start before which rows are settled."""

_FLOOR = f"{HIDDEN_PREFIX}floor"
UPSERT, DELETE, TRUNCATE = "upsert", "delete", "truncate"


def events(df: DataFrame, shape: Shape, deletes: str | None = None, truncates: str | None = None) -> DataFrame:
    """One event per row: what an upsert does not need is NULL (the payload of a delete, the key of a truncate)."""
    operation = F.lit(UPSERT)
    for condition, name in ((deletes, DELETE), (truncates, TRUNCATE)):
        if condition is not None:
            operation = F.when(F.coalesce(F.expr(condition), F.lit(False)), name).otherwise(operation)
    beside = [col(FILE)] if FILE in df.columns else []
    flagged = df.select(*map(col, df.columns), operation.alias(OPERATION), sequence(shape).alias(SEQUENCE))
    there = [name for name in shape.kept if name in df.columns]
    keys, kept = [col(name) for name in shape.keys], [col(name) for name in there]
    if truncates is not None:
        keys = [F.when(col(OPERATION) != TRUNCATE, key) for key in keys]
    if deletes is not None or truncates is not None:
        kept = [F.when(col(OPERATION) == UPSERT, value) for value in kept]
    values = zip((*keys, *kept), (*shape.keys, *there), strict=True)
    return flagged.select(*[value.alias(name) for value, name in values], col(SEQUENCE), col(OPERATION), *beside)


def open_events(rows: DataFrame, shape: Shape) -> DataFrame:
    """The open rows of a history as the known events that they began with; with AT where they have it."""
    there = {name.lower() for name in rows.columns}
    kept = [col(name).alias(name) for name in (*shape.keys, *shape.kept, AT) if name.lower() in there]
    return rows.select(*kept, col(shape.start).alias(SEQUENCE), F.lit(UPSERT).alias(OPERATION), F.lit(False).alias(NEW))


def sequence(shape: Shape) -> Column:
    """What orders the events of a key: the column, or a struct of several; NULL where one of them is NULL."""
    if len(shape.sequence) == 1:
        return col(shape.sequence[0])
    return F.when(~any_null(shape.sequence), F.struct(*[col(name).alias(name) for name in shape.sequence]))


def invalid(shape: Shape) -> Column:
    """True for an event without a sequence, or, unless it is a truncate, without a whole key."""
    return col(SEQUENCE).isNull() | (any_null(shape.keys) & (col(OPERATION) != TRUNCATE))


def after_truncate(rows: DataFrame) -> DataFrame:
    """The truncates, and what is newer than the greatest of them."""
    truncates = rows.where(col(OPERATION) == TRUNCATE).agg(F.max(SEQUENCE).alias(_FLOOR))
    joined = rows.crossJoin(F.broadcast(truncates))
    newer = col(_FLOOR).isNull() | (col(SEQUENCE) > col(_FLOOR))
    return joined.where((col(OPERATION) == TRUNCATE) | newer).drop(_FLOOR)


def per_key(shape: Shape) -> WindowSpec:
    """The events of a key."""
    return Window.partitionBy(*map(col, shape.keys))


def by_key(shape: Shape) -> WindowSpec:
    """The events of a key in their order."""
    return per_key(shape).orderBy(col(SEQUENCE))


def winners(rows: DataFrame, shape: Shape) -> DataFrame:
    """One event per key and sequence: a delete before an upsert, the greater payload of two; of equal ones the known one."""
    is_delete = (col(OPERATION) == DELETE).cast("tinyint")
    order = [is_delete, *_payload_order(rows, shape.kept), (~col(NEW)).cast("tinyint")]
    ordered = per_key(shape).orderBy(col(SEQUENCE), *order)
    following = f"{HIDDEN_PREFIX}following"
    seen = rows.withColumn(following, F.lead(SEQUENCE).over(ordered))
    return seen.where(~col(following).eqNullSafe(col(SEQUENCE))).drop(following)


def _payload_order(rows: DataFrame, names: Sequence[str]) -> list[Column]:
    return [orderable(name, rows.schema[name].dataType).asc_nulls_first() for name in sorted(names)]
