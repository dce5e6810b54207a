"""A job's rules as a suite of Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lakehouse.batches.rule_checks import DELETES, TRUNCATES, asked_where, deleting, truncating
from lakehouse.config.spark_types import spark_type
from lakehouse.config.suite import Expectation, Suite
from lakehouse.errors import Problem
from lakehouse.frames import quoted
from lakehouse.planning.plan import Plan, RuleStep
from lakehouse.registry import call_options
from lakehouse.sql_text import with_clock
from lakehouse.suites.mapping import NOT_NAN, QUERY, QUERY_START, Asked, Mapped, mapped

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
OWN = "lakehouse"
"""The key of an expectation's `meta` under which the rule stands that it was made of."""


@dataclass(frozen=True)
class Exported:
    """The suite, and a problem for each rule that is not in it."""

    suite: Suite
    left_out: tuple[Problem, ...]


def exported(plan: Plan) -> Exported:
    """The rules of a job, those of its contract first, as a suite; what Great Expectations cannot say is left out and named.

    The suite speaks of the rows as the rules see them: after the contract's casts, before the transforms.
    """
    found, left_out = [], []
    types = types_of(plan)
    for rule in plan.rules:
        try:
            found.append(_expectation(plan, rule, types))
        except ValueError as error:
            left_out.append(rule.step.problem(f"left out: {error}"))
    return Exported(Suite(plan.name, "", tuple(found)), tuple(left_out))


def types_of(plan: Plan) -> dict[str, str]:
    """The type of each column, by its name in small letters, that a contract or schema names; none without them."""
    if plan.contract is not None:
        return {item.name.lower(): item.type for item in plan.contract.fields}
    schema = spark_type(f"struct<{plan.job.config.schema_ or ''}>")
    return {part.name.lower(): str(part.type) for part in schema.parts}


def said_by(name: str, options: Mapping[str, Any], settings: Mapping[str, Any], types: Mapping[str, str],
            pattern: str | None = None) -> Expectation:  # fmt: skip
    """The expectation of a rule with these options and settings; raises ValueError where there is none."""
    where = settings.get("where")
    nan_passes = name == "in_range" and where == NOT_NAN.format(quoted(str(options["column"])))
    found = mapped(name, Asked(options, types, pattern, nan_passes))
    severity = "warning" if settings.get("on_fail") == "warn" else "critical"
    return Expectation(
        found.type, _kwargs(found, None if nan_passes else where), {}, severity, description=settings.get("name")
    )


def _expectation(plan: Plan, rule: RuleStep, types: Mapping[str, str]) -> Expectation:
    step = rule.step
    if step.entry.function.__module__ != f"lakehouse.rules.{step.name}":
        raise ValueError("it is the job's own function, which Great Expectations does not know")
    options = call_options(step.entry, step.options)
    _require_no_clock(step.given.get("sql"), rule.settings.where)
    settings = rule.settings.model_dump(exclude_none=True)
    asked = {**settings, "where": _where(plan, rule)}
    pattern = _pattern(rule, options)
    found = said_by(step.name, options, asked, types, pattern)
    given = {**step.given, **rule.settings.model_dump(exclude_unset=True)}
    known = {name: kind for name, kind in types.items() if name in {column.lower() for column in found.columns}}
    said = {"rule": {step.name: given}, "types": known, "pattern": pattern}
    meta = {OWN: {name: value for name, value in said.items() if value}}
    return replace(found, meta=meta)


def _pattern(rule: RuleStep, options: Mapping[str, Any]) -> str | None:
    """The regular expression that a rule on a text comes to, where it is no more than one."""
    trait = rule.step.entry.traits.get("pattern")
    return trait(**options) if callable(trait) else trait


def _where(plan: Plan, rule: RuleStep) -> str | None:
    """The condition of the rows that the rule asks, the exemption of rows that delete in the job's own SQL."""
    where = asked_where(plan, rule, _ANY_TIME)
    for flag, conditions in ((DELETES, deleting(plan)), (TRUNCATES, truncating(plan))):
        any_of = " OR ".join(f"coalesce({condition}, false)" for condition in conditions)
        where = where.replace(flag, f"({any_of})") if where is not None else None
    return where


def _require_no_clock(*texts: str | None) -> None:
    for sql in texts:
        if sql is not None and with_clock(sql, _ANY_TIME) != sql:
            raise ValueError("now() in it is the run's start, and a suite is judged at any time")


def _kwargs(found: Mapped, where: str | None) -> dict[str, Any]:
    if found.type != QUERY:
        asked = {"type": "pass_through", "pass_through_filter": where}
        return {**found.kwargs, **({"row_condition": asked} if where else {})}
    condition = f"({where}) AND ({found.broken})" if where else str(found.broken)
    escaped = condition.replace("{", "{{").replace("}", "}}")
    return {"unexpected_rows_query": f"{QUERY_START}{escaped}"}
