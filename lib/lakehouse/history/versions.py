"""The rows that a set of events makes: runs of equal events, their bounds, values that NULLs do not change, previous values."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from lakehouse.frames import HIDDEN_PREFIX, col, orderable
from lakehouse.history.events import DELETE, NEW, OPERATION, SEQUENCE, SETTLED, UPSERT, by_key, per_key
from lakehouse.history.shape import CHANGED_AT, PREVIOUS, Shape

IS_ROW = f"{HIDDEN_PREFIX}is_row"  # the event is the last of its run: its values are a row of the target
STARTED_NEW = f"{HIDDEN_PREFIX}started_new"  # the run's first event is new
CLOSES = f"{HIDDEN_PREFIX}closes"  # a new delete that follows an upsert
START, END = f"{HIDDEN_PREFIX}start", f"{HIDDEN_PREFIX}end"

_BEFORE, _DELETED_AT, _OPENS = f"{HIDDEN_PREFIX}before", f"{HIDDEN_PREFIX}deleted_at", f"{HIDDEN_PREFIX}opens"
_GIVEN = f"{HIDDEN_PREFIX}given_"
_CHANGE = f"{HIDDEN_PREFIX}change_"


def with_versions(rows: DataFrame, shape: Shape) -> DataFrame:
    """All events of some keys, one per key and sequence, with what each makes of its key's history.

    Adds IS_ROW, START, END, STARTED_NEW and CLOSES, and for each column in `keep_previous` its two columns.
    """
    keyed = by_key(shape)
    so_far = keyed.rowsBetween(Window.unboundedPreceding, 0)
    filled = _filled(rows, shape, so_far)
    with_before = filled.withColumn(_BEFORE, F.lag(OPERATION).over(keyed))
    flagged = with_before.withColumns(_flags(with_before, shape, keyed))
    ended = flagged.withColumns(
        {
            END: F.lead(SEQUENCE).over(keyed),
            START: F.last(F.when(col(_OPENS), col(SEQUENCE)), ignorenulls=True).over(so_far),
            STARTED_NEW: F.last(F.when(col(_OPENS), col(NEW)), ignorenulls=True).over(so_far),
            IS_ROW: (col(OPERATION) == UPSERT) & _is_last_of_run(shape, keyed) & ~_is_settled(rows, shape),
            CLOSES: col(NEW) & (col(OPERATION) == DELETE) & F.coalesce(col(_BEFORE) == UPSERT, F.lit(False)),
            **_previous(flagged, shape, so_far),
        }
    )
    changes = [f"{_CHANGE}{index}" for index, _ in enumerate(shape.previous)]
    return ended.drop(_BEFORE, _DELETED_AT, _OPENS, *changes)


def as_given(rows: DataFrame, name: str) -> Column:
    """The column's value as the event has it, before NULLs were filled."""
    given = f"{_GIVEN}{name}"
    return col(given if given in rows.columns else name).alias(name)


def _flags(rows: DataFrame, shape: Shape, keyed: WindowSpec) -> dict[str, Column]:
    is_first = F.coalesce(col(_BEFORE) != UPSERT, F.lit(True))
    tracked = [_comparable(rows, name) for name in shape.tracked] if shape.versioned else []
    differs = reduce(Column.__or__, [_differs(value, keyed) for value in tracked], F.lit(False))
    settled = col(SETTLED).isNotNull() if SETTLED in rows.columns else F.lit(False)
    found = {_OPENS: (col(OPERATION) == UPSERT) & (is_first | differs | settled)}
    for index, name in enumerate(shape.previous):
        value = _comparable(rows, name)
        found[f"{_CHANGE}{index}"] = F.when(
            (col(OPERATION) == UPSERT) & ~is_first & _differs(value, keyed),
            F.struct(F.lag(col(name)).over(keyed).alias("value"), col(SEQUENCE).alias("at")),
        )
    return found


def _differs(value: Column, keyed: WindowSpec) -> Column:
    return ~value.eqNullSafe(F.lag(value).over(keyed))


def _is_last_of_run(shape: Shape, keyed: WindowSpec) -> Column:
    next_operation = F.lead(OPERATION).over(keyed)
    if not shape.versioned:
        return next_operation.isNull()
    return next_operation.isNull() | (next_operation == DELETE) | F.lead(_OPENS).over(keyed)


def _is_settled(rows: DataFrame, shape: Shape) -> Column:
    """True for an event before the first that is known of all that its key still has: its row is not made from it alone."""
    if SETTLED not in rows.columns or not shape.versioned:
        return F.lit(False)
    return F.coalesce(col(SEQUENCE) < F.max(SETTLED).over(per_key(shape)), F.lit(False))


def _previous(rows: DataFrame, shape: Shape, so_far: WindowSpec) -> dict[str, Column]:
    """The value before the last change of this life, and when that change was."""
    found: dict[str, Column] = {}
    for index, name in enumerate(shape.previous):
        change = F.last(col(f"{_CHANGE}{index}"), ignorenulls=True).over(so_far)
        alive = F.when(change.getField("at") > _life_start(so_far), change)
        found |= {f"{PREVIOUS}{name}": alive.getField("value"), f"{name}{CHANGED_AT}": alive.getField("at")}
    return found


def _life_start(so_far: WindowSpec) -> Column:
    """The sequence at which the key's present life began."""
    begins = F.coalesce(col(_BEFORE) != UPSERT, F.lit(True)) & (col(OPERATION) == UPSERT)
    return F.last(F.when(begins, col(SEQUENCE)), ignorenulls=True).over(so_far)


def _filled(rows: DataFrame, shape: Shape, so_far: WindowSpec) -> DataFrame:
    """Each NULL of a filled column as the nearest value of the same life before it, structs field by field."""
    if not shape.filled:
        return rows
    deleted_at = F.last(F.when(col(OPERATION) == DELETE, col(SEQUENCE)), ignorenulls=True).over(so_far)
    rows = rows.withColumn(_DELETED_AT, deleted_at)
    rows = rows.withColumns({f"{_GIVEN}{name}": col(name) for name in shape.filled})
    values = {name: _fill(col(name), rows.schema[name].dataType, so_far) for name in shape.filled}
    return rows.withColumns({name: F.when(col(OPERATION) == UPSERT, value) for name, value in values.items()})


def _fill(value: Column, kind: DataType, so_far: WindowSpec) -> Column:
    if isinstance(kind, StructType):
        fields = [_fill(value.getField(field.name), field.dataType, so_far).alias(field.name) for field in kind]
        return F.when(_last(value.isNotNull(), F.lit(True), so_far), F.struct(*fields))
    return _last(value.isNotNull(), value, so_far)


def _last(there: Column, value: Column, so_far: WindowSpec) -> Column:
    """The last value that was there, where no delete came after it."""
    given = F.when(there, F.struct(value.alias("value"), col(SEQUENCE).alias("at")))
    found = F.last(given, ignorenulls=True).over(so_far)
    alive = col(_DELETED_AT).isNull() | (found.getField("at") > col(_DELETED_AT))
    return F.when(alive, found.getField("value"))


def _comparable(rows: DataFrame, name: str) -> Column:
    return orderable(name, rows.schema[name].dataType)
