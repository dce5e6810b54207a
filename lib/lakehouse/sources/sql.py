"""The source `sql`."""

from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession

from lakehouse.frames import query as run_query
from lakehouse.registry import Sql, source


@source
def sql(spark: SparkSession, *, query: Sql, tables: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of a query over the tables named under `inputs`, whole each run: what most gold jobs are."""
    return run_query(spark, query, tables)
