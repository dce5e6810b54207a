"""The rule `in_range`."""

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule

Bound = int | float | str


@rule(dimension="validity")
def in_range(*, column: str, min: Bound | None = None, max: Bound | None = None) -> Column:
    """Inclusive at both ends; an end left out is open. NaN is in no range."""
    value = F.col(column)
    low = F.lit(True) if min is None else _compared(value, min, Column.__ge__)
    high = ~_is_nan(value) if max is None else _compared(value, max, Column.__le__)
    return low & high


def _compared(value: Column, bound: Bound, compare: Callable[[Column, Column], Column]) -> Column:
    """Against a whole number a text is compared as a number with a fraction: '5.5' is no whole one. Spark drops the
    branch that is not of the column's type before it reads a row."""
    if not isinstance(bound, int):
        return compare(value, F.lit(bound))
    as_text = compare(value, F.lit(float(bound)))
    return F.when(F.typeof(value) == "string", as_text).otherwise(compare(value, F.lit(bound)))


def _is_nan(value: Column) -> Column:
    """Spark orders NaN above every number: without an upper end it would pass."""
    # 'Infinity' is cast to the column's type, and no date or whole number has one: the branch is never taken there
    return F.when(F.typeof(value).isin("double", "float"), value > F.lit("Infinity")).otherwise(False)
