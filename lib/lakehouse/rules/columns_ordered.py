"""The rule `columns_ordered`."""

from functools import reduce
from itertools import combinations
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Columns, rule

Several = Annotated[Columns, Field(min_length=2)]


@rule(dimension="consistency")
def columns_ordered(*, columns: Several, strict: bool = False) -> Column:
    """Each of the columns is less than or equal to those listed after it (`strict: true`: less); NULLs are left out.

    `[ordered_at, shipped_at, delivered_at]` holds the last against the first also where `shipped_at` is NULL.
    """
    compare = Column.__lt__ if strict else Column.__le__
    pairs = [compare(F.col(one), F.col(other)) for one, other in combinations(columns, 2)]
    return reduce(Column.__and__, [F.coalesce(pair, F.lit(True)) for pair in pairs])
