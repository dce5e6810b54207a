"""The rule `one_of_columns_set`."""

from functools import reduce
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Columns, rule

Several = Annotated[Columns, Field(min_length=1)]


@rule(dimension="completeness", total=True)
def one_of_columns_set(*, columns: Several, exactly_one: bool = False) -> Column:
    """At least one of the columns is not NULL; with `exactly_one: true` one of them and no other.

    A rule on presence: a row in which all are NULL breaks it.
    """
    there = reduce(Column.__add__, [F.when(F.col(name).isNotNull(), 1).otherwise(0) for name in columns])
    return there == 1 if exactly_one else there >= 1
