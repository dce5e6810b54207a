"""The transform `pivot`."""

from typing import Annotated

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, constant, filtered, require_columns
from lakehouse.registry import Columns, Measures, transform

Values = Annotated[list[str | int | float | bool], Field(min_length=1)]


@transform
def pivot(df: DataFrame, *, group_by: Columns, column: str, values: Values, measures: Measures) -> DataFrame:
    """One row per group, and for each of the `values` of a column its measures by SQL, `{name: sql}`, in columns.

    A column is called `<value>_<name>`, or `<value>` where there is one measure. The values are named, so that the columns
    are the same whatever the rows hold; rows with another value count in no column, but their group is there. A value
    without a row is NULL (a count: 0).
    """
    require_columns(df, [*group_by, column])
    kind = df.select(col(column)).schema[0].dataType
    names = [f"{value}_{name}" if len(measures) > 1 else str(value) for value in values for name in measures]
    doubled = [name for name in names if [other.lower() for other in (*names, *group_by)].count(name.lower()) > 1]
    if doubled:
        raise ValueError(f"two columns would be called {doubled[0]}")
    wanted = [col(column).eqNullSafe(constant(df, value, kind)) for value in values]
    cells = [filtered(F.expr(sql), is_value) for is_value in wanted for sql in measures.values()]
    named = [cell.alias(name) for name, cell in zip(names, cells, strict=True)]
    return df.groupBy(*map(col, group_by)).agg(*named)
