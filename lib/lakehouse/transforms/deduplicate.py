"""The transform `deduplicate`."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.frames import EXTRA, col, orderable, payload, require_columns, visible
from lakehouse.registry import Columns, Duration, Extras, transform


@transform(takes_out=True, state=lambda options: options["within"] is not None)
def deduplicate(
    df: DataFrame, *, keys: Columns | None = None, within: Duration | None = None, extras: Extras = "drop"
) -> DataFrame:
    """One row per key within a batch (without keys: one of each set of equal rows); `within` a time of each other also across a stream's.

    Of a batch the smallest row stays; of a stream with `within` the first one that came.
    """
    require_columns(df, keys or [])
    if df.isStreaming:
        return df.dropDuplicatesWithinWatermark(keys)
    columns = keys or visible(df)
    key = [orderable(name, df.select(col(name)).schema[0].dataType) for name in columns]
    window = Window.partitionBy(*key).orderBy(payload(df, visible(df)).asc())
    reason = F.lit("a repeat of another row" if keys is None else f"another row has the same {', '.join(keys)}")
    return df.withColumn(EXTRA, F.when(F.row_number().over(window) > 1, reason))
