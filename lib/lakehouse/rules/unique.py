"""The rule `unique`."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.frames import HOLDS, any_null, col, greatest_first, orderable, require_columns, visible
from lakehouse.registry import Columns, set_rule

Several = Annotated[Columns, Field(min_length=1)]


@set_rule(dimension="uniqueness")
def unique(df: DataFrame, *, columns: Several, order_by: Columns | None = None, counted: Column) -> DataFrame:
    """No two rows of the batch have the same values in the columns; of several the first by `order_by` stays.

    First is the greatest (`name asc`: the smallest), NULLs last; where that says nothing, the greatest row. A row with
    a NULL in the columns passes, and a row that a row rule takes out never counts as the one that stays.
    """
    orders = greatest_first(order_by or [])
    require_columns(df, [*columns, *(name for name, _ in orders)])
    asked = counted & ~any_null(columns)
    # column by column: as one struct the row would be shuffled and sorted twice over
    whole = [orderable(name, df.schema[name].dataType) for name in sorted(visible(df))]
    # rows that are not asked need no place beside each other: spread out they do not end in one task
    keys = [*map(col, columns), F.when(~asked, F.xxhash64(*whole))]
    ordered = [*(order for _, order in orders), *(value.desc_nulls_last() for value in whole)]
    place = F.row_number().over(Window.partitionBy(*keys).orderBy(*ordered))
    return df.withColumn(HOLDS, ~asked | (place == 1))
