"""One type for columns that have two: wider along the chains that lose nothing, refused otherwise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StructField,
    StructType,
)

from lakehouse.errors import SinkError
from lakehouse.frames import FILE, HIDDEN_PREFIX, NAMED, any_null, col, named

_MAX_PRECISION = 38
_CHAINS: tuple[tuple[type[DataType], ...], ...] = (
    (ByteType, ShortType, IntegerType, LongType),
    (FloatType, DoubleType),
)


@dataclass(frozen=True)
class Keyed:
    """What names a row in an error: its keys, and which columns show no value."""

    keys: Sequence[str]
    masked: Collection[str]


def widened(rows: DataFrame, known: StructType, *, allowed: bool, table: str, keyed: Keyed | None = None) -> DataFrame:
    """The rows with each column that is known in another type in the wider of both.

    Raises SinkError naming each column whose type changed where that is not `allowed`, or no type holds both, and the
    first rows that have a value of the new type.
    """
    chosen, problems = _chosen(rows, known, allowed=allowed, table=table)
    if problems:
        raise SinkError("; ".join(problems.values()) + (_rows_named(rows, list(problems), keyed) if keyed else ""))
    return rows.select(
        *[
            _as(col(name), rows.schema[name].dataType, chosen[name]).alias(name) if name in chosen else col(name)
            for name in rows.columns
        ]
    )


def _chosen(
    rows: DataFrame, known: StructType, *, allowed: bool, table: str
) -> tuple[dict[str, DataType], dict[str, str]]:
    """The columns that get another type, and what is wrong with those that cannot."""
    there = {field.name.lower(): field.dataType for field in known}
    chosen: dict[str, DataType] = {}
    problems: dict[str, str] = {}
    for field in rows.schema:
        before, after = there.get(field.name.lower()), field.dataType
        if before is None or before.simpleString() == after.simpleString():
            continue
        common = wider(before, after)
        if common is not None and (allowed or not _changes(before, after)):  # a struct's other fields are no change
            chosen[field.name] = common
            continue
        hint = "cast it" if common is None else "cast it, or set type_widening: true on the sink"
        said = f"column '{field.name}' is {before.simpleString()} in {table} and now {after.simpleString()}"
        problems[field.name] = f"{said}; {hint}"
    return chosen, problems


def _as(value: Column, kind: DataType, wanted: DataType) -> Column:
    """The value in a type that holds it; a struct's fields by name, those that it has not NULL."""
    if kind == wanted:
        return value
    if isinstance(kind, StructType) and isinstance(wanted, StructType):
        return F.when(value.isNotNull(), F.struct(*[_field(value, kind, field) for field in wanted]))
    if isinstance(kind, ArrayType) and isinstance(wanted, ArrayType):
        return F.transform(value, lambda item: _as(item, kind.elementType, wanted.elementType))
    if isinstance(kind, MapType) and isinstance(wanted, MapType):
        values = F.transform_values(value, lambda _, item: _as(item, kind.valueType, wanted.valueType))
        return values.cast(wanted)
    return value.cast(wanted)


def _field(value: Column, kind: StructType, wanted: StructField) -> Column:
    found = next((field for field in kind if field.name.lower() == wanted.name.lower()), None)
    if found is None:
        return F.lit(None).cast(wanted.dataType).alias(wanted.name)
    return _as(value.getField(found.name), found.dataType, wanted.dataType).alias(wanted.name)


def _rows_named(rows: DataFrame, changed: Sequence[str], keyed: Keyed) -> str:
    names = [*keyed.keys, *([FILE] if FILE in rows.columns else [])]
    shown = rows.where(~any_null(changed)).select(*map(col, names)).limit(NAMED).collect()
    said = [name.removeprefix(HIDDEN_PREFIX) for name in names]
    return f" ({named(said, shown, keyed.masked)})" if shown else ""


def wider(one: DataType, other: DataType) -> DataType | None:
    """The type that holds the values of both exactly, or None: integers, float to double, decimals, and in nested types."""
    if one == other:
        return one
    for chain in _CHAINS:
        if type(one) in chain and type(other) in chain:
            return max(one, other, key=lambda kind: chain.index(type(kind)))
    if isinstance(one, DecimalType) and isinstance(other, DecimalType):
        scale = max(one.scale, other.scale)
        whole = max(one.precision - one.scale, other.precision - other.scale)
        return DecimalType(whole + scale, scale) if whole + scale <= _MAX_PRECISION else None
    return _wider_nested(one, other)


def _wider_nested(one: DataType, other: DataType) -> DataType | None:
    if isinstance(one, StructType) and isinstance(other, StructType):
        return _wider_struct(one, other)
    if isinstance(one, ArrayType) and isinstance(other, ArrayType):
        element = wider(one.elementType, other.elementType)
        return None if element is None else ArrayType(element)
    if isinstance(one, MapType) and isinstance(other, MapType):
        key, value = wider(one.keyType, other.keyType), wider(one.valueType, other.valueType)
        return None if key is None or value is None else MapType(key, value)
    return None


def _wider_struct(one: StructType, other: StructType) -> StructType | None:
    """Fields by name; one that only one side has stays."""
    theirs = {field.name.lower(): field.dataType for field in other}
    fields = []
    for field in one:
        kind = wider(field.dataType, theirs.pop(field.name.lower(), field.dataType))
        if kind is None:
            return None
        fields.append(StructField(field.name, kind))
    return StructType(
        fields + [StructField(field.name, field.dataType) for field in other if field.name.lower() in theirs]
    )


def _changes(before: DataType, after: DataType) -> bool:
    """True where a value changed its type; a struct's new or missing field does not count."""
    if isinstance(before, StructType) and isinstance(after, StructType):
        theirs = {field.name.lower(): field.dataType for field in after}
        return any(
            _changes(field.dataType, theirs[field.name.lower()]) for field in before if field.name.lower() in theirs
        )
    if isinstance(before, ArrayType) and isinstance(after, ArrayType):
        return _changes(before.elementType, after.elementType)
    if isinstance(before, MapType) and isinstance(after, MapType):
        return _changes(before.keyType, after.keyType) or _changes(before.valueType, after.valueType)
    return before != after
