"""The transform `join`."""

from collections.abc import Mapping
from typing import Literal

from pyspark.sql import DataFrame

from lakehouse.frames import BRONZE_COLUMNS, require_columns, visible
from lakehouse.registry import Columns, Name, transform

How = Literal["inner", "left", "right", "full", "left_semi", "left_anti"]


@transform
def join(
    df: DataFrame, *, with_: Name, on: Columns | dict[str, str], how: How = "inner", tables: Mapping[str, DataFrame]
) -> DataFrame:
    """Joined with a table named under `inputs`, on columns of one name or `{ours: theirs}`; NULL keys match nothing."""
    other = tables[with_].drop(*BRONZE_COLUMNS)
    pairs = on if isinstance(on, dict) else {name: name for name in on}
    require_columns(df, pairs)
    require_columns(other, pairs.values())
    renamed = other.withColumnsRenamed({theirs: ours for ours, theirs in pairs.items()})
    ours, keys = {name.lower() for name in visible(df)}, {name.lower() for name in pairs}
    twice = sorted(name for name in renamed.columns if name.lower() in ours - keys)
    if twice and how not in ("left_semi", "left_anti"):
        raise ValueError(f"both sides have {', '.join(twice)}; rename or drop them, or use 'lookup'")
    return df.join(renamed, on=list(pairs), how=how)
