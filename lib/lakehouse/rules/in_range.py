"""The rule `in_range`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule

Bound = int | float | str


@rule(dimension="validity")
def in_range(*, column: str, min: Bound | None = None, max: Bound | None = None) -> Column:
    """Inclusive at both ends; an end left out is open. NaN is in no range."""
    value = F.col(column)
    low = F.lit(True) if min is None else value >= _bound(min)
    high = ~_is_nan(value) if max is None else value <= _bound(max)
    return low & high


def _bound(bound: Bound) -> Column:
    """As a number that whole, decimal and text columns compare with exactly: a text of '5.5' is no whole number."""
    return F.lit(float(bound) if isinstance(bound, int) and abs(bound) < 2**52 else bound)


def _is_nan(value: Column) -> Column:
    """Spark orders NaN above every number: without an upper end it would pass."""
    # 'Infinity' is cast to the column's type, and no date or whole number has one: the branch is never taken there
    return F.when(F.typeof(value).isin("double", "float"), value > F.lit("Infinity")).otherwise(False)
