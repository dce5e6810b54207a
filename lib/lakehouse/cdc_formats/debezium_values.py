"""How Debezium writes values into JSON, and back: what the envelope's schema names, else what the wanted type makes plain.

With a schema block, by its names: days (Date), milli-, micro- and nanoseconds (Timestamp, MicroTimestamp, NanoTimestamp;
Time and its like as HH:mm:ss), Decimal and VariableScaleDecimal (bytes in base64). The result is text that the wanted
type takes; times are UTC. Without one only two are known: a number where a date is wanted counts days, and what binary
is wanted of is base64. A number where a timestamp is wanted stays a number, and so a broken row: whether it counts
milli-, micro- or nanoseconds nobody knows. Let Debezium write schemas, set time.precision.mode=isostring and
decimal.handling.mode=string there, or take the number as bigint and derive the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from lakehouse.frames import quoted
from lakehouse.sql_text import text_literal

SCHEMA = (
    "struct<fields: array<struct<field: string, fields: array<struct<"
    "field: string, name: string, parameters: map<string, string>>>>>>"
)
"""What is read of an envelope's schema block."""

_KAFKA, _DEBEZIUM = "org.apache.kafka.connect.data.", "io.debezium.time."
_UNITS = {
    _KAFKA: Fraction(1000),
    _DEBEZIUM: Fraction(1000),
    f"{_DEBEZIUM}Micro": Fraction(1),
    f"{_DEBEZIUM}Nano": Fraction(1, 1000),
}
_DECIMAL, _ANY_SCALE = f"{_KAFKA}Decimal", "io.debezium.data.VariableScaleDecimal"
_LARGEST = 200_000_000_000_000_000  # microseconds: the year 8307; 'infinity' lies beyond
_WHOLE = (ByteType, ShortType, IntegerType, LongType)
_TIME_TYPES = (DateType, TimestampType, TimestampNTZType)
_TOP = 1_262_177_448  # a first of four words below it makes a number of at most 38 digits


def types_of(schema: Column) -> Column:
    """A map from each field of the row to its name and parameters in the schema block."""
    sides = F.filter(schema.getField("fields"), lambda side: side.getField("field").isin("after", "before"))
    fields = F.filter(F.get(sides, 0).getField("fields"), lambda field: field.getField("field").isNotNull())
    names = F.transform(fields, lambda field: field.getField("field"))
    # a map refuses a key that comes twice, and with it the whole job
    return F.when(F.size(F.array_distinct(names)) == F.size(names), F.map_from_arrays(names, fields))


def decoded(row: str, kind: StructType, types: str | None, wanted: Mapping[str, DataType]) -> tuple[str, StructType]:
    """A row (the SQL of a struct) with its values decoded, as SQL and its type; `types` is the map's, where there is one.

    SQL, here and in `debezium_rows`: built call by call, a table of fifty columns takes the JVM seconds.
    """
    parts, fields = [], []
    for field in kind:
        value = f"{row}.{quoted(field.name)}"
        said = None if types is None else f"{types}[{text_of(field.name)}]"
        sql, found = _decoded(value, field.dataType, said, wanted.get(field.name.lower()))
        parts.append(f"{text_of(field.name)}, {sql}")
        fields.append(StructField(field.name, found))
    if not parts:
        return row, kind
    return f"CASE WHEN {row} IS NOT NULL THEN named_struct({', '.join(parts)}) END", StructType(fields)


def text_of(value: str) -> str:
    """A literal of SQL."""
    return text_literal(value)


def _decoded(value: str, kind: DataType, said: str | None, wanted: DataType | None) -> tuple[str, DataType]:
    """A value as text that the wanted type takes, and its type; as it is where it needs no decoding."""
    if isinstance(kind, StructType) and set(kind.names) == {"scale", "value"}:
        decimal = _decimal(f"cast({value}.value AS string)", f"try_cast({value}.scale AS int)")
        return f"coalesce({decimal}, cast({value}.value AS string))", StringType()
    is_number = isinstance(kind, _WHOLE) and isinstance(wanted, _TIME_TYPES)
    if not isinstance(kind, StringType) and not is_number:
        return value, kind
    text = f"cast({value} AS string)"
    if isinstance(wanted, BinaryType):
        return f"coalesce(try_to_binary({text}, 'base64'), cast({text} AS binary))", BinaryType()
    if said is not None and (wanted is None or isinstance(wanted, (*_TIME_TYPES, DecimalType, StringType))):
        return f"coalesce({_once(said, 'said', _by_name(text, wanted))}, {text})", StringType()
    if isinstance(wanted, DateType):
        text = f"CASE WHEN {text} RLIKE '^-?[0-9]{{1,7}}$' THEN {_date(text)} ELSE {text} END"
    elif isinstance(wanted, _TIME_TYPES):  # Spark would take a short number for a year
        text = f"CASE WHEN {text} RLIKE '^-?[0-9]+$' THEN concat({text}, ' of an unknown unit') ELSE {text} END"
    return text, StringType()


def _once(value: str, name: str, use: str) -> str:
    """What is made of a value under a name: so it is worked out once, where Spark would repeat it at each mention."""
    return f"get(transform(array({value}), {name} -> {use}), 0)"


def _by_name(text: str, wanted: DataType | None) -> str:
    """The text as the name of its type in the schema block says; NULL where it is not written that way."""
    found: dict[str, str] = {}
    if not isinstance(wanted, DecimalType):
        found |= {f"{prefix}Date": _date(text) for prefix in (_KAFKA, _DEBEZIUM)}
        found |= {f"{prefix}Timestamp": _timestamp(text, unit) for prefix, unit in _UNITS.items()}
        found |= {f"{prefix}Time": f"substring({_timestamp(text, unit)}, 12, 15)" for prefix, unit in _UNITS.items()}
    if not isinstance(wanted, _TIME_TYPES):
        scale = f"try_cast(get_json_object({text}, '$.scale') AS int)"
        found[_DECIMAL] = _decimal(text, "try_cast(said.parameters['scale'] AS int)")
        found[_ANY_SCALE] = _decimal(f"get_json_object({text}, '$.value')", scale)
    cases = " ".join(f"WHEN '{name}' THEN {sql}" for name, sql in found.items())
    return f"CASE said.name {cases} END"


def _date(text: str) -> str:
    return f"cast(date_from_unix_date(try_cast({text} AS int)) AS string)"


def _timestamp(text: str, unit: Fraction) -> str:
    """A number of so many microseconds each, since 1970, as text; NULL where no timestamp goes that far."""
    limit = min(int(_LARGEST / unit), (1 << 63) - 1)
    micros = f"number * {unit.numerator}" if unit >= 1 else f"floor(number / cast({unit.denominator} AS decimal(4,0)))"
    made = f"CASE WHEN number BETWEEN -{limit} AND {limit} THEN cast(timestamp_micros(cast({micros} AS bigint)) AS string) END"
    return _once(f"try_cast({text} AS bigint)", "number", made)


def _decimal(text: str, scale: str) -> str:
    """A decimal out of the bytes of its unscaled value (base64, two's complement); NULL for what is none, or too long."""
    is_negative = "substring(hexes, 1, 1) >= '8'"
    # a negative number is one more than its bits turned over
    turned = "translate(lpad(hexes, 32, 'F'), '0123456789ABCDEF', 'FEDCBA9876543210')"
    bits = f"CASE WHEN {is_negative} THEN {turned} ELSE lpad(hexes, 32, '0') END"
    digits = _once(bits, "bits", f"cast({_number()} + CASE WHEN {is_negative} THEN 1 ELSE 0 END AS decimal(38,0))")
    point = _once(f"cast({digits} AS string)", "digits", _with_point(f"coalesce({scale}, 0)"))
    made = f"CASE WHEN length(hexes) BETWEEN 1 AND 32 THEN concat(CASE WHEN {is_negative} THEN '-' ELSE '' END, {point}) END"
    return _once(f"hex(try_to_binary({text}, 'base64'))", "hexes", made)


def _number() -> str:
    """A number of 32 hexadecimal digits, `bits`; NULL where it has more than 38 decimal ones."""
    first, *others = [f"cast(conv(substring(bits, {start}, 8), 16, 10) AS decimal(38,0))" for start in (1, 9, 17, 25)]
    total = f"CASE WHEN {first} < {_TOP} THEN {first} END"
    for word in others:
        total = f"cast(({total}) * {1 << 32} AS decimal(38,0)) + {word}"
    return f"({total})"


def _with_point(scale: str) -> str:
    """`digits` with so many of them behind the point; a negative scale adds zeros."""
    padded = f"lpad(digits, greatest(length(digits), {scale} + 1), '0')"
    point = f"concat(substring({padded}, 1, length({padded}) - {scale}), '.', right({padded}, {scale}))"
    return f"CASE WHEN {scale} > 0 THEN {point} ELSE concat(digits, repeat('0', -{scale})) END"
