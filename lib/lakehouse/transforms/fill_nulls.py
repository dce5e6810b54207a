"""The transform `fill_nulls`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, constant, require_columns
from lakehouse.registry import transform


@transform(row_wise=True)
def fill_nulls(df: DataFrame, *, columns: dict[str, str | int | float | bool]) -> DataFrame:
    """NULLs replaced by a value, `{name: value}`; the column keeps its type."""
    require_columns(df, columns)
    constants = {name: constant(df, value, df.select(col(name)).schema[0].dataType) for name, value in columns.items()}
    return df.withColumns({name: F.coalesce(col(name), value) for name, value in constants.items()})
