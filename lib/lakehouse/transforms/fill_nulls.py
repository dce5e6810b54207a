"""The transform `fill_nulls`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, require_columns
from lakehouse.registry import transform


@transform(row_wise=True)
def fill_nulls(df: DataFrame, *, columns: dict[str, str | int | float | bool]) -> DataFrame:
    """NULLs replaced by a value, `{name: value}`; the column keeps its type."""
    require_columns(df, columns)
    filled = {
        name: F.coalesce(col(name), F.lit(value).cast(df.select(col(name)).schema[0].dataType))
        for name, value in columns.items()
    }
    return df.withColumns(filled)
