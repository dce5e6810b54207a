"""The rule `digits`."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule

Number = Annotated[int, Field(ge=1)]


def _pattern(*, min: int, max: int | None, **_: object) -> str:
    return rf"^[0-9]{{{min},{'' if max is None else max}}}\z"


@rule(dimension="validity", total=True, pattern=_pattern)
def digits(*, column: str, min: Number = 1, max: Number | None = None) -> Column:
    """The whole text is digits from 0 to 9, `min` to `max` of them; no sign, no point, no blank."""
    return F.col(column).rlike(_pattern(min=min, max=max))
