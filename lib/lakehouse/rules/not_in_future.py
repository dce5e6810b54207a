"""The rule `not_in_future`."""

from datetime import datetime

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Duration, rule


@rule(dimension="timeliness")
def not_in_future(*, column: str, tolerance: Duration = "0 seconds", now: datetime) -> Column:
    """The date or time is not after the run's start plus a tolerance (`10 minutes`)."""
    latest = F.lit(now) + F.expr(f"INTERVAL {tolerance.strip()}")
    return F.col(column) <= latest
