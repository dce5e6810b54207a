"""The transform `sql`."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from lakehouse.frames import query as run_query
from lakehouse.registry import Sql, transform


@transform
def sql(df: DataFrame, *, query: Sql, tables: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of a query over `{input}` (the frame so far) and the tables named under `inputs`."""
    return run_query(df.sparkSession, query, {**tables, "input": df})
