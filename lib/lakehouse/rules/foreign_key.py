"""The rule `foreign_key`."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from lakehouse.frames import HIDDEN_PREFIX, HOLDS, any_null, col, require_columns
from lakehouse.registry import Columns, Name, set_rule

_FOUND = f"{HIDDEN_PREFIX}found"


@set_rule(dimension="consistency")
def foreign_key(
    df: DataFrame, *, column: str | None = None, columns: Columns | None = None, table: Name,
    references: Columns | None = None, tables: Mapping[str, DataFrame],
    counted: Column,
) -> DataFrame:  # fmt: skip
    """The column's value, or the columns' values together, are among the rows of a table (`references`: its columns).

    The table is read at the version that the run began with, and is an input of the job by being named here. A row with
    a NULL in the columns passes. A text is compared as what the other column is: '007' is 7.
    """
    names = columns or ([column] if column else [])
    theirs = references or names
    if not names or (column and columns):
        raise ValueError("needs either 'column' or 'columns'")
    if len(theirs) != len(names):
        raise ValueError(f"'references' names {len(theirs)} columns for {len(names)}")
    other = tables[table]
    require_columns(df, names)
    require_columns(other, theirs)
    keys = [f"{HIDDEN_PREFIX}key_{index}" for index in range(len(names))]
    known = other.select(*[col(name).alias(key) for name, key in zip(theirs, keys, strict=True)]).dropna().distinct()
    alike = [_alike(df, known, name, key) for name, key in zip(names, keys, strict=True)]
    joined = df.join(known.withColumn(_FOUND, F.lit(True)), on=alike, how="left")
    return joined.withColumn(HOLDS, any_null(names) | col(_FOUND).isNotNull()).drop(_FOUND, *keys)


def _alike(df: DataFrame, known: DataFrame, name: str, key: str) -> Column:
    """Equal, and never an error: where one of the two is a text, it is read as the other's type."""
    ours, theirs = df.schema[_own_name(df, name)].dataType, known.schema[key].dataType
    if ours == theirs or isinstance(ours, StringType) == isinstance(theirs, StringType):
        return col(name) == col(key)
    if isinstance(ours, StringType):
        return col(name).try_cast(theirs) == col(key)
    return col(name) == col(key).try_cast(ours)


def _own_name(df: DataFrame, name: str) -> str:
    return next(column for column in df.columns if column.lower() == name.lower())
