"""The rule `valid_json`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.frames import parsed_json
from lakehouse.registry import rule


@rule(dimension="validity", total=True)
def valid_json(*, column: str) -> Column:
    """The whole text is one JSON value: an object, an array, a number, a quoted text, true, false or null.

    As the standard has it: no single quotes, no NaN, no comma at the end; an object that has a key twice is none.
    """
    text = F.col(column)
    return parsed_json(text).isNotNull() | text.isNull()
