"""One test of a job: what is given is put there, the job is run in its way, and what is there then can be looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import api, runs
from lakehouse.config.job_tests import CrashAt, JobTest, Way
from lakehouse.errors import Interrupted, LakehouseError
from lakehouse.lease import held
from lakehouse.planning.plan import Plan
from lakehouse.planning.planner import plan_job
from lakehouse.testing.differences import Different
from lakehouse.testing.faults import Fault, crash_at, silent_bridge
from lakehouse.testing.given_events import own_topics
from lakehouse.testing.giving import Ground, in_order, types_of
from lakehouse.testing.lakes import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Found:
    """What is there after the last run: its error if it failed, and where to look for the rest."""

    plan: Plan
    lake: Lake
    error: str | None
    called: Mapping[str, str]
    """What a name or a place of the test's own is called in the project."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table's rows, with paths and topics as the project has them."""
        return [_everywhere(row, self.called) for row in self.lake.rows(table)]

    def quarantine(self) -> list[dict[str, Any]]:
        """The broken rows: `row` as it came, and the names of the rules as `reasons`."""
        return [
            {"row": json.loads(item["row"]), "reasons": sorted({reason["rule"] for reason in item["reasons"]})}
            for item in self.rows(self.plan.quarantine)
        ]

    def counts(self) -> dict[str, int]:
        """The counts of all runs together."""
        records = runs.read(self.lake.layout, self.plan.name)
        return {name: runs.total(records, name) for name in runs.COUNTS}


def place_for(project: Path, folder: Path) -> None:
    """Makes a folder a project of the same jobs, contracts and scripts, with no data and no lake."""
    for name in ("conf", "jobs"):
        if (project / name).is_dir():
            (folder / name).symlink_to(project / name, target_is_directory=True)


def run_test(test: JobTest, way: Way, job: Path, env: str | None, spark: SparkSession) -> Found:
    """Runs the job of a placed project (see `place_for`) as a test says; raises Different where a run failed unexpectedly,
    or a fault did not hit, ConfigError where what is given does not fit the job.
    """
    root = job.parents[1]
    lake = Lake(root / "lake", spark)
    with own_topics(plan_job(job, lake=str(lake.root), env=env)) as (plan, topics):
        called = {f"{root}/": "", **{own: topic for topic, own in topics.items()}}
        ground = Ground(plan, lake, types_of(test.batches), topics)
        error = _everywhere(_run_batches(test, way, ground), called)
    return Found(plan, lake, error, called)


def _run_batches(test: JobTest, way: Way, ground: Ground) -> str | None:
    """Runs the job batch after batch; the message of the last run, where that failed and was to."""
    plan, spark = ground.plan, ground.lake.spark
    batches = in_order(test, way, plan)
    hits, error = 0, None
    for number, given in enumerate(batches):
        ground.put(given)
        if isinstance(way, CrashAt):
            hits += _dies(plan, way, spark)
        for _ in range(2 if way == "rerun" else 1):
            error = _run(plan, spark)
            if error is not None and (number + 1 < len(batches) or test.expect is None or test.expect.error is None):
                raise Different(f"{plan.name} failed: {_everywhere(error, {f'{plan.job.root}/': ''})}")
    if isinstance(way, CrashAt) and not hits:
        raise Different(f"{plan.name} never came to '{way.crash_at}': a fault that does not hit proves nothing")
    return error


def _run(plan: Plan, spark: SparkSession, fault: Fault | None = None) -> str | None:
    """Runs the job until nothing new is there; the message of its failure, None where it succeeds or dies of the fault.

    Raises KeyboardInterrupt where it was the user who interrupted it.
    """
    from lakehouse.pipeline.run import run_plan

    try:
        with silent_bridge(), held(plan.layout, api.lease_names([plan])):
            run_plan(plan, spark, api.ending_of(plan, once=True))
    except Interrupted as error:
        if fault is None or not fault.hit:
            raise KeyboardInterrupt from error
    except LakehouseError as error:
        return str(error)
    return None


def _dies(plan: Plan, way: CrashAt, spark: SparkSession) -> int:
    with crash_at(way.crash_at, plan.name) as fault:
        _run(plan, spark, fault)
    return int(fault.hit)


def _everywhere(value: Any, called: Mapping[str, str]) -> Any:
    """Each text in a value with the project's own names and places."""
    if isinstance(value, dict):
        return {name: _everywhere(item, called) for name, item in value.items()}
    if isinstance(value, list):
        return [_everywhere(item, called) for item in value]
    if isinstance(value, str):
        for own, name in called.items():
            value = value.replace(own, name)
    return value
