"""The rule `not_null`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule


@rule(dimension="completeness", total=True)
def not_null(*, column: str) -> Column:
    """The value is there; the one rule that NULL breaks."""
    return F.col(column).isNotNull()
