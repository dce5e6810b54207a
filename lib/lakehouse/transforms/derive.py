"""The transform `derive`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import EXTRA, attempt, col
from lakehouse.registry import Sql, transform

_TRIED = "__lake_tried"


@transform(takes_out=True, row_wise=True)
def derive(df: DataFrame, *, columns: dict[str, Sql]) -> DataFrame:
    """New or replaced columns by SQL, `{name: sql}`, each seeing those before it; a row for which one errs is quarantined."""
    flagged = df.withColumn(EXTRA, F.lit(None).cast("string"))
    for name, sql in columns.items():
        tried = flagged.withColumn(_TRIED, attempt(F.expr(sql)))
        error = F.when(col(_TRIED).isNull(), F.lit(f"the expression of {name} fails for this row"))
        flagged = tried.withColumns({EXTRA: F.coalesce(col(EXTRA), error), name: col(_TRIED).getField("value")}).drop(
            _TRIED
        )
    return flagged
