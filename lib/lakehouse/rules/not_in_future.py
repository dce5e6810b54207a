"""The rule `not_in_future`."""

from datetime import datetime

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Duration, length_of, rule


@rule(dimension="timeliness")
def not_in_future(*, column: str, tolerance: Duration = "0 seconds", now: datetime) -> Column:
    """The date or time is not after the run's start plus a tolerance (`10 minutes`)."""
    latest = now + length_of(tolerance)
    at = F.coalesce(F.col(column), F.lit(None).cast("timestamp"))
    # as structs: a time of its own in the generated code would be compiled anew in each run
    return F.struct(at.alias("at")) <= F.struct(F.lit(latest).alias("at"))
