"""The rule `outliers`."""

from typing import Annotated, Literal

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

from lakehouse.frames import HIDDEN_PREFIX, HOLDS
from lakehouse.registry import set_rule

Limit = Annotated[float, Field(gt=0)]
_LIMITS = {"zscore": 3.0, "iqr": 1.5, "mad": 3.5}
_MIDDLE, _LOW, _HIGH = (f"{HIDDEN_PREFIX}{name}" for name in ("middle", "low", "high"))
# sums of doubles differ in their last digits from run to run: no value may lie that near to a bound
_SLACK = 1e-9


@set_rule(dimension="accuracy")
def outliers(
    df: DataFrame, *, column: str, method: Literal["zscore", "iqr", "mad"] = "zscore", limit: Limit | None = None,
    counted: Column,
) -> DataFrame:  # fmt: skip
    """The number is not far from the batch's others: further than `limit` spreads out it breaks the rule, as NaN does.

    `zscore`: standard deviations (of the batch, not of a sample) from the mean, 3; `iqr`: distances between the
    quartiles below the first or above the third, 1.5; `mad`: modified z-score, 0.6745 times the distance from the
    median in median distances, 3.5. Where the spread is 0, there is no outlier. `iqr` and `mad` keep the different
    values in memory; NULL passes.
    """
    value = F.col(column).cast("double")
    _require_number(df, column)
    asked = F.when(counted & ~F.isnan(value) & (F.abs(value) < float("inf")), value)
    bounds = _bounds(df, asked, method, _LIMITS[method] if limit is None else limit)
    joined = df.crossJoin(F.broadcast(bounds))
    near = value.between(F.col(_LOW), F.col(_HIGH)) | F.col(_LOW).isNull()
    return joined.withColumn(HOLDS, near & ~F.isnan(value)).drop(_LOW, _HIGH)


def _bounds(df: DataFrame, value: Column, method: str, limit: float) -> DataFrame:
    """One row: between what the values must lie; NULLs where nothing can be an outlier."""
    if method == "zscore":
        found = df.agg(F.avg(value).alias(_LOW), F.stddev_pop(value).alias(_HIGH))
        return _around(found, F.col(_LOW), F.col(_LOW), F.col(_HIGH) * limit)
    if method == "iqr":
        found = df.agg(F.percentile(value, 0.25).alias(_LOW), F.percentile(value, 0.75).alias(_HIGH))
        return _around(found, F.col(_LOW), F.col(_HIGH), (F.col(_HIGH) - F.col(_LOW)) * limit)
    median = df.agg(F.percentile(value, 0.5).alias(_MIDDLE))
    distance = F.percentile(F.abs(value - F.col(_MIDDLE)), 0.5)
    found = df.crossJoin(F.broadcast(median)).agg(F.max(_MIDDLE).alias(_MIDDLE), distance.alias(_HIGH))
    return _around(found, F.col(_MIDDLE), F.col(_MIDDLE), F.col(_HIGH) * limit / 0.6745)


def _around(found: DataFrame, low: Column, high: Column, spread: Column) -> DataFrame:
    scale = F.greatest(F.abs(low), F.abs(high))
    apart = spread * (1 + _SLACK) + scale * _SLACK
    there = spread > scale * _SLACK
    return found.select(F.when(there, low - apart).alias(_LOW), F.when(there, high + apart).alias(_HIGH))


def _require_number(df: DataFrame, column: str) -> None:
    kind = df.select(F.col(column)).schema[0].dataType
    if not isinstance(kind, NumericType):
        raise ValueError(f"'{column}' is no number but a {kind.simpleString()}")
