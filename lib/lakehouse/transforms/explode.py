"""The transform `explode`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, require_columns
from lakehouse.registry import transform


@transform(row_wise=True)
def explode(df: DataFrame, *, column: str, outer: bool = True) -> DataFrame:
    """One row per element of an array, in the array's place; an empty or NULL one gives a NULL row, unless `outer: false`."""
    require_columns(df, [column])
    elements = F.explode_outer(col(column)) if outer else F.explode(col(column))
    return df.select(*[elements.alias(name) if name.lower() == column.lower() else col(name) for name in df.columns])
