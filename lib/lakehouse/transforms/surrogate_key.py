"""The transform `surrogate_key`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, require_columns
from lakehouse.registry import Columns, transform


@transform(row_wise=True)
def surrogate_key(df: DataFrame, *, name: str, columns: Columns) -> DataFrame:
    """A key of 64 hexadecimal digits (SHA-256) that depends on the columns' values alone; NULL and '' differ."""
    require_columns(df, columns)
    # JSON keeps the parts apart: a plain concatenation gives ('ab','c') and ('a','bc') one key
    values = F.to_json(F.array(*[col(column).cast("string") for column in columns]))
    return df.withColumn(name, F.sha2(values, 256))
