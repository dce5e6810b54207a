"""Small pure tools over frames and columns: hidden columns, missing columns, order, safe evaluation, SQL over frames."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any
from uuid import uuid4

from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructField, StructType

from lakehouse.errors import did_you_mean
from lakehouse.sql_text import is_query, with_views

EXTRA = "__extra"
"""The column in which a transform flags the rows that it takes out: NULL keeps a row, a text is the reason."""

HOLDS = "__holds"
"""The column in which a set rule says whether a row holds; NULL passes."""

HIDDEN_PREFIX = "__lake_"
FILE = f"{HIDDEN_PREFIX}file"  # from a source: the row's file
MALFORMED = f"{HIDDEN_PREFIX}malformed"  # from a source: the raw text of a record that could not be parsed, else NULL
UNKNOWN = f"{HIDDEN_PREFIX}unknown"  # from a source: fields that no column takes, map<string,string>, else NULL
PLACE = f"{HIDDEN_PREFIX}place"  # from a source: where a row came from that has no file
RECORD = f"{HIDDEN_PREFIX}record"  # from a source: the record as it came (JSON), where the row is something made of it
BROKEN = f"{HIDDEN_PREFIX}broken"  # from a source: why a record makes no row, else NULL
SKIPPED = f"{HIDDEN_PREFIX}skipped"  # from a source: true for a record that says of no row, and is dropped
REASONS = f"{HIDDEN_PREFIX}reasons"  # what is wrong with a row, an array of REASON_TYPE's elements
REPLAYED = f"{HIDDEN_PREFIX}replayed"  # from a replay: the id of the quarantined row
AT = f"{HIDDEN_PREFIX}at"  # where in a Delta table the row lies, its file and its number there
ROW = f"{HIDDEN_PREFIX}row"  # the row as it came, JSON
ORIGIN = f"{HIDDEN_PREFIX}origin"  # where the row came from
FATE = f"{HIDDEN_PREFIX}fate"  # what becomes of the row

# What bronze adds of its own; silver and gold carry these along only where they are named.
BRONZE_COLUMNS = ("_rescued_data", "_source_file", "_ingested_at", "_run_id")
KAFKA_COLUMNS = ("_topic", "_partition", "_offset", "_timestamp", "_key", "_headers")

_PATTERN = re.compile(r"[\[\]{}*?\\]")
# as Spark prints an analyzed plan
_CATALOG_TABLE = re.compile(r"\bSubqueryAlias ([^\s`,]+\.[^\s`,]+)")

REASON_TYPE = "array<struct<rule:string,column:string,message:string>>"


def hidden(df: DataFrame) -> list[str]:
    """The pipeline's own columns, which a transform that names its columns must carry along."""
    return [name for name in df.columns if name.startswith(HIDDEN_PREFIX)]


def visible(df: DataFrame) -> list[str]:
    """The columns that a user sees."""
    return [name for name in df.columns if not name.startswith(HIDDEN_PREFIX)]


def own_columns(df: DataFrame) -> list[str]:
    """Bronze's own columns in the frame."""
    return [name for name in df.columns if name in BRONZE_COLUMNS + KAFKA_COLUMNS]


def as_text(fields: StructType) -> StructType:
    """The fields as a text format holds them: scalars as text, which conform casts; nested ones in their types."""
    nested = (StructType, ArrayType, MapType)
    return StructType(
        [
            StructField(field.name, field.dataType if isinstance(field.dataType, nested) else StringType())
            for field in fields
        ]
    )


def require_columns(df: DataFrame, names: Iterable[str]) -> None:
    """Raises ValueError naming each column that the frame does not have."""
    have = {name.lower() for name in df.columns}
    missing = [name for name in names if name.lower() not in have]
    if missing:
        hints = "; ".join(f"no column '{name}'.{did_you_mean(name, visible(df))}" for name in missing)
        raise ValueError(hints)


def quoted(name: str) -> str:
    """A column's name for SQL and `F.col`: dots and odd characters are part of it."""
    return "`" + name.replace("`", "``") + "`"


def col(name: str) -> Column:
    """The top-level column of this very name."""
    return _column(name, SparkContext._gateway)


@lru_cache(maxsize=4096)
def _column(name: str, _: object) -> Column:
    """A column of one JVM; to make it takes two calls over there, and a batch names hundreds."""
    return F.col(quoted(name))


def file_name() -> Column:
    """The row's file as it was listed: without the scheme of a local one, and its name as it is, where Spark has a URL's."""
    given = F.col("_metadata.file_path")
    path = F.regexp_replace(given, "^file:/+", "/")
    plain = F.url_decode(F.replace(path, F.lit("+"), F.lit("%2B")))
    return F.when(F.contains(given, F.lit("%")), plain).otherwise(path).alias(FILE)


def exactly(paths: Iterable[str]) -> list[str]:
    """The paths as Spark's readers find these files and no others: what would be a pattern in a name is escaped.

    Spark's own option against patterns, `__globPaths__`, reads each file again for each such name.
    """
    return [_PATTERN.sub(r"\\\g<0>", path) for path in paths]


def is_pattern(path: str) -> bool:
    """True where Spark's readers would look for other files than this one."""
    return _PATTERN.search(path) is not None


def greatest_first(order_by: Iterable[str]) -> list[tuple[str, Column]]:
    """Each column of an order with it: the greatest first (`name asc`: the smallest), NULLs last."""
    return [_ordered(text.strip()) for text in order_by]


def _ordered(text: str) -> tuple[str, Column]:
    name, _, direction = text.rpartition(" ")
    if direction.lower() not in ("asc", "desc"):
        return text, col(text).desc_nulls_last()
    name = name.strip()
    return name, col(name).asc_nulls_last() if direction.lower() == "asc" else col(name).desc_nulls_last()


def any_null(names: Iterable[str]) -> Column:
    """True for a row in which one of these columns is NULL."""
    return reduce(Column.__or__, [col(name).isNull() for name in names])


NAMED = 5
"""How many offending rows an error names."""


def named(names: Sequence[str], rows: Iterable[Sequence[Any]], masked: Collection[str] = ()) -> str:
    """Rows as an error shows them: `id=1, at=5; id=2, at=7`; `masked` columns without their values, but NULL."""

    return "; ".join(
        ", ".join(f"{name}={as_shown(name, value, masked)}" for name, value in zip(names, row, strict=True))
        for row in rows
    )


def as_shown(name: str, value: Any, masked: Collection[str]) -> Any:
    """The value as it may be shown: of a `masked` column only whether it is NULL."""
    return "***" if name in masked and value is not None else value


def attempt(condition: Column) -> Column:
    """A struct holding the value, or NULL where evaluating it raised (a bad cast, a division by zero).

    Spark has no SQL for this; its own TryEval is what `try_divide` and its like were made of. Common subexpressions
    must not be evaluated ahead of it, so a job's session has `spark.sql.subexpressionElimination.enabled=false`.
    """
    jvm: Any = SparkSession.active()._jvm
    tools = jvm.org.apache.spark.sql.classic.ExpressionUtils
    wrapped = F.struct(condition.alias("value"))
    expression = tools.expression(wrapped._jc)
    return type(wrapped)(tools.column(jvm.org.apache.spark.sql.catalyst.expressions.TryEval(expression)))


def filtered(aggregate: Column, condition: Column) -> Column:
    """The aggregate over the rows for which the condition is true: each aggregate function in it gets a FILTER.

    Spark has this in SQL text alone; for a row that is left out no input of the function is evaluated.
    """
    spark: Any = SparkSession.active()._jsparkSession
    tools = SparkSession.active()._jvm.org.apache.spark.sql.classic.ExpressionUtils  # type: ignore[union-attr]
    found = _filtered(spark, spark.expression(aggregate._jc), spark.expression(condition._jc))
    return type(aggregate)(tools.column(found))


def _filtered(spark: Any, expression: Any, condition: Any) -> Any:
    jvm: Any = SparkSession.active()._jvm
    if expression.getClass().getSimpleName() == "UnresolvedFunction" and _is_aggregate(spark, expression.nameParts()):
        if expression.filter().isDefined():
            condition = jvm.org.apache.spark.sql.catalyst.expressions.And(expression.filter().get(), condition)
        return expression.copy(
            expression.nameParts(), expression.arguments(), expression.isDistinct(), jvm.scala.Option.apply(condition),
            expression.ignoreNulls(), expression.orderingWithinGroup(), expression.isInternal(),
        )  # fmt: skip
    children = [expression.children().apply(index) for index in range(expression.children().size())]
    if not children:
        return expression
    inner = [_filtered(spark, child, condition) for child in children]
    return expression.withNewChildren(jvm.org.apache.spark.api.python.PythonUtils.toSeq(inner))


def _is_aggregate(spark: Any, name: Any) -> bool:
    jvm: Any = SparkSession.active()._jvm
    identifier = jvm.org.apache.spark.sql.catalyst.FunctionIdentifier(name.last())
    found = spark.sessionState().functionRegistry().lookupFunction(identifier)
    return bool(found.isDefined() and found.get().getGroup() == "agg_funcs")


def parsed_json(text: Column) -> Column:
    """The text as a variant; NULL where it is not one JSON value and nothing else.

    Spark reads a value and leaves what follows it: only what closes both an array and an object is the whole text.
    """
    listed = F.try_parse_json(F.concat(F.lit("["), text, F.lit("]")))
    held = F.try_parse_json(F.concat(F.lit('{"value":'), text, F.lit("}")))
    return F.when(listed.isNotNull(), F.try_variant_get(held, "$.value", "variant"))


def constant(df: DataFrame, value: Any, kind: DataType) -> Column:
    """The value as a literal of a type; raises ValueError where it is none, before any row is read."""
    try:
        literal = F.lit(value).cast(kind)
        folded: Any = df.sparkSession.range(0).select(literal)._jdf
        folded.queryExecution().optimizedPlan()
    except (PySparkException, AttributeError, TypeError, ValueError) as error:  # what is no literal at all, too
        raise ValueError(f"{value!r} is no {kind.simpleString()}") from error
    return literal


def require_pattern(pattern: str) -> None:
    """Raises ValueError where Java does not take the regular expression: at each row it would be too late."""
    jvm: Any = SparkSession.active()._jvm
    try:
        jvm.java.util.regex.Pattern.compile(pattern)
    except PySparkException as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"'{pattern}' is no regular expression: {reason}") from error


def orderable(name: str, kind: DataType) -> Column:
    """The column as a value that Spark can order: a map as its sorted entries."""
    return _orderable(col(name), kind)


def _orderable(value: Column, kind: DataType) -> Column:
    if isinstance(kind, MapType):
        entries = F.map_entries(value)
        if _has_map(kind.valueType):
            entries = F.transform(
                entries, lambda entry: F.struct(entry["key"], _orderable(entry["value"], kind.valueType))
            )
        return F.sort_array(entries)  # array_sort compares by a lambda: plans of seconds
    if isinstance(kind, ArrayType) and _has_map(kind.elementType):
        return F.transform(value, lambda item: _orderable(item, kind.elementType))
    if isinstance(kind, StructType) and _has_map(kind):
        return F.struct(*[_orderable(value.getField(field.name), field.dataType).alias(field.name) for field in kind])
    return value


def _has_map(kind: DataType) -> bool:
    if isinstance(kind, ArrayType):
        return _has_map(kind.elementType)
    if isinstance(kind, StructType):
        return any(_has_map(field.dataType) for field in kind)
    return isinstance(kind, MapType)


def payload(df: DataFrame, names: Iterable[str]) -> Column:
    """The named columns as one struct in name order: greater payloads win ties, whatever the order of arrival."""
    return F.struct(*[orderable(name, df.schema[name].dataType).alias(name) for name in sorted(names)])


def query(spark: SparkSession, sql: str, tables: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of a query that sees exactly these frames under their names (`silver.orders`, `{input}`).

    Raises ValueError where the text is no query, or reads a table of the session's catalog that is none of them.
    """
    if not is_query(sql):
        raise ValueError("only one SELECT (or WITH ... SELECT) is allowed here")
    views = {name: f"lake_{uuid4().hex}" for name in tables}
    for name, view in views.items():
        tables[name].createOrReplaceTempView(view)
    try:
        found = spark.sql(with_views(sql, views))
        strangers = _catalog_tables(found).difference(*map(_catalog_tables, tables.values()))
        if strangers:
            raise ValueError(f"{', '.join(sorted(strangers))} is not among the job's inputs; add it under 'inputs:'")
        return found
    finally:
        for view in views.values():
            spark.catalog.dropTempView(view)


def _catalog_tables(df: DataFrame) -> set[str]:
    """The tables of a catalog, and global views, that a frame reads: a path or a frame's own view has no dotted name."""
    jdf: Any = df._jdf
    return set(_CATALOG_TABLE.findall(jdf.queryExecution().analyzed().toString()))
