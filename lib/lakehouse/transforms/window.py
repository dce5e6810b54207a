"""The transform `window`."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.event_time import interval, require_time
from lakehouse.frames import col, require_columns
from lakehouse.registry import Columns, Duration, Sql, length_of, transform

Measures = Annotated[dict[str, Sql], Field(min_length=1)]


@transform(state=True)
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
    if step > wide:
        raise ValueError(f"'slide: {slide}' is longer than 'size: {size}': rows between two windows would be in none")
    windows = F.window(col(time_column), interval(wide), interval(step)).alias("window")
    found = df.groupBy(windows, *map(col, groups)).agg(*[F.expr(sql).alias(name) for name, sql in measures.items()])
    bounds = [F.col("window.start").alias("window_start"), F.col("window.end").alias("window_end")]
    return found.select(*bounds, *map(col, [*groups, *measures]))
