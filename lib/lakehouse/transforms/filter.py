"""The transform `filter`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import EXTRA, attempt, col
from lakehouse.registry import Sql, transform

_TRIED = "__lake_tried"


@transform(takes_out=True, row_wise=True)
def filter(df: DataFrame, *, where: Sql) -> DataFrame:
    """The rows for which a SQL condition is true; a row for which it errs is quarantined."""
    tried = df.withColumn(_TRIED, attempt(F.expr(where)))
    kept = tried.where(col(_TRIED).isNull() | col(_TRIED).getField("value"))
    error = F.when(col(_TRIED).isNull(), F.lit("the condition fails for this row"))
    return kept.withColumn(EXTRA, error).drop(_TRIED)
