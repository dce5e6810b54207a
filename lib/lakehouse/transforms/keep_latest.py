"""The transform `keep_latest`."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.frames import EXTRA, col, greatest_first, payload, require_columns, visible
from lakehouse.registry import Columns, Extras, transform


@transform(takes_out=True)
def keep_latest(df: DataFrame, *, keys: Columns, order_by: Columns, extras: Extras = "drop") -> DataFrame:
    """One row per key: the greatest by `order_by` (`name asc`: the smallest), NULLs last; ties go to the greater row."""
    orders = greatest_first(order_by)
    require_columns(df, [*keys, *(name for name, _ in orders)])
    ties = payload(df, visible(df)).desc()
    window = Window.partitionBy(*map(col, keys)).orderBy(*(order for _, order in orders), ties)
    reason = F.lit(f"a later row has the same {', '.join(keys)}")
    return df.withColumn(EXTRA, F.when(F.row_number().over(window) > 1, reason))
