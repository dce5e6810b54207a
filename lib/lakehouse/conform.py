"""From a frame as it came to the frame that a job works on: types, rescued data, bronze's own columns, evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StringType, StructField, StructType

from lakehouse.frames import (
    BROKEN,
    BRONZE_COLUMNS,
    FILE,
    KAFKA_COLUMNS,
    MALFORMED,
    ORIGIN,
    PLACE,
    REASON_TYPE,
    REASONS,
    RECORD,
    REPLAYED,
    ROW,
    SKIPPED,
    UNKNOWN,
    col,
    hidden,
    visible,
)
from lakehouse.raw_rows import as_json

_ADDED = ("_source_file", "_ingested_at", "_run_id")  # in bronze, beside what is rescued


@dataclass(frozen=True)
class Shape:
    """What conform must make: the fields (None: as they come), and which of bronze's columns to add or to keep."""

    fields: StructType | None
    bronze: bool
    rescue: str | None
    kept: frozenset[str]
    run_id: str
    now: datetime


def with_evidence(raw: DataFrame, origin: str) -> DataFrame:
    """The frame with each row as it came (JSON) and where it came from: its place or file, else `origin`.

    A replayed row comes from the quarantine: its origin is its id there.
    """
    data = col(RECORD) if RECORD in raw.columns else as_json(raw)
    places = [col(name) for name in (REPLAYED, PLACE, FILE, "_source_file") if name in raw.columns]
    return raw.withColumns({ROW: data, ORIGIN: F.coalesce(*places, F.lit(origin))})


def conform(raw: DataFrame, shape: Shape) -> DataFrame:
    """One row per row of `raw`: typed columns, bronze's own where asked for, and the reasons why a row does not fit.

    A value that `try_cast` refuses is NULL; with a rescue column it is kept there, else the row gets a reason. A blank
    text is no value of any other type: NULL, and no reason.
    """
    fields = shape.fields if shape.fields is not None else _as_it_came(raw, shape)
    columns = {name.lower(): name for name in visible(raw)}
    typed = {field.name: _typed(raw, field, columns.get(field.name.lower())) for field in fields}
    misfits = {
        field.name: _misfit(raw, field, columns[field.name.lower()])
        for field in fields
        if field.name.lower() in columns and _needs_cast(raw, field, columns[field.name.lower()])
    }
    carried = [name for name in hidden(raw) if name in (ROW, ORIGIN, SKIPPED)]
    kept = [name for name in raw.columns if name in shape.kept and name not in typed]
    return raw.select(
        *[column.alias(name) for name, column in typed.items()],
        *map(col, kept),
        *_bronze_columns(raw, shape, misfits, columns),
        *map(col, carried),
        _reasons(raw, fields, misfits, rescued=shape.rescue is not None).alias(REASONS),
    )


def ignored_columns(raw: DataFrame, shape: Shape) -> list[str]:
    """The columns of the input that the contract does not name: left out, and named in the run record."""
    if shape.fields is None:
        return []
    known = {field.name.lower() for field in shape.fields} | {*BRONZE_COLUMNS, *KAFKA_COLUMNS} | shape.kept
    return [name for name in visible(raw) if name.lower() not in known]


def _as_it_came(raw: DataFrame, shape: Shape) -> StructType:
    own = {*_named_like_own(raw, shape)} if shape.bronze else {*BRONZE_COLUMNS, *KAFKA_COLUMNS} - shape.kept
    return StructType([raw.schema[name] for name in visible(raw) if name not in own])


def _named_like_own(raw: DataFrame, shape: Shape) -> list[str]:
    """The columns of the input that are named like one that bronze adds."""
    own = {*_ADDED, shape.rescue}
    return [name for name in visible(raw) if name.lower() in own]


def _needs_cast(raw: DataFrame, field: StructField, name: str) -> bool:
    return bool(raw.schema[name].dataType != field.dataType)


def _present(raw: DataFrame, name: str) -> Column:
    """The raw value; a blank text counts as none."""
    value = col(name)
    if isinstance(raw.schema[name].dataType, StringType):
        return F.when(F.trim(value) != "", value)
    return value


def _typed(raw: DataFrame, field: StructField, name: str | None) -> Column:
    if name is None:
        return F.lit(None).cast(field.dataType)
    if not _needs_cast(raw, field, name):
        return col(name)
    return _cast(raw, field, name)


def _cast(raw: DataFrame, field: StructField, name: str) -> Column:
    value = col(name)
    if isinstance(raw.schema[name].dataType, StringType):
        value = F.trim(value)
        if not field.dataType.simpleString().startswith(("struct", "array", "map")):
            return value.try_cast(field.dataType)
        return F.from_json(value, field.dataType.simpleString())
    return value.try_cast(field.dataType)


def _misfit(raw: DataFrame, field: StructField, name: str) -> Column:
    return _present(raw, name).isNotNull() & _cast(raw, field, name).isNull()


def _reasons(raw: DataFrame, fields: StructType, misfits: dict[str, Column], *, rescued: bool) -> Column:
    none = F.array().cast(REASON_TYPE)
    found = none if rescued else _misfit_reasons(raw, fields, misfits)
    if BROKEN not in raw.columns:
        return found
    broken = F.struct(F.lit("well_formed"), F.lit(None).cast("string"), col(BROKEN))
    return F.when(col(BROKEN).isNotNull(), F.array(broken).cast(REASON_TYPE)).otherwise(found)


def _misfit_reasons(raw: DataFrame, fields: StructType, misfits: dict[str, Column]) -> Column:
    none = F.array().cast(REASON_TYPE)
    found = [
        _reason(F.lit("type"), name, f"is no {fields[name].dataType.simpleString()}", misfit)
        for name, misfit in misfits.items()
    ]
    if MALFORMED in raw.columns:
        found.append(_reason(F.lit("well_formed"), None, "the record could not be parsed", col(MALFORMED).isNotNull()))
    if not found:
        return none
    # a clean row must not pay for the array: it is built only where something is wrong
    wrong = F.filter(F.array(*found), lambda reason: reason.isNotNull())
    any_wrong = [*misfits.values(), *([col(MALFORMED).isNotNull()] if MALFORMED in raw.columns else [])]
    return F.when(_any(any_wrong), wrong).otherwise(none)


def _any(conditions: Sequence[Column]) -> Column:
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = whole | condition
    return whole


def _reason(rule: Column, column: str | None, message: str, wrong: Column) -> Column:
    named = F.lit(column).cast("string").alias("column")
    return F.when(wrong, F.struct(rule.alias("rule"), named, F.lit(message).alias("message")))


def _bronze_columns(raw: DataFrame, shape: Shape, misfits: dict[str, Column], columns: dict[str, str]) -> list[Column]:
    own: list[Column] = []
    if shape.rescue is not None:
        displaced = _named_like_own(raw, shape) if shape.bronze else []
        own.append(_rescued(raw, misfits, columns, displaced).alias(shape.rescue))
    if shape.bronze:
        file = col(FILE) if FILE in raw.columns else F.lit(None).cast("string")
        values = (file, F.lit(shape.now), F.lit(shape.run_id))
        own += [value.alias(name) for value, name in zip(values, _ADDED, strict=True)]
    return own


def _rescued(raw: DataFrame, misfits: dict[str, Column], columns: dict[str, str], displaced: Sequence[str]) -> Column:
    """What fits no column, and what the `displaced` ones hold, as JSON with the file's path; NULL where everything fits."""
    entries = [
        F.when(misfit, _entry(columns[name.lower()], col(columns[name.lower()]).cast("string")))
        for name, misfit in misfits.items()
    ]
    entries += [F.when(col(name).isNotNull(), _entry(name, _as_text(raw, name))) for name in displaced]
    if MALFORMED in raw.columns:
        entries.append(F.when(col(MALFORMED).isNotNull(), _entry("_corrupt_record", col(MALFORMED))))
    kind = "array<struct<key:string,value:string>>"
    found = F.filter(F.array(*entries), lambda entry: entry.isNotNull()).cast(kind) if entries else F.array().cast(kind)
    if UNKNOWN in raw.columns:
        found = F.concat(F.coalesce(F.map_entries(col(UNKNOWN)), F.array().cast(kind)), found)
    told = found
    if PLACE not in raw.columns:
        file = col(FILE) if FILE in raw.columns else F.lit(None).cast("string")
        told = F.concat(found, F.array(_entry("_file_path", file)))
    once = F.transform(F.array(told), lambda entries: F.map_from_entries(_last_of_each(entries)))
    return F.when(F.size(found) > 0, F.to_json(once[0]))


def _entry(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), value.alias("value"))


def _as_text(raw: DataFrame, name: str) -> Column:
    is_nested = isinstance(raw.schema[name].dataType, ArrayType | MapType | StructType)
    return F.to_json(col(name)) if is_nested else col(name).cast("string")


def _last_of_each(entries: Column) -> Column:
    """Of entries that have one key the last: an object may repeat a field, or have one that is called like what is told here."""
    newest = F.reverse(F.transform(entries, lambda entry: entry["key"]))
    return F.filter(entries, lambda entry, at: F.array_position(newest, entry["key"]) == F.size(entries) - at)
