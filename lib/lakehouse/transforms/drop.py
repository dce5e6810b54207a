"""The transform `drop`."""

from pyspark.sql import DataFrame

from lakehouse.frames import require_columns
from lakehouse.registry import Columns, transform


@transform(row_wise=True)
def drop(df: DataFrame, *, columns: Columns) -> DataFrame:
    """Without these columns."""
    require_columns(df, columns)
    return df.drop(*columns)
