"""The rule `matches`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.frames import require_pattern
from lakehouse.registry import rule


@rule(dimension="validity")
def matches(*, column: str, pattern: str) -> Column:
    """The regular expression (Java's) is found anywhere in the text; anchor it with ^ and $ to match the whole."""
    require_pattern(pattern)
    return F.col(column).rlike(pattern)
