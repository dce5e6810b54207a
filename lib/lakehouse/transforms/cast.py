"""The transform `cast`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import EXTRA, col, require_columns
from lakehouse.registry import transform


@transform(takes_out=True, row_wise=True)
def cast(df: DataFrame, *, columns: dict[str, str]) -> DataFrame:
    """Columns in other types, `{name: type}`; a row with a value that does not fit is quarantined."""
    require_columns(df, columns)
    misfits = [
        F.when(col(name).isNotNull() & col(name).try_cast(kind).isNull(), F.lit(f"{name} is no {kind}"))
        for name, kind in columns.items()
    ]
    flagged = df.withColumn(EXTRA, F.coalesce(*misfits, F.lit(None).cast("string")))
    return flagged.withColumns({name: col(name).try_cast(kind) for name, kind in columns.items()})
