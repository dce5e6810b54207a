"""What a report tells, read from the lake without Spark: a run, those before it, its rules, its broken rows, its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lakehouse import rule_results, runs
from lakehouse.errors import ConfigError, DataError, did_you_mean
from lakehouse.planning.plan import Plan
from lakehouse.quarantine import tables
from lakehouse.run_report.personal import policy_of, shown_row
from lakehouse.runs import RunRecord
from lakehouse.tables import Layout, is_table_name

RUNS = 30
"""How many runs of the job a trend shows."""
SAMPLES = 20
"""How many broken rows are shown."""
VERSIONS = 10
"""How many versions of a table are shown."""


@dataclass(frozen=True)
class BrokenRow:
    """A quarantined row: why, where it came from, and its columns as they may be shown; None where none may."""

    id: str
    status: str
    reasons: tuple[Mapping[str, Any], ...]
    source: str | None
    columns: tuple[tuple[str, Any], ...] | None


@dataclass(frozen=True)
class Version:
    """A commit of a table: when (UTC), what, the rows it wrote, and whether the run of the report made it."""

    number: int
    at: datetime
    operation: str
    rows: str
    of_run: bool


@dataclass(frozen=True)
class History:
    """The last versions of a table, the newest first; or why its log cannot be read."""

    table: str
    versions: tuple[Version, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class RunReport:
    """All that the page says of `record`; `past` are the last runs of its job up to it, the oldest first.

    `rules` are the run's rows of `_quality`, `trends` the share that broke each rule in the runs up to it.
    """

    record: RunRecord
    past: tuple[RunRecord, ...] = ()
    rules: tuple[Mapping[str, Any], ...] = ()
    trends: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    broken: tuple[BrokenRow, ...] = ()
    quarantine: str | None = None
    histories: tuple[History, ...] = ()


def find_run(layout: Layout, wanted: str | None) -> tuple[RunRecord, list[RunRecord]]:
    """The newest run, or that of a job, or the one whose id begins so; and all runs of its job, newest first.

    Raises DataError where no run was recorded yet, ConfigError where none or several are meant.
    """
    records = runs.read(layout)
    if not records:
        raise DataError(f"no runs in {layout.runs} yet; `lakehouse run JOB` makes one")
    jobs = {record.job for record in records}
    if wanted is None:
        chosen = records[0]
    elif wanted in jobs:
        chosen = next(record for record in records if record.job == wanted)
    else:
        chosen = _by_id(records, wanted, jobs)
    return chosen, [record for record in records if record.job == chosen.job]


def read_report(layout: Layout, record: RunRecord, of_job: Sequence[RunRecord], plan: Plan | None) -> RunReport:
    """What the lake knows of the run; `of_job` are the runs of its job, newest first; without its `plan` no value of a
    broken row is shown.
    """
    past = [run for run in reversed(of_job) if run.started <= record.started][-RUNS:]
    results = rule_results.of_job(layout, record.job, until=record.started)
    rules = tuple(row for row in results if row["run_id"] == record.run_id)
    trends = {
        rule["rule"]: tuple(row["share"] for row in results if row["rule"] == rule["rule"])[-RUNS:] for rule in rules
    }
    quarantine, broken = _broken_rows(layout, record, plan)
    outputs = [item.name for item in record.outputs] or (plan.outputs if plan else [])
    histories = tuple(found for name in outputs if (found := _history(layout, name, record.run_id)) is not None)
    return RunReport(record, tuple(past), rules, trends, broken, quarantine, histories)


def _broken_rows(layout: Layout, record: RunRecord, plan: Plan | None) -> tuple[str | None, tuple[BrokenRow, ...]]:
    """The quarantine's name, and the first of the rows that the run put there."""
    if not record.rows_quarantined:
        return None, ()
    policy = None if plan is None else policy_of(plan)
    sql = f"SELECT * FROM t WHERE run_id = {runs.literal(record.run_id)} ORDER BY id LIMIT {SAMPLES}"
    for table in [plan.quarantine] if plan else tables(layout):
        rows = runs.query(layout.table(table), layout.root, sql)
        if rows:
            return table, tuple(
                BrokenRow(row["id"], row["status"], tuple(row["reasons"] or ()), row["source"],
                          None if policy is None else shown_row(row["row"], policy))
                for row in rows
            )  # fmt: skip
    return plan.quarantine if plan else None, ()


def _history(layout: Layout, name: str, run_id: str) -> History | None:
    """The last versions of an output; None where it is no table, or there is none."""
    from deltalake.exceptions import DeltaError

    try:
        opened = runs.open_table(layout.table(name), layout.root) if is_table_name(name) else None
        return (
            None
            if opened is None
            else History(name, tuple(_version(entry, run_id) for entry in opened.history(VERSIONS)))
        )
    except DeltaError as error:  # what else is known of the run is worth telling
        return History(name, problem=str(error).split("\n")[0])


def _version(entry: Mapping[str, Any], run_id: str) -> Version:
    at = datetime.fromtimestamp(entry.get("timestamp", 0) / 1000, UTC)
    metrics = {name: int(value) for name, value in _metrics(entry).items() if str(value).isdigit()}
    ours = run_id in str(entry.get("userMetadata") or "")
    return Version(int(entry["version"]), at, str(entry.get("operation", "")), _rows(metrics), ours)


def _metrics(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    found = entry.get("operationMetrics")
    return found if isinstance(found, dict) else {}


def _rows(metrics: Mapping[str, int]) -> str:
    """What a commit did to rows, in words: a MERGE by what it caused, another write by what it wrote."""
    words = {"Inserted": "inserted", "Updated": "updated", "Deleted": "deleted"}
    merged = [(metrics.get(f"numTargetRows{name}", 0), word) for name, word in words.items()]
    found = [f"{rows:,} {word}" for rows, word in merged if rows]
    if found or "numTargetRowsInserted" in metrics:
        return ", ".join(found) or "none"
    plain = [(metrics.get("numOutputRows"), "written"), (metrics.get("numDeletedRows"), "deleted")]
    return ", ".join(f"{rows:,} {word}" for rows, word in plain if rows is not None)


def _by_id(records: Sequence[RunRecord], start: str, jobs: set[str]) -> RunRecord:
    found = [record for record in records if record.run_id.startswith(start)]
    if not found:
        raise ConfigError(f"no run's id begins with '{start}', and no job of this name ran.{did_you_mean(start, jobs)}")
    if len(found) > 1:
        raise ConfigError(
            f"'{start}' begins the ids of {len(found):,} runs; give more of it, such as {found[0].run_id}"
        )
    return found[0]
