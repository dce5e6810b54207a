"""What the results of rules add up to: trends, a score a dimension, what is unusual, which columns no rule covers."""

from __future__ import annotations

import statistics
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.planning.plan import Plan, RuleStep
from lakehouse.registry import Dimension
from lakehouse.reports import table
from lakehouse.sql_text import mentions

Rows = Sequence[Mapping[str, Any]]
"""Results as `rule_results.read` gives them, the newest run first."""

_FEWEST, _MOST = 5, 30  # earlier runs that tell what is usual
_SPREADS, _TO_DEVIATION = 3, 1.4826  # a median distance of normal values is their deviation / 1.4826
_LEAST = 0.001  # a share that moves by less is not unusual, however steady it was


@dataclass(frozen=True)
class Anomaly:
    """A rule whose share of failures in its last run lies outside of what its earlier runs make usual."""

    table: str
    job: str
    rule: str
    run_id: str
    share: float
    low: float
    high: float
    runs: int


def trends(rows: Rows, limit: int) -> list[dict[str, Any]]:
    """Of each rule its last result and the shares of its last runs, the oldest first."""
    return [
        {**_shown(of_rule[0]), "shares": [row["share"] for row in of_rule[:limit]][::-1]} for of_rule in _by_rule(rows)
    ]


def scores(rows: Rows) -> dict[str, float | None]:
    """By dimension the mean of what its rules let pass in each job's last run, from 0 to 100; None without a rule."""
    last = {row["job"]: row["run_id"] for row in reversed(rows)}
    found: dict[str, float | None] = {}
    for dimension in typing.get_args(Dimension):
        passed = [
            1 - row["share"] for row in rows if row["dimension"] == dimension and row["run_id"] == last[row["job"]]
        ]
        found[dimension] = round(100 * statistics.fmean(passed), 2) if passed else None
    return found


def anomalies(rows: Rows) -> list[Anomaly]:
    """The rules that failed unusually often, or seldom, in their last run.

    Usual is the median of up to 30 earlier runs, of which there must be 5, give or take 3 median absolute deviations
    (scaled by 1.4826 to what a standard deviation is), and at least 0.1 percentage points.
    """
    found = []
    for last, *earlier in _by_rule(rows):
        shares = [row["share"] for row in earlier[:_MOST]]
        if len(shares) < _FEWEST:
            continue
        middle = statistics.median(shares)
        distance = statistics.median(abs(share - middle) for share in shares)
        apart = max(_SPREADS * _TO_DEVIATION * distance, _LEAST)
        if abs(last["share"] - middle) > apart:
            bounds = max(middle - apart, 0.0), min(middle + apart, 1.0)
            found.append(
                Anomaly(last["table"], last["job"], last["rule"], last["run_id"], last["share"], *bounds, len(shares))
            )
    return found


def coverage(plan: Plan) -> dict[str, list[str]]:
    """The job's critical columns, its keys and what its contract requires, each with the rules that ask more than presence."""
    contract = plan.contract
    required = [field.name for field in contract.fields if field.required] if contract else []
    keys = [
        *(contract.keys if contract else []),
        *(name for sink in plan.sinks for name in sink.step.option("keys") or []),
    ]
    return {
        column: [rule.name for rule in plan.rules if rule.step.name != "not_null" and _speaks_of(rule, column)]
        for column in dict.fromkeys([*keys, *required])
    }


def quality_text(name: str, rows: Rows, limit: int, covered: Mapping[str, Sequence[str]]) -> str:
    """The rules of a table as a person reads them."""
    lines = [
        [item["rule"], item["dimension"], item["on_fail"], f"{item['failed']:,}", " ".join(map(_percent, item["shares"])),
         item["value"] or ", ".join(item["sample"][:3])]
        for item in trends(rows, limit)
    ]  # fmt: skip
    runs = len({row["run_id"] for row in rows})
    head = f"{name}: {len(lines)} rules, {runs} runs, the last at {rows[0]['checked_at']:%Y-%m-%d %H:%M:%S}"
    said = ", ".join(f"{key} {'-' if score is None else f'{score:g}'}" for key, score in scores(rows).items())
    names = ["rule", "dimension", "on_fail", "failed", f"share in the last {limit}", "values"]
    return "\n".join([head, table(names, lines), f"score: {said}", *_coverage_lines(covered)])


def anomalies_text(found: Sequence[Anomaly]) -> str:
    """A line a rule that is not as usual."""
    if not found:
        return "no rule left its usual range"
    return "\n".join(
        f"{item.table}  {item.rule}: {_percent(item.share)} failed, usual are {_percent(item.low)} to "
        f"{_percent(item.high)} ({item.runs} runs before {item.run_id})"
        for item in found
    )


def _by_rule(rows: Rows) -> list[list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["job"], row["rule"]), []).append(row)
    return list(found.values())


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "profile"}


def _speaks_of(rule: RuleStep, column: str) -> bool:
    named = {name.lower() for name in rule.columns}
    return column.lower() in named or mentions(str(rule.step.option("sql") or ""), column)


def _coverage_lines(covered: Mapping[str, Sequence[str]]) -> list[str]:
    if not covered:
        return []
    bare = [column for column, rules in covered.items() if not rules]
    said = f"covered: {len(covered) - len(bare)} of {len(covered)} critical columns have a rule beyond not_null"
    return [f"{said}; none: {', '.join(bare)}" if bare else said]


def _percent(share: float) -> str:
    return f"{share:.2%}".replace(".00%", "%")
