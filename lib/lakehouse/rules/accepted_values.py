"""The rule `accepted_values`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule


@rule(dimension="validity")
def accepted_values(*, column: str, values: list[str | int | float | bool]) -> Column:
    """The value is one of a list, compared exactly."""
    return F.col(column).isin(values)
