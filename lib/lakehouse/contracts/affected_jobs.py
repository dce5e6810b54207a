"""Which jobs a column reaches: those that use the contract, and those that read what they write and mention it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import Problem
from lakehouse.planning.graph import ordered
from lakehouse.planning.plan import Plan, Step
from lakehouse.sql_text import mentions

_NEW_ROWS = ("select", "aggregate", "sql", "pivot", "window", "session_window")
"""Transforms whose columns are those that they name: what they do not mention ends there."""


@dataclass(frozen=True)
class Affected:
    """A job, and the first place of its YAML that mentions the column."""

    job: str
    file: str
    line: int

    def __str__(self) -> str:
        """The job with its place."""
        return f"{self.job} ({self.file}:{self.line})"


def users(plans: Iterable[Plan], contract: str) -> list[Affected]:
    """The jobs under a contract."""
    found = [
        (plan, plan.job.source.problem(("contract",), "")) for plan in plans if plan.job.config.contract == contract
    ]
    return [Affected(plan.name, place.file, place.line) for plan, place in found]


def readers(plans: Sequence[Plan], contract: str, columns: Iterable[str]) -> list[Affected]:
    """The jobs that mention one of the columns: under the contract, or downstream of a job that carries it along.

    A column is followed under the names that `rename` gives it, until a job makes rows without it.
    """
    names = {column.lower() for column in columns}
    carried: dict[str, set[str]] = {}
    found = []
    for plan in ordered(plans):
        own = plan.job.config.contract == contract
        known = set(names) if own else {name for table in plan.inputs for name in carried.get(table, ())}
        if not known:
            continue
        place = next(_mentions(plan, known, own=own), None)
        if place is not None:
            found.append(Affected(plan.name, place.file, place.line))
        for table in plan.outputs:
            carried.setdefault(table, set()).update(_passed_on(plan, known))
    return found


def _mentions(plan: Plan, names: set[str], *, own: bool) -> Iterator[Problem]:
    """Every place of a job that mentions one of the names; a rename makes its new name one of them."""
    names = set(names)
    source = plan.job.source
    if plan.contract is not None and not own and any(field.name.lower() in names for field in plan.contract.fields):
        yield source.problem(("contract",), "")
    steps = [plan.source, *(rule.step for rule in plan.rules if rule.step.source is source), *plan.transforms]
    for step in steps:
        if _is_mentioned(step.given, names):
            yield step.source.problem(step.path, "")
        names |= _renamed(step, names)
    for sink in plan.sinks:
        if _is_mentioned([sink.step.given, sink.where, sink.settings.model_dump(exclude_unset=True)], names):
            yield sink.step.source.problem(sink.step.path, "")


def _passed_on(plan: Plan, names: set[str]) -> set[str]:
    """The names under which the columns reach the job's tables."""
    for step in plan.transforms:
        if step.name in _NEW_ROWS:
            names = {name for name in names if _is_mentioned(step.given, {name})}
        if step.name == "drop":
            names = names - {str(name).lower() for name in step.option("columns") or []}
        names = names | _renamed(step, names)
    return names if plan.source.name != "sql" else {name for name in names if _is_mentioned(plan.source.given, {name})}


def _renamed(step: Step, names: set[str]) -> set[str]:
    columns = (step.option("columns") or {}) if step.name == "rename" else {}
    return {str(new).lower() for old, new in columns.items() if str(old).lower() in names}


def _is_mentioned(value: Any, names: set[str]) -> bool:
    if isinstance(value, dict):
        return any(_is_mentioned(item, names) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(_is_mentioned(item, names) for item in value)
    return isinstance(value, str) and any(mentions(value.lower(), name) for name in names)
