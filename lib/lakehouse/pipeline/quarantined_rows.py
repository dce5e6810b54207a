"""Rows of a quarantine with the columns that they had at their source: chosen by SQL, and mended by it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse import lake
from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.frames import HIDDEN_PREFIX, MALFORMED, col
from lakehouse.holding import held
from lakehouse.raw_rows import as_json, as_rows
from lakehouse.session import job_session
from lakehouse.tables import Layout

TEXT = f"{HIDDEN_PREFIX}text"
"""The JSON that a quarantined row is read from: as it was mended, else as it came."""

_WHOLE = f"{HIDDEN_PREFIX}whole"
_ID = f"{HIDDEN_PREFIX}id"
_NAME = "quarantine"


@dataclass(frozen=True)
class Part:
    """Quarantined rows, with TEXT, whose source's frame looked the same; `schema` is that, as JSON."""

    rows: DataFrame
    schema: str


def by_schema(rows: DataFrame) -> list[Part]:
    """The quarantined rows by what their source's frame looked like."""
    schemas = [row[0] for row in rows.select("schema").distinct().orderBy("schema").collect()]
    text = rows.withColumn(TEXT, F.coalesce("mended", "row"))
    return [Part(text.where(col("schema") == F.lit(schema)), schema) for schema in schemas]


def matching(rows: DataFrame, where: str) -> DataFrame:
    """The quarantined rows for which the SQL over their own columns is true, held; raises ConfigError where it cannot be.

    What the quarantine says of them is the struct `quarantine`, unless they have a column of that name.
    """
    try:
        parts = [opened(part).where(where).select(f"{_WHOLE}.*") for part in by_schema(rows)]
        return held(reduce(DataFrame.unionByName, parts))[0] if parts else rows.where("false")
    except PySparkException as error:
        raise _refused("--where", where, error) from error


def _refused(option: str, sql: str, error: PySparkException) -> ConfigError:
    hint = "; the columns are as the source gave them, in CSV all text" if "CAST_INVALID_INPUT" in str(error) else ""
    return ConfigError(f"{option} {sql!r}: {str(error).strip().splitlines()[0]}{hint}")


def opened(part: Part) -> DataFrame:
    """The rows' own columns, and each quarantined row as the struct `quarantine`."""
    whole = F.struct(*[col(name) for name in part.rows.columns if name != TEXT]).alias(_WHOLE)
    found = as_rows(part.rows.select(whole, col(TEXT)), TEXT, part.schema).drop(MALFORMED)
    return found if _NAME in found.columns else found.withColumn(_NAME, col(_WHOLE))


def chosen_rows(spark: SparkSession, layout: Layout, table: str, ids: Sequence[str]) -> DataFrame:
    """The quarantined rows of these ids."""
    rows = lake.read(job_session(spark, {}), layout.table(table))
    wanted = rows.sparkSession.createDataFrame([(row,) for row in ids], "id string")
    return rows.join(wanted, on="id", how="left_semi")


def mended_by_sql(rows: DataFrame, where: str | None, assignments: str) -> dict[str, str]:
    """What each quarantined row is once its columns are set (`amount = abs(amount), status = 'paid'`): JSON by id.

    Every assignment sees the row as it was. Raises ConfigError for a column or an expression that is none.
    """
    found: dict[str, str] = {}
    chosen = matching(rows, where) if where else rows
    for part in by_schema(chosen):
        try:
            mended = _assigned(opened(part), part.schema, _parsed(rows.sparkSession, assignments))
            found |= {row["id"]: row["mended"] for row in mended.toLocalIterator()}
        except PySparkException as error:
            raise _refused("--sql", assignments, error) from error
    return found


def _parsed(spark: SparkSession, assignments: str) -> dict[str, str]:
    """The columns and the SQL that each is set to, read by Spark's own parser."""
    jvm_session: Any = spark._jsparkSession
    plan = jvm_session.sessionState().sqlParser().parsePlan(f"UPDATE t SET {assignments}")
    if plan.nodeName() != "UpdateTable" or plan.condition().isDefined():
        raise ConfigError(f"--sql {assignments!r}: it is a list of column = expression; conditions go into --where")
    pairs = [plan.assignments().apply(index) for index in range(plan.assignments().size())]
    return {pair.key().nameParts().mkString("."): pair.value().sql() for pair in pairs}


def _assigned(rows: DataFrame, schema: str, assignments: Mapping[str, str]) -> DataFrame:
    kind = StructType.fromJson(json.loads(schema))
    names = {field.name.lower(): field for field in kind}
    unknown = [name for name in assignments if name.lower() not in names]
    if unknown:
        raise ConfigError(f"--sql: the rows have no column '{unknown[0]}'.{did_you_mean(unknown[0], kind.names)}")
    given = {names[name.lower()].name: sql for name, sql in assignments.items()}
    values = [
        (F.expr(given[field.name]).cast(field.dataType) if field.name in given else col(field.name)).alias(field.name)
        for field in kind
    ]
    mended = rows.select(col(_WHOLE).getField("id").alias(_ID), *values)
    return mended.select(col(_ID).alias("id"), as_json(mended).alias("mended"))
