"""The rule `reconcile`."""

import re
from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import HIDDEN_PREFIX, HOLDS, col, require_columns
from lakehouse.measures import Measure, Verdict
from lakehouse.registry import Columns, Name, Sql, set_rule

Tolerance = int | float | Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*%\s*$")]
_OURS, _THEIRS = f"{HIDDEN_PREFIX}ours", f"{HIDDEN_PREFIX}theirs"


@set_rule(dimension="accuracy", measures=lambda options: not options["keys"])
def reconcile(
    df: DataFrame, *, table: Name, sql: Sql, other: Sql | None = None, keys: Columns | dict[str, str] | None = None,
    tolerance: Tolerance = 0, tables: Mapping[str, DataFrame],
) -> DataFrame | Measure:  # fmt: skip
    """A SQL aggregate of the batch equals one of a table (`other`, else the same SQL), but for a tolerance.

    `tolerance: 0.01` is a difference, `tolerance: 1%` a share of the table's figure. With `keys` (names, or `{ours:
    theirs}`) the two are compared key by key, and the rows of a key that differs, or that the table does not have, break
    the rule; a NULL in a key passes. Without, there is one verdict for the batch. An aggregate that is NULL is compared as
    one: NULL equals NULL alone.
    """
    theirs = other or sql
    if keys:
        pairs = keys if isinstance(keys, dict) else {name: name for name in keys}
        return _by_key(df, tables[table], pairs, F.expr(sql), F.expr(theirs), tolerance)

    def judge(seen: Mapping[str, Any]) -> Verdict:
        limit = f"{seen['theirs']} in {table}, give or take {tolerance}"
        said = f"{sql} is {seen['ours']}, but {theirs} of {table} is {seen['theirs']}, and {tolerance} apart is allowed"
        return Verdict(seen["ours"], limit, None if _is_near(seen["ours"], seen["theirs"], tolerance) else said)

    return Measure({"ours": F.expr(sql)}, judge, table=table, table_aggregates={"theirs": F.expr(theirs)})


def _by_key(
    df: DataFrame,
    other: DataFrame,
    pairs: Mapping[str, str],
    ours: Column,
    theirs: Column,
    tolerance: int | float | str,
) -> DataFrame:
    require_columns(df, pairs)
    require_columns(other, pairs.values())
    names = [f"{HIDDEN_PREFIX}key_{index}" for index in range(len(pairs))]
    mine = df.groupBy(*[col(name).alias(key) for name, key in zip(pairs, names, strict=True)]).agg(ours.alias(_OURS))
    found = other.groupBy(*[col(name).alias(f"{key}_other") for name, key in zip(pairs.values(), names, strict=True)])
    known = found.agg(theirs.alias(_THEIRS))
    compared = mine.join(known, on=[col(key) == col(f"{key}_other") for key in names], how="left")
    there = col(f"{names[0]}_other").isNotNull()
    verdicts = compared.select(*names, (there & _near(col(_OURS), col(_THEIRS), tolerance)).alias(HOLDS))
    same = reduce(Column.__and__, [col(name) == col(key) for name, key in zip(pairs, names, strict=True)])
    return df.join(verdicts, on=same, how="left").drop(*names)


def _near(ours: Column, theirs: Column, tolerance: int | float | str) -> Column:
    apart = F.abs(ours - theirs)
    allowed = F.lit(tolerance) if not isinstance(tolerance, str) else F.abs(theirs) * _share(tolerance)
    return F.when(ours.isNull() | theirs.isNull(), ours.isNull() & theirs.isNull()).otherwise(apart <= allowed)


def _is_near(ours: Any, theirs: Any, tolerance: int | float | str) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    apart = abs(float(ours) - float(theirs)) if type(ours) is not type(theirs) else abs(ours - theirs)
    allowed = abs(float(theirs)) * _share(tolerance) if isinstance(tolerance, str) else tolerance
    return bool(apart <= allowed)


def _share(tolerance: str) -> float:
    return float(re.sub(r"[%\s]", "", tolerance)) / 100
