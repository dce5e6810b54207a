"""The rule `sum_of_columns`."""

from functools import reduce
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Columns, rule

Several = Annotated[Columns, Field(min_length=1)]


@rule(dimension="consistency")
def sum_of_columns(*, columns: Several, other: str, tolerance: int | float = 0) -> Column:
    """The sum of the columns is the `other` column's value, or differs from it by the tolerance at most.

    A NULL in any of them passes. Sums of doubles need a tolerance: 0.1 + 0.2 is not 0.3.
    """
    total = reduce(Column.__add__, map(F.col, columns))
    return F.abs(total - F.col(other)) <= tolerance
