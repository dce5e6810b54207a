"""The transform `select`."""

from pyspark.sql import DataFrame

from lakehouse.frames import col, hidden, require_columns
from lakehouse.registry import Columns, transform


@transform(row_wise=True)
def select(df: DataFrame, *, columns: Columns) -> DataFrame:
    """These columns, in this order."""
    require_columns(df, columns)
    return df.select(*map(col, [*columns, *hidden(df)]))
