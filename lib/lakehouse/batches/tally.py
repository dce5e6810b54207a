"""How many rows each rule found wrong and some of the values: taken where broken rows are read anyway."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse.batches.batch_rows import Batch, checked
from lakehouse.batches.counting import Taken
from lakehouse.batches.measuring import Judged
from lakehouse.frames import FATE, col
from lakehouse.observations import observed
from lakehouse.planning.plan import Plan, RuleStep
from lakehouse.quality import VALID
from lakehouse.rule_results import SAMPLE, RuleResult

_LENGTH = 100  # characters that are kept of a failing value
_PATIENCE = 1.0  # seconds for counts of a write that may have been in already, so that nothing was read
_TRACKED = 1000  # values that are told apart while the most frequent ones are found


def results_of(batch: Batch, raw: DataFrame, known: Taken, tally: Observation | None) -> tuple[RuleResult, ...]:
    """What each rule says of the batch, in the job's order: while no row is broken or warned, none is read for it."""
    found: Mapping[str, Any] = {}
    if _any_fails(batch.plan, known.counts):
        found = (observed(tally, _PATIENCE) if tally is not None else None) or _tallied(batch, raw)
    places = [place for place, rule in enumerate(batch.plan.rules) if not rule.measures]
    of_rows = {place: _of_rows(known.counts["rows_read"], found, index) for index, place in enumerate(places)}
    of_batch = {
        place: item for item in known.verdicts for place, rule in enumerate(batch.plan.rules) if rule is item.rule
    }
    return tuple(
        RuleResult(name, ", ".join(rule.columns) or None, rule.dimension, rule.settings.on_fail,
                   **(of_rows[place] if place in of_rows else _of_batch(of_batch[place])))
        for place, (rule, name) in enumerate(zip(batch.plan.rules, batch.plan.rule_names, strict=True))
    )  # fmt: skip


def with_tally(broken: DataFrame, batch: Batch, tally: Observation) -> DataFrame:
    """The rows that are not valid, counted by rule while they are read."""
    columns = _columns(batch)
    return broken.observe(tally, *columns) if columns else broken


def _any_fails(plan: Plan, counts: Mapping[str, int]) -> bool:
    """True where a row may have broken a rule: records that say of no row are dropped by none."""
    drops = any(rule.settings.on_fail == "drop" for rule in plan.rules)
    names = ["rows_warned", "rows_quarantined", "rows_failed", *(["rows_dropped"] if drops else [])]
    return any(counts[name] for name in names)


def _tallied(batch: Batch, raw: DataFrame) -> Mapping[str, Any]:
    columns = _columns(batch)
    row = checked(batch, raw).where(col(FATE) > VALID).agg(*columns).first() if columns else None
    return row.asDict() if row is not None else {}


def most_frequent(values: Column) -> Column:
    """The most frequent of the values and NULL, for `sample_of`."""
    # one more than is kept, for the rows that break nothing count as NULL
    return F.call_function("approx_top_k", values, F.lit(SAMPLE + 1), F.lit(_TRACKED))


def sample_of(found: Any) -> tuple[str, ...]:
    """What is kept of `most_frequent`."""
    return tuple(item["item"] for item in found or () if item["item"] is not None)[:SAMPLE]


def failing_value(plan: Plan, rule: RuleStep, text_of: Callable[[str], Column]) -> Column:
    """What a row that breaks the rule has in its columns, as text; `***` where the contract says that it is personal."""
    hidden = {field.name.lower() for field in plan.contract.fields if field.pii} if plan.contract else set()
    if any(name.lower().split(".")[0] in hidden for name in rule.columns):
        return F.lit("***")
    if len(rule.columns) == 1:
        return F.substring(text_of(rule.columns[0]), 1, _LENGTH)
    values = [F.concat(F.lit(f"{name}="), F.coalesce(text_of(name), F.lit("NULL"))) for name in rule.columns]
    return F.substring(F.concat_ws(", ", *values), 1, _LENGTH)


def _columns(batch: Batch) -> list[Column]:
    """Of each rule that names rows how many break it, and the most frequent values that do."""
    found = []
    for index, (rule, check) in enumerate(batch.checks):
        found.append(F.count(F.when(check.fails, 1)).alias(f"failed_{index}"))
        if rule.columns:
            value = failing_value(batch.plan, rule, lambda name: F.col(name).cast("string"))
            found.append(most_frequent(F.when(check.fails, value)).alias(f"sample_{index}"))
    return found


def _of_rows(read: int, found: Mapping[str, Any], index: int) -> dict[str, Any]:
    failed = int(found.get(f"failed_{index}") or 0)
    return {"passed": read - failed, "failed": failed, "sample": sample_of(found.get(f"sample_{index}"))}


def _of_batch(item: Judged) -> dict[str, Any]:
    verdict, broken = item.verdict, item.verdict.broken is not None
    return {
        "passed": int(not broken), "failed": int(broken), "limit": verdict.limit or None,
        "value": None if verdict.value is None else str(verdict.value),
        "profile": None if verdict.profile is None else json.dumps(verdict.profile),
    }  # fmt: skip
