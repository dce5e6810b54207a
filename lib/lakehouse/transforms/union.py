"""The transform `union`."""

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame

from lakehouse.registry import Name, transform


@transform
def union(df: DataFrame, *, tables_: list[Name], tables: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of the frame and of tables named under `inputs`, columns by name; a missing column is NULL."""
    return reduce(lambda rows, name: rows.unionByName(tables[name], allowMissingColumns=True), tables_, df)
