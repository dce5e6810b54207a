"""The transform `stream_join`."""

from collections.abc import Mapping
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.event_time import require_time
from lakehouse.frames import BRONZE_COLUMNS, HIDDEN_PREFIX, col, require_columns, visible
from lakehouse.registry import Columns, Duration, Name, length_of, transform


@transform(state=True)
def stream_join(
    df: DataFrame,
    *,
    with_: Name,
    on: Columns | dict[str, str],
    within: Duration,
    how: Literal["inner", "left", "full"] = "inner",
    tables: Mapping[str, DataFrame],
    event_times: Mapping[str, str],
) -> DataFrame:
    """Each row with those of another stream that have its keys (`{ours: theirs}`) and happened at its time, or up to `within` later."""
    other = tables[with_].drop(*BRONZE_COLUMNS)
    ours, theirs = event_times[""], event_times[with_]
    pairs = on if isinstance(on, dict) else {name: name for name in on}
    require_columns(df, pairs)
    require_columns(other, pairs.values())
    require_time(df, ours)
    require_time(other, theirs)
    keys = {ours_.lower(): f"{HIDDEN_PREFIX}key{index}" for index, ours_ in enumerate(pairs)}
    right = other.withColumnsRenamed({theirs_: keys[ours_.lower()] for ours_, theirs_ in pairs.items()})
    twice = sorted({name.lower() for name in visible(df)} & {name.lower() for name in visible(right)})
    if twice:
        raise ValueError(f"both sides have {', '.join(twice)}; rename them in one")
    later = col(ours) + F.lit(length_of(within))  # a literal: Spark must see how long a row can wait
    same = [col(name) == col(key) for name, key in keys.items()]
    near = [col(theirs) >= col(ours), col(theirs) <= later]
    joined = df.join(right, on=reduce(Column.__and__, [*same, *near]), how=how)
    # of a row that only the other side has, the keys are there
    own = [
        F.coalesce(col(name), col(keys[name.lower()])).alias(name) if name.lower() in keys else col(name)
        for name in df.columns
    ]
    return joined.select(*own, *[col(name) for name in right.columns if name not in keys.values()])
