"""What Python code calls: run a job, read a table."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from lakehouse.config.project_files import conf_folder, find_job, project_root
from lakehouse.ending import Ending
from lakehouse.errors import ConfigError, DataError, Problem
from lakehouse.lease import held
from lakehouse.planning.graph import ordered
from lakehouse.planning.plan import Plan
from lakehouse.planning.planner import plan_job
from lakehouse.planning.shared_tables import require_all_writers
from lakehouse.storage import is_small, require_reachable
from lakehouse.tables import Layout, is_table_name, resolved

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse.runs import RunRecord

# What is short: a JVM that compiles for seconds costs a job of minutes half as much again.
_FEW_JOBS = 3
_SMALL = 64 * 2**20


def run(job: str | Path, spark: SparkSession | None = None, lake: str | None = None, *, env: str | None = None,
        full_refresh: bool = False, accept_loss: bool = False, once: bool = False, timeout: float | None = None) -> RunRecord:  # fmt: skip
    """Runs the job of a YAML file (or of a name in the nearest `conf/`) and returns its run record.

    In the session given, else the running one, else a new one; in `lake`, else `$LAKE`, else the project's `lake/`.
    `once` ends a stream when nothing new is there, `timeout` (seconds) before the next micro-batch.
    Raises a LakehouseError: ConfigError, DataError, SinkError, BusyError.
    """
    file = find_job(str(job), Path.cwd())
    plan = plan_job(file, lake=lake_root(file, lake), env=env)
    if full_refresh:
        require_all_writers([plan], env)
    require_reachable(plan.layout.root)
    with held(plan.layout, lease_names([plan])):
        from lakehouse.pipeline.run import run_plan
        from lakehouse.session import get_spark

        spark = spark or get_spark(plan.name, short=are_short([plan]))
        ending = ending_of(plan, once=once, timeout=timeout)
        return run_plan(plan, spark, ending, full_refresh=full_refresh, accept_loss=accept_loss)


def read_table(name: str, version: int | None = None, timestamp: str | None = None, as_of: object = None, *,
               spark: SparkSession | None = None, lake: str | None = None) -> DataFrame:  # fmt: skip
    """The rows of the table `layer.name`, now, or at a version or a time of its Delta log.

    `as_of` is on a history's own time, in the type of its bounds (their first column, where there are several): the
    rows that were valid then, one per key. Raises ConfigError for a wrong name or an `as_of` that is no such time,
    DataError where there is no such table, or it is no history.
    """
    if not is_table_name(name):
        raise ConfigError(f"'{name}' is no table's name; it is layer.table, such as silver.orders")
    from lakehouse import lake as tables
    from lakehouse.change_data.event_log import meaning_of
    from lakehouse.intervals import rows_at
    from lakehouse.session import get_spark

    spark = spark or get_spark()
    where = layout(lake)
    path = where.table(name)
    if tables.snapshot(spark, path) is None:
        raise DataError(f"there is no table {name} at {path}")
    rows = tables.read(spark, path, version, timestamp)
    return rows if as_of is None else rows_at(rows, as_of, name, meaning_of(where, name) or {})


def ending_of(plan: Plan, *, once: bool = False, timeout: float | None = None, told: Event | None = None) -> Ending:
    """When a run of the job ends: by its own limits, after `timeout` seconds, or when it is `told` to."""
    stream = plan.job.config.stream
    deadline = None if timeout is None else time.monotonic() + timeout
    return Ending(plan.layout, plan.name, told or Event(), deadline, stream.max_batches if stream else None, once)


def lake_root(file: Path, lake: str | None = None) -> str:
    """The lake's root: as given, else `$LAKE`, else `lake/` in the project of a YAML file."""
    root = project_root(file)
    return resolved(str(lake or os.environ.get("LAKE") or "lake"), Path.cwd() if lake else root)


def layout(lake: str | None = None) -> Layout:
    """The lake that is meant here, or the one given."""
    return Layout(lake_root(conf_or_cwd() / "job.yml", lake))


def conf_or_cwd() -> Path:
    """The nearest `conf/`, else the working directory."""
    try:
        return conf_folder(Path.cwd())
    except ConfigError:
        return Path.cwd()


def planned(files: Sequence[Path], env: str | None) -> list[Plan]:
    """The jobs of these files in run order; raises ConfigError with the problems of all of them at once."""
    plans: list[Plan] = []
    problems: list[Problem] = []
    for file in files:
        try:
            plans.append(plan_job(file, lake=lake_root(file), env=env))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return ordered(plans)


def known_plans(files: Iterable[Path], env: str | None) -> list[Plan]:
    """The jobs of these files that can be planned, by name; the others are another command's business."""
    found = []
    for file in files:
        with suppress(ConfigError):
            found.append(plan_job(file, lake=lake_root(file), env=env))
    return sorted(found, key=lambda plan: plan.name)


def lease_names(plans: list[Plan]) -> list[str]:
    """What a run of these jobs must own alone: each job and each table that it writes."""
    return [name for plan in plans for name in (f"job-{plan.name}", *plan.outputs, *plan.asides)]


def are_short(plans: list[Plan]) -> bool:
    """True for a few jobs that can read little: what they cost is the start and the planning, not the rows."""
    return len(plans) <= _FEW_JOBS and is_small(dict.fromkeys(place for plan in plans for place in _read(plan)), _SMALL)


def _read(plan: Plan) -> list[str]:
    """The places that a job reads; a table that is still to be made holds nothing yet."""
    tables = [plan.layout.table(name) for name in plan.inputs]
    path = plan.source.option("path")
    return [*tables, resolved(str(path), plan.job.root)] if path else tables
