"""Row rules over a frame: each row gets one fate, decided once, and all reasons; no second filter, no action."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import FATE, REASON_TYPE, REASONS, SKIPPED, attempt, col

VALID, WARNED, DROPPED, QUARANTINED, FAILED = range(5)
FATES = {"warn": WARNED, "drop": DROPPED, "quarantine": QUARANTINED, "fail": FAILED}


@dataclass(frozen=True)
class Check:
    """A rule as it stands in a job: its name, the column it speaks of, what a failure does, and when a row holds."""

    name: str
    column: str | None
    message: str
    on_fail: str
    holds: Column
    where: str | None = None
    total: bool = False

    @cached_property
    def passes(self) -> Column:
        """True or false, never NULL: a NULL verdict passes; where it is not `sure`, evaluating it may raise."""
        holds = self.holds if self.where is None else F.when(F.expr(self.where), self.holds).otherwise(True)
        return F.coalesce(holds, F.lit(True))

    @property
    def sure(self) -> bool:
        """True where a verdict can always be had."""
        return self.total and self.where is None

    @cached_property
    def fails(self) -> Column:
        """True or false, never NULL: a verdict that cannot be had does not pass."""
        return any_fails([self])


def any_fails(checks: Sequence[Check]) -> Column:
    """True where one of the checks fails. One attempt is enough for all of them: where it raises, one of them did."""
    failed = [~check.passes for check in checks if check.sure]
    tried = [check.passes for check in checks if not check.sure]
    if tried:
        value = attempt(reduce(Column.__and__, tried)).getField("value")
        failed.append(F.coalesce(~value, F.lit(True)))
    return reduce(Column.__or__, failed)


def with_fate(df: DataFrame, checks: Sequence[Check]) -> DataFrame:
    """The frame with what becomes of each row: fail over quarantine over drop over warn over valid."""
    fate = F.lit(VALID)
    for on_fail, code in FATES.items():  # from the mildest to the gravest: the gravest is asked first
        asked = [check for check in checks if check.on_fail == on_fail]
        conditions = [any_fails(asked)] if asked else []
        if on_fail == "quarantine":
            conditions.append(F.size(col(REASONS)) > 0)
        if conditions:
            fate = F.when(reduce(Column.__or__, conditions), code).otherwise(fate)
    if SKIPPED in df.columns:
        fate = F.when(col(SKIPPED), DROPPED).otherwise(fate)
    return df.withColumn(FATE, fate.cast("tinyint"))


def reasons_of(checks: Sequence[Check]) -> Column:
    """Every reason of a row, those of conform first."""
    if not checks:
        return col(REASONS)
    reasons = [F.when(check.fails, _reason(check)) for check in checks]
    found = F.filter(F.array(*reasons), lambda reason: reason.isNotNull()).cast(REASON_TYPE)
    return F.concat(col(REASONS), found)


def counters(on_fail: Collection[str]) -> list[Column]:
    """What is counted of a frame with fates, as aggregates under the run record's names: only fates that rows can have."""
    names = {"rows_dropped": "drop", "rows_quarantined": "quarantine", "rows_failed": "fail", "rows_warned": "warn"}
    possible = {name: FATES[word] for name, word in names.items() if word in on_fail or word == "quarantine"}
    # no count_if: Spark works its condition out in columns of their own
    counted = [F.count(F.when(col(FATE) == fate, 1)).alias(name) for name, fate in possible.items()]
    return [F.count(F.lit(1)).alias("rows_read"), *counted]


def _reason(check: Check) -> Column:
    return F.struct(
        F.lit(check.name).alias("rule"),
        F.lit(check.column).cast("string").alias("column"),
        F.lit(check.message).alias("message"),
    )
