"""The transform `aggregate`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, require_columns
from lakehouse.registry import Columns, Measures, transform


@transform
def aggregate(df: DataFrame, *, group_by: Columns, measures: Measures) -> DataFrame:
    """One row per group with measures by SQL, `{name: sql}`; NULL is a group of its own."""
    require_columns(df, group_by)
    return df.groupBy(*map(col, group_by)).agg(*[F.expr(sql).alias(name) for name, sql in measures.items()])
