"""How PostgreSQL's values become Spark's: exactly, or as text; what fits in no column is told apart, never rounded."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.databases.control import identifier, literal
from lakehouse.databases.relations import Column
from lakehouse.frames import HIDDEN_PREFIX

UNFIT = f"{HIDDEN_PREFIX}unfit"  # the values that fit no column, as JSON {column: text}; NULL where all fit
WHOLE = f"{HIDDEN_PREFIX}whole"  # the row as the database's own JSON, where UNFIT or UNPLACED is set

_AS_THEY_ARE = frozenset(
    {
        "bool",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "text",
        "varchar",
        "bpchar",
        "name",
        "bytea",
        "uuid",
        "json",
        "jsonb",
    }
)
_ELEMENTS = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar"})
_MOST_DIGITS, _MOST_SCALE = 38, 18
# Spark has no infinity: the last and first moment that every reader of a table knows.
_ENDS = {
    "timestamptz": ("'9999-12-31 23:59:59.999999+00'", "'0001-01-01 00:00:00+00'"),
    "date": ("'9999-12-31'", "'0001-01-01'"),
}


def selected(columns: Sequence[Column]) -> list[str]:
    """The columns as expressions whose JDBC type Spark reads exactly, and UNFIT and WHOLE where a value may fit none."""
    unfit = {column.name: condition for column in columns if (condition := _unfit(column))}
    found = [_value(column, unfit.get(column.name)) for column in columns]
    if not unfit:
        return found
    pairs = ", ".join(
        f"{literal(name)}, CASE WHEN {condition} THEN {identifier(name)}::text END" for name, condition in unfit.items()
    )
    return [
        *found,
        f"CASE WHEN {any_unfit(columns)} THEN json_strip_nulls(json_build_object({pairs}))::text END AS {UNFIT}",
    ]


def any_unfit(columns: Sequence[Column]) -> str:
    """True for a row that has a value which fits no column."""
    return (
        " OR ".join(f"coalesce({condition}, false)" for column in columns if (condition := _unfit(column))) or "false"
    )


def _value(column: Column, unfit: str | None) -> str:
    name = identifier(column.name)
    value = _converted(column, name)
    if unfit is not None:
        value = f"CASE WHEN NOT ({unfit}) THEN {value} END"
    if column.type == "numeric":
        digits, scale = (column.precision, column.scale) if _has_bounds(column) else (_MOST_DIGITS, _MOST_SCALE)
        value = f"({value})::numeric({digits}, {scale})"
    return name if value == name else f"{value} AS {name}"


def _converted(column: Column, name: str) -> str:
    if column.type == "timestamp":  # a wall clock: UTC's, whatever zone this machine is in
        return _finite(f"({name} AT TIME ZONE 'UTC')", "timestamptz")
    if column.type in _ENDS:
        return _finite(name, column.type)
    if column.type == "numeric" or column.type in _AS_THEY_ARE or column.element in _ELEMENTS:
        return name
    return f"{name}::text[]" if column.category == "A" else f"{name}::text"


def _finite(value: str, kind: str) -> str:
    last, first = _ENDS[kind]
    return f"CASE {value} WHEN 'infinity' THEN {last}::{kind} WHEN '-infinity' THEN {first}::{kind} ELSE {value} END"


def _unfit(column: Column) -> str | None:
    """True for a value that Spark's type for the column cannot hold; None where it holds all."""
    name = identifier(column.name)
    if column.category == "A":  # an array's dimensions are not in its type
        return f"array_ndims({name}) > 1"
    if column.type != "numeric":
        return None
    if _has_bounds(column):
        return f"{name} = 'NaN'"
    # NaN and infinity are greater than any number; NOT, so that they are caught by this very comparison
    return f"NOT (abs({name}) < 1e{_MOST_DIGITS - _MOST_SCALE} AND {name} = round({name}, {_MOST_SCALE}))"


def _has_bounds(column: Column) -> bool:
    """True for numeric(p, s) as Spark can have it."""
    return (
        column.precision is not None
        and column.scale is not None
        and 0 <= column.scale <= column.precision <= _MOST_DIGITS
    )
