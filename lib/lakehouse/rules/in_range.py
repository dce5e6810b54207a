"""The rule `in_range`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule


@rule(dimension="validity")
def in_range(*, column: str, min: float | str | None = None, max: float | str | None = None) -> Column:
    """Inclusive at both ends; an end left out is open. NaN is in no range."""
    value = F.col(column)
    low = F.lit(True) if min is None else value >= F.lit(min)
    # Spark orders NaN above every number: without an upper end it would pass
    high = ~value.try_cast("double").eqNullSafe(float("nan")) if max is None else value <= F.lit(max)
    return low & high
