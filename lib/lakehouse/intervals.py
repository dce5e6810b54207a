"""Rows that hold from a start to an end: which columns say so, and which row was valid at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql.types import DataType, StructType

from lakehouse.errors import ConfigError, DataError
from lakehouse.frames import col, constant

START, END = "__START_AT", "__END_AT"
_ROLE = "lakehouse.interval"


def marked(rows: DataFrame, start: str, end: str) -> DataFrame:
    """The frame with its bounds told from its other columns, so that a table written from it needs no telling."""
    said = {start: ("start", "valid from, inclusive"), end: ("end", "valid until, exclusive; NULL: still valid")}
    return rows.select(
        *[
            col(name).alias(name, metadata={_ROLE: said[name][0], "comment": said[name][1]})
            if name in said
            else col(name)
            for name in rows.columns
        ]
    )


def bounds(df: DataFrame, start: str | None = None, end: str | None = None) -> tuple[str, str]:
    """The columns that hold each row's start and end: as named, as marked by the sink, or as they are called by default.

    Raises ValueError where the frame is no history.
    """
    roles = {field.metadata.get(_ROLE): field.name for field in df.schema}
    names = (start or roles.get("start") or START, end or roles.get("end") or END)
    spelled = {name.lower(): name for name in df.columns}
    missing = [name for name in names if name.lower() not in spelled]
    if missing:
        raise ValueError(f"it is no history: it has no column {' and no '.join(missing)}")
    return spelled[names[0].lower()], spelled[names[1].lower()]


def rows_at(rows: DataFrame, time: object, table: str, meaning: Mapping[str, Any]) -> DataFrame:
    """The rows of a history that were valid at a time of its own; `meaning` holds the names of its bounds where known.

    Raises DataError where the table is no history, ConfigError where the time is none of its bounds' type.
    """
    try:
        start, end = bounds(rows, meaning.get("start_column"), meaning.get("end_column"))
    except ValueError as error:
        raise DataError(f"{table} has no as_of: {error}; use version or timestamp") from error
    kind = first_type(rows.schema[start].dataType)
    try:
        at = constant(rows, time, kind)
    except ValueError as error:
        raise ConfigError(f"as_of: {error}, the type of {start} in {table}") from error
    return rows.where(valid_at(col(start), col(end), at, rows.schema[start].dataType))


def first_type(kind: DataType) -> DataType:
    """The type of a bound, or of its first column where it has several."""
    return kind.fields[0].dataType if isinstance(kind, StructType) else kind


def valid_at(start: Column, end: Column, time: Column, kind: DataType) -> Column:
    """True where start <= time < end; bounds of several columns (a struct) go by their first. NULL for no time."""
    if isinstance(kind, StructType):
        first = kind.fields[0].name
        start, end = start.getField(first), end.getField(first)
    at = time.cast(first_type(kind))
    return (start <= at) & (end.isNull() | (at < end))
