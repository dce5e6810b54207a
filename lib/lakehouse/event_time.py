"""Event time as columns: the windows that a time falls into, which of them a watermark has closed, and what has no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from lakehouse.frames import HIDDEN_PREFIX, col, require_columns
from lakehouse.registry import length_of

COUNTED = f"{HIDDEN_PREFIX}counted"
"""In what a stream's windows give: how many rows are in the window."""


def micros(length: timedelta) -> int:
    """The length in microseconds, which is what Spark counts in."""
    return length // timedelta(microseconds=1)


def interval(length: timedelta) -> str:
    """The length as Spark's functions take it."""
    return f"{micros(length)} microseconds"


def require_time(df: DataFrame, name: str) -> None:
    """Raises ValueError where the frame has no such column, or it is no timestamp."""
    require_columns(df, [name])
    kind = df.select(col(name)).schema[0].dataType
    if not isinstance(kind, TimestampType):
        raise ValueError(f"'{name}' is {kind.simpleString()}, not timestamp; cast it first")


def require_slide(*, size: str, slide: str | None = None, **_: object) -> None:
    """Raises ValueError where windows would leave gaps between them."""
    if slide is not None and length_of(slide) > length_of(size):
        raise ValueError(f"'slide: {slide}' is longer than 'size: {size}': rows between two windows would be in none")


def in_windows(
    df: DataFrame, windows: Column, groups: Sequence[str], measures: Mapping[str, str], kind: str = "window"
) -> DataFrame:
    """One row per group and window: `<kind>_start`, `<kind>_end`, the groups, and measures by SQL; `windows` is called `kind`."""
    found = df.groupBy(windows, *map(col, groups)).agg(*[F.expr(sql).alias(name) for name, sql in measures.items()])
    bounds = [F.col(f"{kind}.{part}").alias(f"{kind}_{part}") for part in ("start", "end")]
    return found.select(*bounds, *map(col, [*groups, *measures]))


def untimed(name: str, now: datetime | Column | None = None, tolerance: timedelta = timedelta()) -> Column:
    """Why a row has no place in event time, as text: it has none, or it is dated beyond now; NULL where all is well.

    Without a `now` no time is too far ahead.
    """
    reason = F.when(col(name).isNull(), F.lit(f"it has no event time: {name} is NULL"))
    if now is None:
        return reason
    latest = F.timestamp_micros(F.unix_micros(F.lit(now)) + micros(tolerance))
    return reason.when(col(name) > latest, F.lit(f"{name} is more than {tolerance} ahead of now"))


def window_ends(time: Column, size: timedelta, slide: timedelta) -> Column:
    """The ends of the windows that a time falls into, as Spark lays them (from the epoch on), the latest first."""
    at, wide, step = F.unix_micros(time), micros(size), micros(slide)
    # exact for times before 1970 too
    latest = at - F.pmod(at, F.lit(step))
    if slide == size:
        return F.array(latest + wide)
    places = F.sequence(F.lit(0).cast("bigint"), F.lit(-(-wide // step) - 1).cast("bigint"))
    return F.filter(F.transform(places, lambda place: latest - place * step + wide), lambda end: end > at)


def last_end(latest: int, size: timedelta, slide: timedelta) -> int:
    """The end of the last window that a time (microseconds) falls into, in microseconds."""
    step = micros(slide)
    return latest - latest % step + micros(size)
