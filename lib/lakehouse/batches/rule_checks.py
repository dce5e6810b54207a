"""The rules of a job that name rows as columns, and which rows each of them asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.batches.step_errors import explained
from lakehouse.frames import HIDDEN_PREFIX, col
from lakehouse.planning.plan import Plan, RuleStep
from lakehouse.quality import Check

DELETES, TRUNCATES = f"{HIDDEN_PREFIX}deletes_or_truncates", f"{HIDDEN_PREFIX}truncates"
FLAG = f"{HIDDEN_PREFIX}holds_"
"""What the columns' names begin with in which set rules say whether a row holds."""
_SPOKEN_OF = ("column", "columns")  # options that a reason tells beside its message


def checks_of(plan: Plan, now: datetime | Column, upheld: Collection[int] = ()) -> list[tuple[RuleStep, Check]]:
    """The rules that name rows, each with its check, in the job's order; of a set rule the check of its flag.

    `now` is the run's start, or a column: then `now()` in their SQL is left to Spark, whose time of a micro-batch it is.
    The rules at the places `upheld` are known to hold for every row, and are not asked.
    """
    found = [(place, rule, _check(plan, place, now)) for place, rule in enumerate(plan.rules) if not rule.measures]
    return [(rule, _unasked(check) if place in upheld else check) for place, rule, check in found]


def _unasked(check: Check) -> Check:
    """A check that costs nothing: Spark sees that it always passes."""
    return replace(check, holds=F.lit(True), where=None, total=True)


def asked_where(plan: Plan, rule: RuleStep, now: datetime | Column) -> str | None:
    """The SQL condition of the rows that the rule asks, None for all: its `where`, and no row that deletes."""
    settings = type(rule.settings).model_validate(rule.settings.model_dump(exclude_unset=True), context={"now": now})
    where, exempt = settings.where, _exempt(plan, rule.columns)
    if exempt is None or (rule.measures and not rule.columns):
        return where
    return f"NOT {exempt}" if where is None else f"NOT {exempt} AND ({where})"


def _check(plan: Plan, index: int, now: datetime | Column) -> Check:
    rule = plan.rules[index]
    options = ", ".join(f"{name}: {value}" for name, value in rule.step.given.items() if name not in _SPOKEN_OF)
    said = f"{rule.step.name} does not hold" + (f" ({options})" if options else "")
    column = ", ".join(rule.columns) or None
    if rule.flags:
        return Check(rule.name, column, said, rule.settings.on_fail, col(f"{FLAG}{index}"), total=True)
    with explained(plan, rule.step):
        holds = rule.step.call(now=now)
    total = bool(rule.step.entry.traits.get("total"))
    return Check(rule.name, column, said, rule.settings.on_fail, holds, asked_where(plan, rule, now), total)


def deleting(plan: Plan) -> list[str]:
    """The conditions under which a row deletes or truncates."""
    options = ["apply_as_deletes", "apply_as_truncates"]
    # a change that deletes may have no more than its key
    return _conditions(plan, [*options, "delete_when"] if plan.source.option("cdc_format") else options)


def truncating(plan: Plan) -> list[str]:
    """The conditions under which a row truncates, and needs no key."""
    return _conditions(plan, ["apply_as_truncates"])


def _conditions(plan: Plan, options: Sequence[str]) -> list[str]:
    found = [sink.step.option(option) for sink in plan.sinks for option in options]
    return [str(condition) for condition in found if condition]


def _decides(plan: Plan, columns: Sequence[str], *options: str) -> bool:
    """True for columns that the sinks' options name, under the names that they have before the transforms."""
    names = {name for sink in plan.sinks for option in options for name in sink.step.option(option) or []}
    for step in reversed(plan.transforms):
        if step.name == "rename":
            before = {new: old for old, new in (step.option("columns") or {}).items()}
            names = {before.get(name, name) for name in names}
    return bool(columns) and names.issuperset(columns)


def _exempt(plan: Plan, columns: Sequence[str]) -> str | None:
    """The flag of the rows that a rule on the columns does not ask: a key says what to delete, not what to truncate."""
    if deleting(plan) and not _decides(plan, columns, "keys", "sequence_by"):
        return DELETES
    return TRUNCATES if truncating(plan) and not _decides(plan, columns, "sequence_by") else None
