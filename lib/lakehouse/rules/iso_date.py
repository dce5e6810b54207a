"""The rule `iso_date`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule


@rule(dimension="validity", total=True)
def iso_date(*, column: str) -> Column:
    """The whole text is a day of the calendar as YYYY-MM-DD: 2026-02-30 is none, nor is a time."""
    text = F.col(column).cast("string")
    is_day = text.rlike(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\z") & text.try_cast("date").isNotNull()
    return F.when(text.isNotNull(), is_day)
