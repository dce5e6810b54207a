"""The transform `flatten`."""

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from lakehouse.frames import col, require_columns
from lakehouse.registry import transform


@transform(row_wise=True)
def flatten(df: DataFrame, *, column: str, prefix: str | None = None) -> DataFrame:
    """A struct's fields as columns in its place, named `<column>_<field>` (or `<prefix><field>`)."""
    require_columns(df, [column])
    kind = df.select(col(column)).schema[0].dataType
    if not isinstance(kind, StructType):
        raise ValueError(f"'{column}' is no struct but {kind.simpleString()}")
    start = f"{column}_" if prefix is None else prefix
    fields = [col(column).getField(field.name).alias(f"{start}{field.name}") for field in kind]
    place = [name.lower() for name in df.columns].index(column.lower())
    before, after = df.columns[:place], df.columns[place + 1 :]
    return df.select(*map(col, before), *fields, *map(col, after))
