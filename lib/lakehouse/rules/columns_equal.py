"""The rule `columns_equal`."""

from functools import reduce
from itertools import combinations
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Columns, rule

Several = Annotated[Columns, Field(min_length=2)]


@rule(dimension="consistency")
def columns_equal(*, columns: Several, tolerance: int | float | None = None) -> Column:
    """Any two of the columns that are not NULL are equal; with a `tolerance`, numbers that differ by no more than it.

    Texts are compared exactly. NaN equals NaN, but for a tolerance nothing is near to it.
    """
    return reduce(
        Column.__and__, [_alike(F.col(one), F.col(other), tolerance) for one, other in combinations(columns, 2)]
    )


def _alike(one: Column, other: Column, tolerance: int | float | None) -> Column:
    same = one == other if tolerance is None else F.abs(one - other) <= tolerance
    return F.coalesce(same, F.lit(True))
