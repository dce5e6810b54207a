"""The transform `rename`."""

from pyspark.sql import DataFrame

from lakehouse.frames import require_columns
from lakehouse.registry import transform


@transform(row_wise=True)
def rename(df: DataFrame, *, columns: dict[str, str]) -> DataFrame:
    """Columns under new names, `{old: new}`; order and other columns stay."""
    require_columns(df, columns)
    return df.withColumnsRenamed(columns)
