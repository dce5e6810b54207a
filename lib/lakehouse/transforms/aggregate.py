"""The transform `aggregate`."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, require_columns
from lakehouse.registry import Columns, Sql, transform

Measures = Annotated[dict[str, Sql], Field(min_length=1)]


@transform
def aggregate(df: DataFrame, *, group_by: Columns, measures: Measures) -> DataFrame:
    """One row per group with measures by SQL, `{name: sql}`; NULL is a group of its own."""
    require_columns(df, group_by)
    return df.groupBy(*map(col, group_by)).agg(*[F.expr(sql).alias(name) for name, sql in measures.items()])
