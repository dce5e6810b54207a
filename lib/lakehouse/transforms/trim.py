"""The transform `trim`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from lakehouse.frames import col, require_columns, visible
from lakehouse.registry import Columns, transform


@transform(row_wise=True)
def trim(df: DataFrame, *, columns: Columns | None = None) -> DataFrame:
    """Text without outer white space (tabs and line breaks too); all text columns where none is named."""
    require_columns(df, columns or [])
    texts = [name for name in visible(df) if isinstance(df.schema[name].dataType, StringType)]
    if columns:
        others = [name for name in columns if name.lower() not in map(str.lower, texts)]
        if others:
            raise ValueError(f"{', '.join(others)}: no text, so that there is nothing to trim")
        texts = columns
    return df.withColumns({name: F.regexp_replace(col(name), r"^\s+|\s+$", "") for name in texts})
