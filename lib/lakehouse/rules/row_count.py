"""The rule `row_count`."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.measures import Measure, bounds, within
from lakehouse.registry import set_rule

Count = Annotated[int, Field(ge=0)]


@set_rule(dimension="completeness", measures=True)
def row_count(df: DataFrame, *, min: Count | None = None, max: Count | None = None) -> Measure:
    """The batch has `min` to `max` rows, counted once the rules that name rows have taken theirs out."""
    bounds(min, max)
    return Measure({"rows": F.count(F.lit(1))}, lambda seen: within("the number of rows", seen["rows"], min, max), True)
