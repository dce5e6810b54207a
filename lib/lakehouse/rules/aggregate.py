"""The rule `aggregate`."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

from lakehouse.measures import Measure, Verdict, bounds, within
from lakehouse.registry import Name, Sql, set_rule

Bound = int | float


@set_rule(dimension="accuracy", measures=True)
def aggregate(
    df: DataFrame, *, sql: Sql, min: Bound | None = None, max: Bound | None = None, table: Name | None = None,
    tables: Mapping[str, DataFrame],
) -> Measure:  # fmt: skip
    """A SQL aggregate over the batch (`sum(amount) / count(*)`), or over a whole `table`, lies in a range, inclusive.

    An end left out is open; NULL passes. An aggregate that cannot be worked out (a division by zero) breaks it.
    """
    bounds(min, max)

    value = {"value": F.expr(sql)}
    kind = (df if table is None else tables[table]).agg(F.expr(sql)).schema[0].dataType
    if not isinstance(kind, NumericType):
        raise ValueError(f"{sql} is no number but a {kind.simpleString()}")

    def judge(seen: Mapping[str, Any]) -> Verdict:
        return within(sql, seen["value"], min, max)

    return Measure(value, judge) if table is None else Measure({}, judge, table=table, table_aggregates=value)
