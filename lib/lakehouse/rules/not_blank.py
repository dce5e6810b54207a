"""The rule `not_blank`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule


@rule(dimension="completeness", total=True)
def not_blank(*, column: str) -> Column:
    """The text is there, and not only white space (Unicode's, a no-break space too); a rule on presence: NULL breaks it."""
    return F.coalesce(F.col(column).rlike(r"(?U)\S"), F.lit(False))
