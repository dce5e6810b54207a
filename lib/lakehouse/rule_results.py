"""What each rule said in each run: `$LAKE/_quality`, one row a run and rule, written and read without Spark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from lakehouse.runs import add_rows, literal, query
from lakehouse.tables import Layout

SAMPLE = 5
"""How many failing values are kept of a rule and run."""
_BASELINE = 5  # runs whose profiles a rule is told


@dataclass(frozen=True)
class RuleResult:
    """What a rule said of a run's rows so far: of a rule on the whole batch `passed` and `failed` count batches.

    `sample` holds failing values as text, `value` and `limit` the figure of a rule on the whole batch and what it was
    held against, `profile` what later runs are compared with (JSON).
    """

    rule: str
    column: str | None
    dimension: str
    on_fail: str
    passed: int
    failed: int
    sample: tuple[str, ...] = ()
    value: str | None = None
    limit: str | None = None
    profile: str | None = None


@dataclass(frozen=True)
class Checked:
    """The run that results belong to; `accepted`: its rows reached the target."""

    run_id: str
    job: str
    table: str
    checked_at: datetime
    accepted: bool


def added(before: Iterable[RuleResult], more: Iterable[RuleResult]) -> tuple[RuleResult, ...]:
    """The results of a run with those of a further batch: rows add up, figures are the last ones."""
    found = {item.rule: item for item in before}
    for item in more:
        known = found.get(item.rule)
        found[item.rule] = item if known is None else _sum(known, item)
    return tuple(found.values())


def _sum(before: RuleResult, after: RuleResult) -> RuleResult:
    sample = tuple(dict.fromkeys((*before.sample, *after.sample)))[:SAMPLE]
    value = after.value if after.value is not None else before.value
    return replace(
        after, passed=before.passed + after.passed, failed=before.failed + after.failed, sample=sample, value=value,
        limit=after.limit or before.limit, profile=after.profile or before.profile,
    )  # fmt: skip


def to_values(results: Iterable[RuleResult]) -> tuple[dict[str, Any], ...]:
    """The results as JSON's values."""
    return tuple(asdict(item) for item in results)


def from_values(values: Iterable[Mapping[str, Any]]) -> tuple[RuleResult, ...]:
    """The results of `to_values`."""
    return tuple(RuleResult(**{**item, "sample": tuple(item["sample"])}) for item in values)


def append(layout: Layout, run: Checked, results: Sequence[RuleResult], *, once: bool = False) -> None:
    """Adds a run's results; with `once` none where the run has some already. Raises SinkError."""
    if results and not (once and _has(layout, run.run_id)):
        add_rows(layout.quality, layout.root, [_row(run, item) for item in results], _schema())


def read(layout: Layout, table: str | None = None) -> list[dict[str, Any]]:
    """The rows of a table's rules (or a job's), the newest run first; of all without one."""
    rows = query(layout.quality, layout.root, "SELECT * FROM t ORDER BY checked_at DESC, run_id, rule")
    return [row for row in rows if table is None or table in (row["job"], *row["table"].split(", "))]


def of_job(layout: Layout, job: str, *, until: datetime) -> list[dict[str, Any]]:
    """The rows of a job's runs that began no later than a time, the oldest run first."""
    rows = query(
        layout.quality, layout.root, f"SELECT * FROM t WHERE job = {literal(job)} ORDER BY checked_at, run_id, rule"
    )
    return [row for row in rows if row["checked_at"] <= until]


def profiles(layout: Layout, job: str, rule: str, *, before: datetime) -> list[Any]:
    """What a rule kept of the last accepted runs that began before a time, the newest first."""
    rows = query(
        layout.quality,
        layout.root,
        f"SELECT profile, checked_at FROM t WHERE job = {literal(job)} AND rule = {literal(rule)} AND accepted AND profile IS NOT NULL "
        "ORDER BY checked_at DESC",
    )
    return [json.loads(row["profile"]) for row in rows if row["checked_at"] < before][:_BASELINE]


def _has(layout: Layout, run_id: str) -> bool:
    found = query(layout.quality, layout.root, f"SELECT run_id FROM t WHERE run_id = '{run_id}' LIMIT 1")
    return bool(found)


def _row(run: Checked, item: RuleResult) -> dict[str, Any]:
    total = item.passed + item.failed
    share = item.failed / total if total else 0.0
    return {**asdict(run), **asdict(item), "sample": list(item.sample), "share": share}


def _schema() -> Any:
    import pyarrow as pa

    moment, count, text = pa.timestamp("us", tz="UTC"), pa.int64(), pa.string()
    return pa.schema([
        ("run_id", text), ("job", text), ("table", text), ("rule", text), ("column", text), ("dimension", text),
        ("on_fail", text), ("passed", count), ("failed", count), ("share", pa.float64()), ("sample", pa.list_(text)),
        ("value", text), ("limit", text), ("accepted", pa.bool_()), ("checked_at", moment), ("profile", text),
    ])  # fmt: skip
