"""What a run is doing at this moment, for a terminal: rows, rows a second, and about how long it will still take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from lakehouse.errors import LakehouseError
from lakehouse.html_pages.figures import duration
from lakehouse.pipeline.pending_input import last_success, pending_input
from lakehouse.planning.plan import Plan

_LONG, _LOOK = 3.0, 1.0  # seconds: shorter work needs no words; between two looks


@dataclass(frozen=True)
class Work:
    """Spark's work for one run so far: the most rows that one of its stages has read, and the tasks of those under way."""

    rows: int = 0
    tasks: int = 0
    done: int = 0


@contextmanager
def watched(plan: Plan, spark: SparkSession, say: Callable[[str], None]) -> Iterator[None]:
    """Says now and then what the Spark jobs of this thread have done, until the block is left."""
    group, ended, began = f"lakehouse {plan.name}", threading.Event(), time.monotonic()
    spark.sparkContext.setJobGroup(group, plan.name)

    def look() -> None:
        if ended.wait(_LONG):
            return
        expected = expected_seconds(plan)
        while not ended.wait(_LOOK):
            with suppress(Py4JError):  # a stage that ended between two questions
                say(work_text(work_of(spark, group), time.monotonic() - began, expected))

    thread = threading.Thread(target=look, daemon=True, name=f"progress of {plan.name}")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_LOOK)


def work_text(work: Work, seconds: float, expected: float | None) -> str:
    """`1,200,000 rows, 40,000 rows/s, about 12 s left`; nothing of what is not known.

    What is left is told by how long the last run took for as many rows, where there was one, else by Spark's tasks.
    """
    parts = []
    if work.rows:
        parts += [f"{work.rows:,} rows", f"{work.rows / seconds:,.0f} rows/s"]
    by_tasks = seconds * (work.tasks - work.done) / work.done if work.done and work.tasks > work.done else None
    left = expected - seconds if expected is not None and expected > seconds else by_tasks
    if left is not None and left >= 1:
        parts.append(f"about {duration(round(left))} left")
    elif work.tasks:
        parts.append(f"{work.done} of {work.tasks} tasks")
    return ", ".join(parts)


def expected_seconds(plan: Plan) -> float | None:
    """How long the run should take, by the last one and the rows to be read; None where nothing says it."""
    try:
        last = last_success(plan)
        if last is None or not last.rows_read:
            return None
        rows = pending_input(plan, last, asks=False)[0].rows
    except (LakehouseError, IndexError):
        return None
    return None if rows is None else last.seconds * max(1.0, rows / last.rows_read)


def work_of(spark: SparkSession, group: str) -> Work:
    """The work of a job group's stages, ended and under way."""
    tracker, jvm = spark.sparkContext.statusTracker(), spark.sparkContext._jsc.sc()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    stages = [_stage(jvm.statusStore(), stage) for job in jobs if job is not None for stage in job.stageIds]
    known = [stage for stage in stages if stage is not None]
    active = [stage for stage in known if str(stage.status()) == "ACTIVE"]
    return Work(
        max((int(stage.inputRecords()) for stage in known), default=0),
        sum(int(stage.numTasks()) for stage in active),
        sum(int(stage.numCompleteTasks()) for stage in active),
    )


def _stage(store: Any, stage: int) -> Any:
    """What Spark knows of a stage; None for one that was not needed."""
    try:
        return store.lastStageAttempt(stage)
    except Py4JError:
        return None
