"""The transform `rename`."""

from pyspark.sql import DataFrame

from lakehouse.frames import require_columns
from lakehouse.registry import transform


@transform(row_wise=True)
def rename(df: DataFrame, *, columns: dict[str, str]) -> DataFrame:
    """Columns under new names, `{old: new}`; order and other columns stay."""
    require_columns(df, columns)
    new = {old.lower(): name for old, name in columns.items()}
    names = [new.get(name.lower(), name) for name in df.columns]  # at once: {a: b, b: a} changes places
    lower = [name.lower() for name in names]
    twice = sorted({name for name in names if lower.count(name.lower()) > 1})
    if twice:
        raise ValueError(f"two columns would be called {', '.join(twice)}")
    return df.toDF(*names)
