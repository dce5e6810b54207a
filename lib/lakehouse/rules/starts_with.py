"""The rule `starts_with`."""

from functools import reduce
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Columns, rule

Prefixes = Annotated[Columns, Field(min_length=1)]


@rule(dimension="validity", total=True)
def starts_with(*, column: str, prefix: Prefixes) -> Column:
    """The text begins with the prefix, or with one of several; upper and lower case differ."""
    text = F.col(column).cast("string")
    return reduce(Column.__or__, [text.startswith(item) for item in prefix])
