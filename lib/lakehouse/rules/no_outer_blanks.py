"""The rule `no_outer_blanks`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule


@rule(dimension="validity", total=True)
def no_outer_blanks(*, column: str) -> Column:
    """The text neither begins nor ends with white space (Unicode's, a no-break space and a line break too)."""
    return ~F.col(column).rlike(r"(?U)^\s|\s\z")
