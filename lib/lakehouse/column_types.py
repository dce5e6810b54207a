"""Types that a column has in one place and not in another: what is a change, and which type holds the values of both."""

from __future__ import annotations

from pyspark.sql import Column
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

_MAX_PRECISION = 38
_CHAINS: tuple[tuple[type[DataType], ...], ...] = (
    (ByteType, ShortType, IntegerType, LongType),
    (FloatType, DoubleType),
)


def require_same_types(
    before: StructType, after: StructType, *, widening: bool, evolve: bool, table: str
) -> None:  # fmt: skip
    """Raises SinkError naming each column whose type changed; with `widening` Delta decides whether it may.

    A new field of a struct is a change unless the table may `evolve`.
    """
    known = {column.name.lower(): column.dataType for column in before}
    changed = [
        f"column '{column.name}' is {known[column.name.lower()].simpleString()} in {table} and now {column.dataType.simpleString()}"
        for column in after
        if column.name.lower() in known and changes(known[column.name.lower()], column.dataType, grows=evolve)
    ]
    if changed and not widening:
        raise SinkError(
            f"{'; '.join(changed)}; cast it, or set type_widening: true on the sink where the new type is wider"
        )


def changes(before: DataType, after: DataType, *, grows: bool) -> bool:
    """True where a value changed its type. A field that a struct lacks is no change, a new one is none where it `grows`."""
    if isinstance(before, StructType) and isinstance(after, StructType):
        known = {field.name.lower(): field.dataType for field in before}
        return any(
            changes(known[field.name.lower()], field.dataType, grows=grows)
            if field.name.lower() in known
            else not grows
            for field in after
        )
    if isinstance(before, ArrayType) and isinstance(after, ArrayType):
        return changes(before.elementType, after.elementType, grows=grows)
    if isinstance(before, MapType) and isinstance(after, MapType):
        return changes(before.keyType, after.keyType, grows=grows) or changes(
            before.valueType, after.valueType, grows=grows
        )
    return before.simpleString().lower() != after.simpleString().lower()


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


def as_type(value: Column, kind: DataType, wanted: DataType) -> Column:
    """A value of the type `kind` in a type that holds it; a struct's fields by name, those that it has not NULL."""
    if kind == wanted:
        return value
    if isinstance(kind, StructType) and isinstance(wanted, StructType):
        return F.when(value.isNotNull(), F.struct(*[_field(value, kind, field) for field in wanted]))
    if isinstance(kind, ArrayType) and isinstance(wanted, ArrayType):
        return F.transform(value, lambda item: as_type(item, kind.elementType, wanted.elementType))
    if isinstance(kind, MapType) and isinstance(wanted, MapType):
        values = F.transform_values(value, lambda _, item: as_type(item, kind.valueType, wanted.valueType))
        return values.cast(wanted)
    return value.cast(wanted)


def _field(value: Column, kind: StructType, wanted: StructField) -> Column:
    found = next((field for field in kind if field.name.lower() == wanted.name.lower()), None)
    if found is None:
        return F.lit(None).cast(wanted.dataType).alias(wanted.name)
    return as_type(value.getField(found.name), found.dataType, wanted.dataType).alias(wanted.name)
