"""The rule `length`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule


@rule(dimension="validity")
def length(*, column: str, min: int = 0, max: int | None = None) -> Column:
    """The number of characters of a text (bytes of a binary) is in a range, inclusive."""
    count = F.length(F.col(column))
    return (count >= min) & (F.lit(True) if max is None else count <= max)
