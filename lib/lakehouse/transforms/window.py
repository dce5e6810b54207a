"""The transform `window`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.event_time import in_windows, interval, require_slide, require_time
from lakehouse.frames import col, require_columns
from lakehouse.registry import Columns, Duration, Measures, length_of, transform


@transform(state=True, sense=require_slide)
def window(
    df: DataFrame,
    *,
    time_column: str,
    size: Duration,
    slide: Duration | None = None,
    group_by: Columns | None = None,
    measures: Measures,
) -> DataFrame:
    """One row per group and window of event time, `[window_start, window_end)`, with measures by SQL; sliding where `slide` is shorter."""
    groups = group_by or []
    require_columns(df, groups)
    require_time(df, time_column)
    wide, step = length_of(size), length_of(slide or size)
    windows = F.window(col(time_column), interval(wide), interval(step)).alias("window")
    return in_windows(df, windows, groups, measures)
