"""The rule `accepted_values`."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule

Values = Annotated[list[str | int | float | bool], Field(min_length=1)]


@rule(dimension="validity")
def accepted_values(*, column: str, values: Values) -> Column:
    """The value is one of a list, compared exactly: in a text column as text, so that '01' is not 1."""
    value = F.col(column)
    texts = [str(item).lower() if isinstance(item, bool) else str(item) for item in values]
    if texts == values:
        return value.isin(values)
    kinds = {int if type(item) is float else type(item) for item in values}
    if len(kinds) > 1:
        return value.cast("string").isin(texts)  # of several types: text is what they have in common
    return F.when(F.typeof(value) == "string", value.isin(texts)).otherwise(value.isin(values))
