"""Row rules over a frame: each row gets one fate, decided once, and all reasons; no second filter, no action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.frames import FATE, REASON_TYPE, REASONS, attempt, col

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

    @property
    def fails(self) -> Column:
        """True or false, never NULL: a NULL verdict passes, a verdict that cannot be had does not."""
        holds = self.holds if self.where is None else F.when(F.expr(self.where), self.holds).otherwise(True)
        if self.total and self.where is None:
            return F.coalesce(~holds, F.lit(False))
        tried = attempt(holds)
        return F.coalesce(~tried.getField("value"), tried.isNull())


def with_fate(df: DataFrame, checks: Sequence[Check]) -> DataFrame:
    """The frame with what becomes of each row: fail over quarantine over drop over warn over valid."""
    fate = F.lit(VALID)
    for on_fail, code in FATES.items():  # from the mildest to the gravest: the gravest is asked first
        conditions = [check.fails for check in checks if check.on_fail == on_fail]
        if on_fail == "quarantine":
            conditions.append(F.size(col(REASONS)) > 0)
        if conditions:
            fate = F.when(reduce(Column.__or__, conditions), code).otherwise(fate)
    return df.withColumn(FATE, fate.cast("tinyint"))


def with_reasons(df: DataFrame, checks: Sequence[Check]) -> DataFrame:
    """The frame with every reason of every row, those of conform first."""
    if not checks:
        return df
    reasons = [F.when(check.fails, _reason(check)) for check in checks]
    found = F.filter(F.array(*reasons), lambda reason: reason.isNotNull()).cast(REASON_TYPE)
    return df.withColumn(REASONS, F.concat(col(REASONS), found))


def counters(df: DataFrame) -> dict[str, Column]:
    """What is counted of a frame with fates, as aggregates by the names of the run record."""
    fate = col(FATE)
    return {
        "rows_read": F.count(F.lit(1)),
        "rows_dropped": F.count_if(fate == DROPPED),
        "rows_quarantined": F.count_if(fate == QUARANTINED),
        "rows_failed": F.count_if(fate == FAILED),
        "rows_warned": F.count_if(fate == WARNED),
    }


def _reason(check: Check) -> Column:
    return F.struct(
        F.lit(check.name).alias("rule"),
        F.lit(check.column).cast("string").alias("column"),
        F.lit(check.message).alias("message"),
    )
