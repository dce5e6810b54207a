"""Set rules that name rows: flagged beside each other over what the row rules leave, without an action."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.batches.rule_checks import FLAG, asked_where
from lakehouse.batches.step_errors import explained
from lakehouse.frames import FATE, HIDDEN_PREFIX, HOLDS, attempt, col
from lakehouse.planning.plan import Plan, RuleStep
from lakehouse.quality import FATES, VALID, WARNED

_ASKED = f"{HIDDEN_PREFIX}asked"


def with_flags(
    plan: Plan, judged: DataFrame, now: datetime, tables: Mapping[str, DataFrame], upheld: Collection[int] = ()
) -> DataFrame:
    """The frame with what each set rule says of a row, and the gravest fate that comes of it.

    Every rule sees the rows that the row rules leave, whatever the other set rules say: their order changes nothing.
    Those at the places `upheld` are known to hold for every row, and are not asked.
    """
    fates: list[Column] = []
    frame = judged
    for index, rule in enumerate(plan.rules):
        if rule.flags and index in upheld:
            frame = frame.withColumn(f"{FLAG}{index}", F.lit(True))
        elif rule.flags:
            with explained(plan, rule.step):
                frame = _flagged(plan, rule, frame, f"{FLAG}{index}", now, tables)
            fates.append(F.when(~col(f"{FLAG}{index}"), FATES[rule.settings.on_fail]).otherwise(VALID))
    return frame.withColumn(FATE, F.greatest(col(FATE), *fates).cast("tinyint")) if fates else frame


def _flagged(
    plan: Plan, rule: RuleStep, frame: DataFrame, flag: str, now: datetime, tables: Mapping[str, DataFrame]
) -> DataFrame:  # fmt: skip
    """The frame with the rule's flag: true or false, never NULL. A row for which `where` errs does not hold."""
    where = asked_where(plan, rule, now)
    said = F.lit(True) if where is None else attempt(F.coalesce(F.expr(where), F.lit(False))).getField("value")
    left = col(FATE) <= WARNED
    rows = frame.withColumn(_ASKED, F.when(left, said).otherwise(False))  # NULL: the condition erred
    counted = F.coalesce(col(_ASKED), F.lit(False))
    if "counted" in rule.step.entry.given:
        found = _shaped(rows, rule.step.call(rows, now=now, tables=tables, counted=counted))
    else:
        found = _apart(rule, rows, counted, now, tables)
    holds = F.when(counted, F.coalesce(col(HOLDS), F.lit(True))).otherwise(col(_ASKED).isNotNull())
    return found.select(*map(col, frame.columns), holds.alias(flag))


def _apart(
    rule: RuleStep, rows: DataFrame, counted: Column, now: datetime, tables: Mapping[str, DataFrame]
) -> DataFrame:
    """What a rule says that does not ask which rows count: it gets no others, at the price of a second read."""
    found = _shaped(rows, rule.step.call(rows.where(counted), now=now, tables=tables))
    others = rows.where(~counted).withColumn(HOLDS, F.lit(True))
    return found.select(*map(col, rows.columns), col(HOLDS)).unionByName(others)


def _shaped(rows: DataFrame, found: object) -> DataFrame:
    """What a rule returned; raises ValueError where it is not the frame with its verdict."""
    if not isinstance(found, DataFrame):
        raise ValueError("it must return a DataFrame; a rule that returns a Measure is a @set_rule(measures=True)")
    lost = [name for name in rows.columns if name not in found.columns]
    if HOLDS not in found.columns or lost:
        what = f"the column '{HOLDS}'" if HOLDS not in found.columns else f"all columns; '{lost[0]}' is gone"
        raise ValueError(f"it must return the frame with {what}")
    return found
