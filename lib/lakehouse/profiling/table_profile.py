"""A table measured in two queries, however many columns it has: all figures in one, most frequent values and shapes in the other.

Both are run by delta-rs in this process, on all its cores, and need no Spark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lakehouse import runs
from lakehouse.errors import ConfigError, DataError
from lakehouse.profiling.leaf_columns import Leaf, leaves
from lakehouse.profiling.shapes import expression, shape_sql, shown
from lakehouse.tables import Layout

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_VALUES, MOST_SHAPES = 20, 5
_MOST_DISTINCT = 10_000  # values that are counted one by one: more are hardly frequent, and would have to be held
_LONG = 60  # letters: the shape of free text says nothing


@dataclass(frozen=True)
class Frequent:
    """A value, or a shape of values, and how many rows have it."""

    value: str
    rows: int


@dataclass(frozen=True)
class Column:
    """One column's figures; those that its type does not have are None. Distinct values are an estimate within 2% unless
    `counted`; quantiles are estimates. NaN is counted by itself and in no other figure. `personal` values are masked."""

    name: str
    type: str
    kind: str
    rows: int
    nulls: int
    nans: int = 0
    distinct: int | None = None
    counted: bool = False
    min: Any = None
    max: Any = None
    mean: float | None = None
    stddev: float | None = None
    quantiles: Mapping[str, float | None] | None = None
    shortest: int | None = None
    longest: int | None = None
    mean_length: float | None = None
    top: tuple[Frequent, ...] = ()
    shapes: tuple[Frequent, ...] = ()
    pattern: str | None = None
    """A regular expression that every value matches, where all have one structure."""
    personal: bool = False
    reference: str = ""
    """The column as a rule names it."""

    @property
    def present(self) -> int:
        """The rows that have a value."""
        return self.rows - self.nulls

    @property
    def all_values(self) -> bool:
        """True where `top` holds every value that there is."""
        return self.counted and bool(self.top) and sum(item.rows for item in self.top) == self.present - self.nans


@dataclass(frozen=True)
class Profile:
    """A table at a version, column by column; structs are taken apart by their fields' dotted names."""

    table: str
    version: int
    rows: int
    columns: tuple[Column, ...]


class Unreadable(DataError):
    """The table has a feature that only Spark reads (type widening): a plain copy of it can be measured."""


def profile(layout: Layout, table: str, personal: Collection[str] = (), version: int | None = None) -> Profile:
    """Measures a table. Values of `personal` columns (their top-level names) are in no figure of it.

    Raises DataError where there is no such table, Unreadable where it cannot be read without Spark, ConfigError for a
    version that is not there.
    """
    from deltalake.exceptions import DeltaError

    path = layout.table(table)
    opened = runs.open_table(path, layout.root)
    if opened is None:
        raise DataError(f"there is no table {table} at {path}")
    newest = opened.version()
    try:
        if version is not None:
            opened.load_as_version(version)
    except (DeltaError, OSError, ValueError) as error:
        raise ConfigError(f"{table} has no version {version}; its newest is {newest}") from error
    return measured(opened, table, opened.version(), personal)


def measured(opened: Any, table: str, version: int, personal: Collection[str]) -> Profile:
    """The profile of an open table under a name and a version; raises as `profile` does."""
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    masked = {name.lower() for name in personal}
    try:
        columns = _measured(opened, leaves(pa.schema(opened.schema().to_arrow())), masked)
    except (DeltaError, OSError, pa.ArrowException) as error:
        kind = Unreadable if "Unsupported table features" in str(error) else DataError
        raise kind(f"{table} cannot be profiled: {str(error).splitlines()[0]}") from error
    return Profile(table, version, columns[0].rows if columns else 0, columns)


def _measured(opened: Any, found: Sequence[Leaf], masked: Collection[str]) -> tuple[Column, ...]:
    parts = [part for index, leaf in enumerate(found) for part in _figures(leaf, f"c{index}")]
    (row,) = runs.rows_of(opened, f"SELECT count(*) AS rows, {', '.join(parts)} FROM t")
    columns = [_column(leaf, row, f"c{index}") for index, leaf in enumerate(found)]
    frequent = _frequent(opened, found, columns)
    told = [_with_frequent(column, *frequent(index)) for index, column in enumerate(columns)]
    return tuple(_masked(one) if leaf.path[0].lower() in masked else one for one, leaf in zip(told, found, strict=True))


def _figures(leaf: Leaf, alias: str) -> Iterator[str]:
    """A column's part of the first query."""
    value = leaf.sql
    yield f"count({leaf.present}) AS {alias}_present"
    if leaf.kind == "float":
        yield f"count(CASE WHEN isnan({value}) THEN 1 END) AS {alias}_nans"
        value = f"(CASE WHEN NOT isnan({value}) THEN {value} END)"
    if leaf.kind == "text":
        yield from _lengths(f"character_length({value})", alias)
    if leaf.kind == "length":
        yield from _lengths(f"(CASE WHEN {leaf.present} IS NOT NULL THEN {value} END)", alias)
        return
    if leaf.kind not in ("boolean", "other"):
        as_text = value if leaf.kind in ("whole", "text", "time") else f"CAST({value} AS VARCHAR)"
        yield f"approx_distinct({as_text}) AS {alias}_distinct"
        yield f"min({value}) AS {alias}_min, max({value}) AS {alias}_max"
    if leaf.is_number:
        number = f"CAST({value} AS DOUBLE)"
        yield f"avg({number}) AS {alias}_mean, stddev_samp({number}) AS {alias}_stddev"
        for share in QUANTILES:
            yield f"approx_percentile_cont({share}) WITHIN GROUP (ORDER BY {number}) AS {alias}_q{share:.0%}".replace(
                "%", ""
            )


def _lengths(length: str, alias: str) -> Iterator[str]:
    yield f"min({length}) AS {alias}_shortest, max({length}) AS {alias}_longest, avg({length}) AS {alias}_mean_length"


def _column(leaf: Leaf, row: Mapping[str, Any], alias: str) -> Column:
    def one(name: str) -> Any:
        return row.get(f"{alias}_{name}")

    quantiles = {f"{share:.0%}": one(f"q{share:.0%}"[:-1]) for share in QUANTILES} if leaf.is_number else None
    return Column(
        leaf.name, leaf.type, leaf.kind, row["rows"], row["rows"] - one("present"), one("nans") or 0, one("distinct"), False,
        one("min"), one("max"), one("mean"), one("stddev"), quantiles, one("shortest"), one("longest"), one("mean_length"),
        reference=leaf.reference,
    )  # fmt: skip


def _frequent(opened: Any, found: Sequence[Leaf], columns: Sequence[Column]) -> Any:
    """The second query: for a column's place its most frequent values and shapes, the most frequent first."""
    parts = []
    for index, (leaf, column) in enumerate(zip(found, columns, strict=True)):
        if column.present and leaf.kind not in ("length", "other") and (column.distinct or 0) <= _MOST_DISTINCT:
            parts.append(_most_frequent(index, "value", leaf.sql, leaf, MOST_VALUES + 1))
        if column.present and leaf.kind == "text" and (column.mean_length or 0) <= _LONG:
            parts.append(_most_frequent(index, "shape", shape_sql(leaf.sql), leaf, MOST_SHAPES + 1))
    rows = runs.rows_of(opened, " UNION ALL ".join(parts)) if parts else []
    by_place: dict[tuple[int, str], list[Frequent]] = {}
    for row in rows:
        by_place.setdefault((row["place"], row["what"]), []).append(Frequent(row["value"], row["n"]))

    def of(index: int) -> tuple[list[Frequent], list[Frequent]]:
        both = (by_place.get((index, what), []) for what in ("value", "shape"))
        values, shapes = (sorted(items, key=lambda item: (-item.rows, item.value)) for items in both)
        return values, shapes

    return of


def _most_frequent(index: int, what: str, sql: str, leaf: Leaf, limit: int) -> str:
    counted = f"NOT isnan({leaf.sql})" if leaf.kind == "float" else f"{leaf.sql} IS NOT NULL"
    return (
        f"SELECT * FROM (SELECT {index} AS place, '{what}' AS what, CAST({sql} AS VARCHAR) AS value, count(*) AS n FROM t "
        f"WHERE {counted} GROUP BY {sql} ORDER BY n DESC, value LIMIT {limit})"
    )


def _with_frequent(column: Column, values: Sequence[Frequent], shapes: Sequence[Frequent]) -> Column:
    """The column with what is frequent in it; where that is all there is, its distinct values are counted."""
    counted = (bool(values) and len(values) <= MOST_VALUES) or (not column.present and column.distinct is not None)
    estimate = None if column.distinct is None else min(column.distinct, column.present)
    return replace(
        column,
        distinct=len(values) if counted else estimate,
        counted=counted,
        top=tuple(values[:MOST_VALUES]),
        shapes=tuple(Frequent(shown(item.value), item.rows) for item in shapes[:MOST_SHAPES]),
        pattern=expression([item.value for item in shapes]) if len(shapes) <= MOST_SHAPES else None,
    )


def _masked(column: Column) -> Column:
    """The column without a value of it: how many, how long and of what shape stay."""
    top = tuple(Frequent("***", item.rows) for item in column.top)
    return replace(column, min=_mask(column.min), max=_mask(column.max), mean=None, stddev=None, quantiles=None, top=top,
                   personal=True)  # fmt: skip


def _mask(value: Any) -> str | None:
    return None if value is None else "***"
