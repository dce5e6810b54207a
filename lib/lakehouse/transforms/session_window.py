"""The transform `session_window`."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.event_time import in_windows, interval, require_time
from lakehouse.frames import col, require_columns
from lakehouse.registry import Columns, Duration, Measures, length_of, transform

Groups = Annotated[Columns, Field(min_length=1)]


@transform(state=True)
def session_window(
    df: DataFrame, *, time_column: str, gap: Duration, group_by: Groups, measures: Measures
) -> DataFrame:
    """One row per group and session, `[session_start, session_end)`: it ends once no row came for a gap; measures by SQL."""
    require_columns(df, group_by)
    require_time(df, time_column)
    sessions = F.session_window(col(time_column), interval(length_of(gap))).alias("session")
    return in_windows(df, sessions, group_by, measures, "session")
