"""Kafka's messages as rows: the value by its format, what Kafka says beside it, and why a value makes no row.

Nothing here raises for a message: one that cannot be read is a row with BROKEN (why) and MALFORMED (its value).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.types import DataType, StringType, StructField, StructType

from lakehouse.frames import BROKEN, HIDDEN_PREFIX, MALFORMED, PLACE, UNKNOWN, attempt, col, parsed_json

ENCODED = "base64:"
"""Before bytes that are no text, where they are kept as text."""

_TEXT, _LINE, _FOUND = f"{HIDDEN_PREFIX}text", f"{HIDDEN_PREFIX}line", f"{HIDDEN_PREFIX}found"
_CORRUPT, _VALUE, _WHY = f"{HIDDEN_PREFIX}corrupt", f"{HIDDEN_PREFIX}value", f"{HIDDEN_PREFIX}why"
_NAMES, _KEYS = f"{HIDDEN_PREFIX}names", f"{HIDDEN_PREFIX}keys"
_KAFKA = f"{HIDDEN_PREFIX}kafka_"
_BESIDE = ("topic", "partition", "offset", "timestamp", "key", "headers")
_BLANKS = " \t\r\n"
_HEADER = 5  # bytes before a value that names its schema: a zero and the id

Decoder = Callable[[DataFrame], DataFrame]
"""Adds the value's columns, _WHY (NULL: the value is whole) and, for JSON, UNKNOWN to messages."""


@dataclass(frozen=True)
class AvroSchemas:
    """The schema that values are read as, and those that they may be written in by id; none: all are in the reader's."""

    reader: str
    writers: Mapping[int, str]
    said: str


def rows_of(messages: DataFrame, decode: Decoder) -> DataFrame:
    """One row per message: the value's columns, `_topic` and what else Kafka says of it, and where it lies (PLACE).

    Without a value (a tombstone) the value's columns are NULL, and nothing is broken.
    """
    others = [name for name in messages.columns if name.startswith(HIDDEN_PREFIX)]
    beside = [col(name).alias(f"{_KAFKA}{name}") for name in _BESIDE]
    decoded = decode(messages.select(col("value").alias(_VALUE), *beside, *map(col, others)))
    # made of what is decoded: where rows are looked for by their values, those of the others are not worked out
    own = _own_columns()
    place = F.concat_ws("/", *[col(f"{_KAFKA}{name}") for name in ("topic", "partition", "offset")])
    return decoded.select(
        *[own.get(name, col(name)) for name in decoded.columns if name not in (_VALUE, _WHY)],
        place.alias(PLACE),
        col(_WHY).alias(BROKEN),
        F.when(col(_WHY).isNotNull(), as_text(col(_VALUE))).alias(MALFORMED),
    )


def _own_columns() -> dict[str, Column]:
    """What Kafka says beside a value as bronze keeps it, by the names under which it is carried along."""
    given = {name: col(f"{_KAFKA}{name}") for name in _BESIDE}
    texts = {
        "key": as_text(given["key"]),
        "headers": F.transform(
            given["headers"], lambda one: F.struct(one["key"].alias("key"), as_text(one["value"]).alias("value"))
        ),
    }
    return {f"{_KAFKA}{name}": texts.get(name, value).alias(f"_{name}") for name, value in given.items()}


def as_text(value: Column) -> Column:
    """Bytes as the text that they are; of others their base64 after ENCODED."""
    text = value.cast("string")
    return F.when(F.is_valid_utf8(text), text).when(value.isNotNull(), F.concat(F.lit(ENCODED), F.base64(value)))


def as_bytes(text: Column) -> Column:
    """What `as_text` was made from."""
    encoded = F.unbase64(F.substring(text, len(ENCODED) + 1, 2**31 - 1))
    return F.when(text.startswith(ENCODED), encoded).otherwise(text.cast("binary"))


def again(rows: DataFrame, decode: Decoder) -> DataFrame:
    """Rows out of the quarantine: those with a broken value are decoded again, the others are as they were."""
    own = {"topic": "_topic", "partition": "_partition", "offset": "_offset", "timestamp": "_timestamp"}
    others = [name for name in rows.columns if name.startswith(HIDDEN_PREFIX) and name != MALFORMED]
    broken = rows.where(col(MALFORMED).isNotNull()).select(
        *[col(name).alias(plain) for plain, name in own.items()],
        as_bytes(col(MALFORMED)).alias("value"),
        as_bytes(col("_key")).alias("key"),
        F.transform(
            "_headers", lambda one: F.struct(one["key"].alias("key"), as_bytes(one["value"]).alias("value"))
        ).alias("headers"),
        *map(col, others),
    )
    return rows.where(col(MALFORMED).isNull()).unionByName(rows_of(broken, decode), allowMissingColumns=True)


def raw(messages: DataFrame) -> DataFrame:
    """The value as it lies there: bytes."""
    return messages.select(col(_VALUE).alias("value"), "*", F.lit(None).cast("string").alias(_WHY))


def json_text(messages: DataFrame) -> DataFrame:
    """The value as text, which must be JSON."""
    text = messages.withColumn(_TEXT, _valid_text())
    why = F.when(col(_TEXT).isNull(), "the value is not UTF-8").when(
        parsed_json(col(_TEXT)).isNull(), "the value is not JSON"
    )
    found = text.withColumn(_WHY, F.when(col(_VALUE).isNotNull(), why))
    return found.select(F.when(col(_WHY).isNull(), col(_TEXT)).alias("value"), *map(col, messages.columns), _WHY)


def json_of(fields: StructType) -> Decoder:
    """Decodes JSON objects: each field in its type; fields that are none of these go to UNKNOWN."""
    return partial(_json_rows, fields=fields)


def _json_rows(messages: DataFrame, fields: StructType) -> DataFrame:
    kinds = StructType([*fields, StructField(_CORRUPT, StringType())])
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _CORRUPT}
    text = messages.withColumn(_TEXT, _valid_text())
    line = text.withColumn(_LINE, _once(F.when(_is_object(), F.from_json(_TEXT, kinds, options))))
    why = (
        F.when(col(_TEXT).isNull(), "the value is not UTF-8")
        .when(col(_LINE).isNull(), "the value is not one JSON object")
        .when(col(_LINE)[_CORRUPT].isNotNull(), _misfits(fields))
    )
    names = _once(F.when(col(_LINE).isNotNull(), F.json_object_keys(_TEXT)))
    named = line.withColumns({_WHY: F.when(col(_VALUE).isNotNull(), why), _NAMES: names})
    judged = named.withColumn(_KEYS, _unknown_keys(fields))
    values = [F.when(col(_WHY).isNull(), col(_LINE)[field.name]).alias(field.name) for field in fields]
    return judged.select(*values, *map(col, messages.columns), _WHY, _unknown().alias(UNKNOWN))


def _once(value: Column) -> Column:
    """The value, worked out once a row: Spark moves filters below what is costly, and works it out for them again.

    It moves none below what may differ from one time to the next, as it must think of the partition's number.
    """
    return F.when(F.spark_partition_id() >= 0, value)


def _valid_text() -> Column:
    text = col(_VALUE).cast("string")
    return F.when(F.is_valid_utf8(text), text)


def _is_object() -> Column:
    """True for text that is one object and nothing else: Spark reads a value and leaves what follows it.

    Where the only closing brace is the last character nothing can follow; only other texts are read for it.
    """
    text, trimmed = col(_TEXT), F.trim(col(_TEXT), F.lit(_BLANKS))
    inner = F.substring(col(_VALUE), F.lit(1), F.octet_length(_VALUE) - 1).cast("string")  # of bytes: none is looked at
    is_flat = text.startswith("{") & text.endswith("}") & ~inner.contains("}")
    is_other = trimmed.startswith("{") & trimmed.endswith("}") & parsed_json(text).isNotNull()
    return F.when(is_flat, True).otherwise(is_other)


def _misfits(fields: StructType) -> Column:
    """Which fields do not hold what they should; asked of broken values alone."""

    def wrong(given: Column) -> Column:
        said = [
            F.when(
                given[field.name].isNotNull() & col(_LINE)[field.name].isNull(),
                F.lit(f"{field.name} is no {field.dataType.simpleString()}"),
            )
            for field in fields
        ]
        return F.concat_ws(", ", *said)

    named = F.transform(F.array(F.from_json(_TEXT, "map<string,string>")), wrong)[0]
    return F.coalesce(F.nullif(named, F.lit("")), F.lit("the value is not JSON"))


def _unknown_keys(fields: StructType) -> Column:
    """The names in an object that no column has; NULL where it has no more names than columns that got a value."""
    known = F.array(*[F.lit(field.name) for field in fields]).cast("array<string>")
    filled = [F.when(col(_LINE)[field.name].isNotNull(), 1).otherwise(0) for field in fields]
    return F.when(F.size(_NAMES) > reduce(Column.__add__, filled, F.lit(0)), F.array_except(_NAMES, known))


def _unknown() -> Column:
    """The fields of an object that no column takes; looked for where its keys say that there are some."""
    there = F.map_filter(F.from_json(_TEXT, "map<string,string>"), lambda name, _: F.array_contains(col(_KEYS), name))
    return F.when(col(_WHY).isNull() & (F.size(_KEYS) > 0), there)


def avro_of(schemas: AvroSchemas) -> Decoder:
    """Decodes Avro records: of one schema, or by the id before each value."""
    return partial(_avro_rows, schemas=schemas)


def _avro_rows(messages: DataFrame, schemas: AvroSchemas) -> DataFrame:
    options = {"mode": "FAILFAST", "avroSchema": schemas.reader}
    framed = bool(schemas.writers)
    payload = F.expr(f"substring({_VALUE}, {_HEADER + 1})") if framed else col(_VALUE)

    def record(writer: str) -> Column:
        return attempt(from_avro(payload, writer, options)).getField("value")

    if framed:
        parts = [F.when(_schema_id().eqNullSafe(number), record(writer)) for number, writer in schemas.writers.items()]
        found = messages.withColumn(_FOUND, _once(F.coalesce(*parts)))
    else:
        found = messages.withColumn(_FOUND, _once(record(schemas.reader)))
    kind: DataType = found.schema[_FOUND].dataType
    if not isinstance(kind, StructType):
        raise ValueError(f"{schemas.said} is {kind.simpleString()}, and a message must be a record")
    why = F.when(col(_FOUND).isNull() & col(_VALUE).isNotNull(), _why_no_record(schemas, framed=framed))
    values = [col(_FOUND)[field.name].alias(field.name) for field in kind]
    return found.withColumn(_WHY, why).select(*values, *map(col, messages.columns), _WHY)


def _schema_id() -> Column:
    """The id of the schema that a value was written in; NULL where it names none."""
    header = F.hex(F.expr(f"substring({_VALUE}, 1, {_HEADER})"))
    is_header = (F.length(header) == 2 * _HEADER) & header.startswith("00")
    return F.when(is_header, F.conv(F.substring(header, 3, 8), 16, 10).cast("int"))


def _why_no_record(schemas: AvroSchemas, *, framed: bool) -> Column:
    misread = F.lit(f"the value is no Avro record of {schemas.said}")
    if not framed:
        return misread
    known = ", ".join(str(number) for number in schemas.writers)
    unknown = F.concat(F.lit("schema id "), _schema_id().cast("string"), F.lit(f" is none of {schemas.said} ({known})"))
    return (
        F.when(_schema_id().isNull(), "the value names no schema: it does not begin with a zero and four bytes of id")
        .when(~_schema_id().isin(*schemas.writers), unknown)
        .otherwise(misread)
    )
