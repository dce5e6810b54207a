"""Rows as a test writes them, made a frame: typed by DDL, or by what their values look like."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.frames import quoted

_KINDS = {bool: "boolean", int: "bigint", float: "double", str: "string"}
_WORDS = {"boolean": "true or false", "bigint": "whole numbers", "double": "numbers", "string": "text"}


def frame_of(
    spark: SparkSession, rows: Sequence[Mapping[str, Any] | Sequence[Any]], schema: str | None = None
) -> DataFrame:
    """The rows as a frame. With `schema` (Spark DDL) a row is a mapping or a list in its order, times are text in UTC;
    without it columns are boolean, bigint, double, string, or structs and arrays of these.

    Raises ConfigError for a value that is not of its column's type, and for a column that the schema does not have.
    """
    ddl = schema or ddl_of(rows)
    try:
        names = StructType.fromDDL(ddl).fieldNames()  # type: ignore[attr-defined]
    except Exception as error:
        raise ConfigError(f"schema '{ddl}' is no Spark DDL: {str(error).splitlines()[0]}") from error
    texts = [(json.dumps(_mapping(row, names)),) for row in rows]
    lines = spark.createDataFrame(texts, "line string")
    parsed = F.from_json("line", ddl, {"mode": "FAILFAST", "timeZone": "UTC"})
    try:
        return lines.select(parsed.alias("row")).select("row.*").localCheckpoint()
    except Exception as error:
        raise ConfigError(f"a row does not fit the schema '{ddl}': {', '.join(map(_text, rows[:3]))}") from error


def _mapping(row: Mapping[str, Any] | Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        if len(row) != len(names):
            raise ConfigError(f"a row has {len(row)} values, the schema {len(names)} columns: {_text(row)}")
        return dict(zip(names, row, strict=True))
    strange = next((name for name in row if name not in names), None)
    if strange is not None:
        raise ConfigError(f"the schema has no column '{strange}'.{did_you_mean(strange, names)}")
    return dict(row)


def ddl_of(rows: Sequence[Mapping[str, Any] | Sequence[Any]]) -> str:
    """The types that the rows' values look like, as DDL; a column that is all NULL is text.

    Raises ConfigError where they look like several, or there is nothing to look at.
    """
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ConfigError("no rows, or rows without their columns' names, need a 'schema': their columns are not known")
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in _fields([dict(row) for row in rows]).items())


def _fields(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _kind(name, [row[name] for row in rows if row.get(name) is not None]) for name in names}


def _kind(name: str, values: Sequence[Any]) -> str:
    if values and all(isinstance(value, dict) for value in values):
        return f"struct<{', '.join(f'{quoted(part)}: {kind}' for part, kind in _fields(values).items())}>"
    if values and all(isinstance(value, list) for value in values):
        return f"array<{_kind(name, [item for value in values for item in value if item is not None])}>"
    kinds = {_KINDS.get(type(value), "") for value in values} or {"string"}
    if kinds == {"bigint", "double"}:
        return "double"
    if len(kinds) > 1 or "" in kinds:
        found = " and ".join(sorted(_WORDS.get(kind, "mappings or lists") for kind in kinds))
        raise ConfigError(f"column '{name}' has {found}; say its type with 'schema'")
    return kinds.pop()


def _text(row: object) -> str:
    return json.dumps(row, default=str)
