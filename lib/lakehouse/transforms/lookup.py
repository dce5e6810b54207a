"""The transform `lookup`."""

from collections.abc import Iterable, Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import col, constant, require_columns
from lakehouse.intervals import bounds, valid_at
from lakehouse.registry import Columns, Name, Sql, transform

_FOUND, _ROWS, _TIME = "__lake_found", "__lake_rows", "__lake_time"


@transform
def lookup(
    df: DataFrame,
    *,
    table: Name,
    on: Columns | dict[str, str],
    columns: Columns | dict[str, str],
    as_of: Sql | None = None,
    unknown: dict[str, Any] | None = None,
    start_column: str | None = None,
    end_column: str | None = None,
    tables: Mapping[str, DataFrame],
) -> DataFrame:
    """Columns taken from a table named under `inputs`, `[name]` or `{new: theirs}`; rows never multiply.

    `as_of: order_ts` takes them from the version of a history that was valid then. Where there is no row, or none was
    valid, the columns are NULL, or what `unknown: {name: value}` says.
    """
    pairs = on if isinstance(on, dict) else {name: name for name in on}
    taken = columns if isinstance(columns, dict) else {name: name for name in columns}
    other = tables[table]
    require_columns(df, pairs)
    require_columns(other, [*pairs.values(), *taken.values()])
    _require_taken(unknown or {}, taken)
    keys = {f"__lake_key_{index}": theirs for index, theirs in enumerate(pairs.values())}
    keyed = other.select(*[col(theirs).alias(key) for key, theirs in keys.items()], "*").groupBy(*keys)
    values = F.struct(*[col(theirs).alias(new) for new, theirs in taken.items()])
    if as_of is None:
        one, found = keyed.agg(F.max(values).alias(_FOUND)), col(_FOUND)  # of several rows the greatest
    else:
        df = df.withColumn(_TIME, F.expr(as_of))
        one, found = _versions(keyed, values, other, bounds(other, start_column, end_column))
    condition = [col(ours) == F.col(key) for ours, key in zip(pairs, keys, strict=True)]
    joined = df.join(one, on=condition, how="left").withColumn(_FOUND, found)
    return joined.withColumns(_columns(joined, taken, unknown or {})).drop(*keys, _FOUND, _ROWS, _TIME)


def _versions(keyed: Any, values: Column, other: DataFrame, names: tuple[str, str]) -> tuple[DataFrame, Column]:
    """All versions of a key, and of these the values of the one that is valid at the row's time."""
    start, end = names
    versions = keyed.agg(
        F.collect_list(F.struct(col(start).alias("start"), col(end).alias("end"), values.alias("values"))).alias(_ROWS)
    )
    kind = other.schema[start].dataType
    valid = F.filter(_ROWS, lambda row: valid_at(row["start"], row["end"], col(_TIME), kind))
    return versions, F.array_max(valid)["values"]


def _columns(joined: DataFrame, taken: Iterable[str], unknown: Mapping[str, Any]) -> dict[str, Column]:
    kinds = {new: joined.select(col(_FOUND).getField(new)).schema[0].dataType for new in unknown}
    found = {new: col(_FOUND).getField(new) for new in taken}
    missing = {new: constant(joined, value, kinds[new]) for new, value in unknown.items()}
    return found | {new: F.when(col(_FOUND).isNull(), value).otherwise(found[new]) for new, value in missing.items()}


def _require_taken(unknown: Mapping[str, Any], taken: Mapping[str, str]) -> None:
    strangers = [name for name in unknown if name not in taken]
    if strangers:
        raise ValueError(f"'unknown' names '{strangers[0]}', which is none of 'columns': {', '.join(taken)}")
