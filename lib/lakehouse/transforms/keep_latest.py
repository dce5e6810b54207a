"""The transform `keep_latest`."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.frames import EXTRA, col, payload, require_columns, visible
from lakehouse.registry import Columns, Extras, transform


@transform(takes_out=True)
def keep_latest(df: DataFrame, *, keys: Columns, order_by: Columns, extras: Extras = "drop") -> DataFrame:
    """One row per key: the greatest by `order_by` (`name asc`: the smallest), NULLs last; ties go to the greater row."""
    orders = [_order(text) for text in order_by]
    require_columns(df, [*keys, *(name for name, _ in orders)])
    ties = payload(df, visible(df)).desc()
    window = Window.partitionBy(*map(col, keys)).orderBy(*(order for _, order in orders), ties)
    reason = F.lit(f"a later row has the same {', '.join(keys)}")
    return df.withColumn(EXTRA, F.when(F.row_number().over(window) > 1, reason))


def _order(text: str) -> tuple[str, Column]:
    name, _, direction = text.strip().rpartition(" ")
    if direction.lower() not in ("asc", "desc"):
        name, direction = text.strip(), "desc"
    smallest = direction.lower() == "asc"
    return name.strip(), col(name.strip()).asc_nulls_last() if smallest else col(name).desc_nulls_last()
