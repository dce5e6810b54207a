"""A suite of Great Expectations as rules: what an expectation is called here, with its severity and its conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lakehouse.config.suite import Expectation, Suite
from lakehouse.errors import Problem
from lakehouse.suites.exporting import OWN, said_by
from lakehouse.suites.rules_of import rule_of
from lakehouse.suites.spark_sql import where_of

Rule = dict[str, dict[str, Any]]

_ASIDE = frozenset(
    {"row_condition", "condition_parser", "mostly", "result_format", "catch_exceptions", "meta", "batch_id"}
)


@dataclass(frozen=True)
class Imported:
    """The rules as the YAML has them, and a problem for each expectation that is none."""

    rules: tuple[Rule, ...]
    left_out: tuple[Problem, ...]


def imported(suite: Suite) -> Imported:
    """The expectations of a suite as rules, in its order; what means nothing here is left out and named, with its line."""
    rules, left_out = [], []
    for item in suite.expectations:
        try:
            rules.append(_own_rule(item) or _rule(item))
        except KeyError as error:
            left_out.append(suite.problem(item.line, f"{item.said}: left out: it has no {error}"))
        except ValueError as error:
            left_out.append(suite.problem(item.line, f"{item.said}: left out: {error}"))
    return Imported(tuple(rules), tuple(left_out))


def _own_rule(item: Expectation) -> Rule | None:
    """The rule that the expectation was made of, where it still says the same; its severity may have been changed."""
    known = item.meta.get(OWN)
    if not isinstance(known, Mapping) or not isinstance(known.get("rule"), dict) or len(known["rule"]) != 1:
        return None
    name, given = next(iter(known["rule"].items()))
    if not isinstance(given, dict):
        return None
    try:
        made = said_by(name, given, given, known.get("types") or {}, known.get("pattern"))
    except (ValueError, KeyError, TypeError):  # what stands there is no rule any more
        return None
    if (made.type, made.kwargs) != (item.type, item.kwargs):
        return None
    kept = {key: value for key, value in given.items() if key != "on_fail"}
    return {name: dict(given) if made.severity == item.severity else {**kept, **_on_fail(item)}}


def _rule(item: Expectation) -> Rule:
    """The rule that means the same; raises ValueError where there is none."""
    for name, value in item.kwargs.items():
        if isinstance(value, dict) and "$PARAMETER" in value:
            raise ValueError(f"its {name} is a parameter, {value['$PARAMETER']}, that the suite does not set")
    where = where_of(item.kwargs)
    plain = {key: value for key, value in item.kwargs.items() if key not in _ASIDE}
    name, options, own_where = rule_of(replace(item, kwargs=plain), float(item.kwargs.get("mostly", 1)))
    conditions = [condition for condition in (where, own_where) if condition]
    if len(conditions) > 1:
        conditions = [" AND ".join(f"({condition})" for condition in conditions)]
    said = {**options, **({"where": conditions[0]} if conditions else {})}
    return {name: {**said, **_on_fail(item)}}


def _on_fail(item: Expectation) -> dict[str, str]:
    """What a failure does, where it is not the default: all severities but `critical` warn."""
    return {} if item.severity == "critical" else {"on_fail": "warn"}
