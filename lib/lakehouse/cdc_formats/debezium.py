"""Debezium's envelopes: op, before, after and source, bare or within {schema, payload}, as structs or as JSON text.

A key's update comes as a delete and an insert. Tombstones and messages (op m) make no row and are dropped. A value that
PostgreSQL did not send because it did not change (TOAST) is taken from `before` where that has it, else it is NULL and
its column is named in `_unavailable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from lakehouse.cdc_formats import DELETE, INSERT, READ, TRUNCATE, UPDATE
from lakehouse.cdc_formats.debezium_positions import SOURCE, sequence_in
from lakehouse.cdc_formats.debezium_rows import row_values
from lakehouse.cdc_formats.debezium_values import SCHEMA, decoded, types_of
from lakehouse.cdc_formats.flat_rows import FlatRow, corrupt_text, flat_rows
from lakehouse.cdc_formats.json_parts import NESTED, Part, joined, opened, row_kinds, texts, whole
from lakehouse.frames import HIDDEN_PREFIX, col, own_columns, visible

_OPERATIONS = {"c": INSERT, "r": READ, "u": UPDATE, "d": DELETE, "t": TRUNCATE}
_MESSAGE = "m"
_ENVELOPE = ("op", "before", "after", "source")
_AT = f"{HIDDEN_PREFIX}cdc_"  # the parts of the envelope, worked out once
_KEY = "_key"  # of Kafka: a delete may have no other word of its key


@dataclass(frozen=True)
class _Envelope:
    """The parts of an envelope, each in a hidden column; None for one that no envelope of the frame has."""

    op: Part | None
    before: Part | None
    after: Part | None
    source: Part | None
    has_key: bool

    def side(self, name: str) -> tuple[str, StructType]:
        """The row before or after, as SQL, and its type."""
        part = getattr(self, name)
        return f"{_AT}{name}", part.kind if part is not None else StructType()


def flat(records: DataFrame, columns: Mapping[str, str], fields: Mapping[str, DataType] | None) -> DataFrame:
    """One flat row per envelope; `fields` are the row's columns where they are known.

    Raises ValueError where the row's columns cannot be known.
    """
    if columns:
        raise ValueError("'cdc_columns' is nothing for debezium: an envelope's parts have fixed names")
    staged, envelope = _staged(records, fields)
    op = F.lit(None).cast("string") if envelope.op is None else envelope.op.value
    staged = staged.withColumn(f"{_AT}op", op)
    key = f"{_AT}key" if envelope.has_key else None
    values, unavailable = row_values(f"{_AT}op", envelope.side("before"), envelope.side("after"), key)
    sequence, has_sequence = sequence_in(envelope.source)
    before = envelope.before if envelope.before is not None and envelope.before.names else None
    row = FlatRow(
        {name: F.expr(value) for name, value in values.items()},
        _operation(col(f"{_AT}op")),
        sequence,
        None if before is None else before.value,
        None if unavailable is None else F.expr(unavailable),
        _broken(records, envelope, col(f"{_AT}op"), has_sequence),
        _is_skipped(records, col(f"{_AT}op")),
    )
    return flat_rows(staged, row)


def _staged(records: DataFrame, fields: Mapping[str, DataType] | None) -> tuple[DataFrame, _Envelope]:
    """The frame with the parts of its envelopes in hidden columns, so that each is parsed once, and these parts."""
    outer, rows = whole(records), records
    value = outer.field("value")
    if value is not None and _is_text(records):
        rows, outer = _kept(rows, "value", opened(value, texts("schema", "payload", *_ENVELOPE)))
    payload = outer.field("payload")
    if payload is not None:
        rows, payload = _kept(rows, "payload", opened(payload, texts(*_ENVELOPE)))
    found = {name: joined([payload.field(name) if payload else None, outer.field(name)]) for name in _ENVELOPE}
    kinds = dict(zip(("before", "after"), row_kinds(found["before"], found["after"], fields), strict=True)) | {
        "source": SOURCE
    }
    for name, kind in kinds.items():
        part = found[name]
        if part is not None:
            rows, found[name] = _kept(rows, name, opened(part, kind))
    rows, types = _with_types(rows, outer.field("schema") if payload is not None else None)
    wanted = {name.lower(): kind for name, kind in (fields or {}).items()}
    for name in ("before", "after"):
        part = found[name]
        if part is not None and isinstance(part.kind, StructType):
            sql, kind = decoded(f"{_AT}{name}", part.kind, types, wanted)
            rows, found[name] = _kept(rows, name, Part(F.expr(sql), kind))
    rows, has_key = _with_key(rows)
    return rows, _Envelope(found["op"], found["before"], found["after"], found["source"], has_key)


def _is_text(records: DataFrame) -> bool:
    """True where an envelope is the text in the column `value`."""
    names = {name.lower() for name in records.columns}
    return "value" in names and not {"op", "payload"} & names


def _kept(rows: DataFrame, name: str, part: Part) -> tuple[DataFrame, Part]:
    return rows.withColumn(f"{_AT}{name}", part.value), Part(col(f"{_AT}{name}"), part.kind)


def _with_types(rows: DataFrame, schema: Part | None) -> tuple[DataFrame, str | None]:
    """What the schema block says of the row's fields, as a map; its column's name, None where there is no block."""
    if schema is None:
        return rows, None
    text = F.to_json(schema.value) if isinstance(schema.kind, NESTED) else schema.value
    rows, block = _kept(rows, "schema", Part(F.from_json(text, SCHEMA), schema.kind))
    return rows.withColumn(f"{_AT}types", types_of(block.value)), f"{_AT}types"


def _with_key(rows: DataFrame) -> tuple[DataFrame, bool]:
    """The record's key as a map of texts, where it came with one."""
    if _KEY not in rows.columns:
        return rows, False
    rows = rows.withColumn(f"{_AT}outer_key", F.from_json(col(_KEY).cast("string"), "map<string,string>"))
    inner = F.from_json(col(f"{_AT}outer_key")["payload"], "map<string,string>")
    return rows.withColumn(f"{_AT}key", F.coalesce(inner, col(f"{_AT}outer_key"))), True


def _operation(op: Column) -> Column:
    found = F.lit(None).cast("string")
    for code, name in _OPERATIONS.items():
        found = F.when(op == code, name).otherwise(found)
    return found


def _is_there(part: Part | None) -> Column:
    return F.lit(False) if part is None else part.value.isNotNull()


def _broken(records: DataFrame, envelope: _Envelope, op: Column, has_sequence: Column) -> Column:
    """Why a record is no envelope of a change; NULL where it is one."""
    has_key = col(f"{_AT}key").isNotNull() if envelope.has_key else F.lit(False)
    return (
        F.when(corrupt_text(records).isNotNull(), "the record could not be parsed")
        .when(op.isNull(), "no Debezium envelope: it has no 'op'")
        .when(~op.isin(*_OPERATIONS), F.concat(F.lit("unknown operation '"), op, F.lit("'")))
        .when(
            op.isin("c", "r", "u") & ~_is_there(envelope.after), F.concat(F.lit("op '"), op, F.lit("' without 'after'"))
        )
        .when((op == "d") & ~_is_there(envelope.before) & ~has_key, "op 'd' without 'before': it says no key")
        .when(~has_sequence, "neither a position nor a commit time in 'source'")
    )


def _is_skipped(records: DataFrame, op: Column) -> Column:
    """True for a message, and for a tombstone: a record without a value."""
    own = own_columns(records)
    said = [col(name).isNotNull() for name in visible(records) if name not in own and name.lower() != "schema"]
    text = F.trim(corrupt_text(records))
    empty = ~reduce(Column.__or__, said, F.lit(False))
    if _is_text(records):
        empty = F.coalesce(F.trim(col("value").cast("string")).isin("", "null"), F.lit(True))
    nothing = F.when(text.isNull(), empty).otherwise(text == "null")
    return F.coalesce(op == _MESSAGE, F.lit(False)) | nothing
