"""The transform `lookup`."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, require_columns
from lakehouse.registry import Columns, Name, transform

_FOUND = "__lake_found"


@transform
def lookup(
    df: DataFrame,
    *,
    table: Name,
    on: Columns | dict[str, str],
    columns: Columns | dict[str, str],
    tables: Mapping[str, DataFrame],
) -> DataFrame:
    """Columns taken from a table named under `inputs`, `[name]` or `{new: theirs}`; rows never multiply, no match is NULL."""
    pairs = on if isinstance(on, dict) else {name: name for name in on}
    taken = columns if isinstance(columns, dict) else {name: name for name in columns}
    require_columns(df, pairs)
    require_columns(tables[table], [*pairs.values(), *taken.values()])
    keys = {f"__lake_key_{index}": theirs for index, theirs in enumerate(pairs.values())}
    values = F.struct(*[col(theirs).alias(new) for new, theirs in taken.items()])
    other = tables[table].select(*[col(theirs).alias(key) for key, theirs in keys.items()], values.alias(_FOUND))
    one = other.groupBy(*keys).agg(F.max(_FOUND).alias(_FOUND))  # a key with several rows gives its greatest
    condition = [col(ours) == F.col(key) for ours, key in zip(pairs, keys, strict=True)]
    joined = df.join(one, on=condition, how="left").drop(*keys)
    return joined.withColumns({new: F.col(_FOUND).getField(new) for new in taken}).drop(_FOUND)
