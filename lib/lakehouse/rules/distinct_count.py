"""The rule `distinct_count`."""

from functools import reduce
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.measures import Measure, bounds, within
from lakehouse.registry import Columns, set_rule

Count = Annotated[int, Field(ge=0)]
_EXACT = 16  # a sketch of 2^16 values holds each of them; beyond that it estimates


@set_rule(dimension="uniqueness", measures=True)
def distinct_count(
    df: DataFrame, *, column: str | None = None, columns: Columns | None = None,
    min: Count | None = None, max: Count | None = None,
) -> Measure:  # fmt: skip
    """The column, or the columns together, have `min` to `max` different values; a row with a NULL in them has none.

    Exact up to 65,536 values, then within about 1%.
    """
    names = columns or ([column] if column else [])
    if not names or (column and columns):
        raise ValueError("needs either 'column' or 'columns'")
    bounds(min, max)
    there = reduce(Column.__and__, [F.col(name).isNotNull() for name in names])
    values = F.when(there, F.xxhash64(*names))
    count = F.theta_sketch_estimate(F.theta_sketch_agg(values, _EXACT))
    what = f"the number of different {', '.join(names)}"
    return Measure({"values": count}, lambda seen: within(what, seen["values"] or 0, min, max), total=True)
