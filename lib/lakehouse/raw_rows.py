"""A source's row as JSON text, as the quarantine keeps it, and the row of such a text again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from lakehouse.frames import HIDDEN_PREFIX, KAFKA_COLUMNS, MALFORMED, RECORD, col, quoted, visible

CORRUPT = "_corrupt_record"
"""The one field of a row whose record could not be parsed: the record's text."""

RECORD_SCHEMA = f"{HIDDEN_PREFIX}schema"
"""In the metadata of the column RECORD: the schema of the record, as JSON."""

# to the microsecond: Spark would stop at the millisecond
_WRITTEN = {
    "ignoreNullFields": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


def as_json(rows: DataFrame) -> Column:
    """Each row's visible columns as one JSON object; of a record that could not be parsed its text, and Kafka's own columns."""
    return _text(_names(rows), col)


def whole(rows: DataFrame) -> Column:
    """Each row as it came, as a struct: `whole_as_json` makes of it what `as_json` makes of the row."""
    return F.struct(*map(col, _names(rows)))


def whole_as_json(rows: DataFrame, name: str) -> Column:
    """The JSON text of the row that the column `name` holds whole."""
    return _text(rows.select(f"{quoted(name)}.*").columns, col(name).getField)


def _names(rows: DataFrame) -> list[str]:
    names = visible(rows)
    return [*names, MALFORMED] if MALFORMED in rows.columns else names


def _text(names: Sequence[str], of: Callable[[str], Column]) -> Column:
    fields = {name: of(name).alias(name) for name in names if name != MALFORMED}
    text = F.to_json(F.struct(*fields.values()), _WRITTEN) if fields else F.lit("{}")
    if MALFORMED not in names:
        return text
    beside = [fields[name] for name in fields if name in KAFKA_COLUMNS]  # which a broken value leaves as they are
    corrupt = F.to_json(F.struct(of(MALFORMED).alias(CORRUPT), *beside), _WRITTEN)
    return F.when(of(MALFORMED).isNull(), text).otherwise(corrupt)


def schema_of(raw: DataFrame) -> str:
    """What `as_rows` must know of a source's frame to make its rows again, as JSON."""
    if RECORD in raw.columns:
        return str(raw.schema[RECORD].metadata[RECORD_SCHEMA])
    return StructType([StructField(name, raw.schema[name].dataType) for name in visible(raw)]).json()


def as_rows(texts: DataFrame, text: str, schema: str) -> DataFrame:
    """The frame with the row that the column `text` holds, as columns, and MALFORMED; the other columns stay."""
    kind = StructType.fromJson(json.loads(schema))
    row = f"{HIDDEN_PREFIX}parsed"
    kept = [name for name in texts.columns if name != text]
    parsed = texts.select(
        *map(col, kept),
        F.from_json(col(text), kind).alias(row),
        F.get_json_object(col(text), f"$.{CORRUPT}").alias(MALFORMED),
    )
    fields = [col(row).getField(field.name).alias(field.name) for field in kind]
    return parsed.select(*fields, *map(col, kept), col(MALFORMED))
