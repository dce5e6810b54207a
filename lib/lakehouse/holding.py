"""Frames worked out once, and counted while they are; what Spark is told where the rows are few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Observation, SparkSession

FEW = 100_000
"""Rows that one core takes in a moment: to plan for them again and again costs more than to take them."""

LITTLE = 2**20
"""Bytes of files that are sooner read by a plan that is interpreted: to compile it takes seconds, of the JVM's too."""

_INTERPRETED = {"spark.sql.codegen.factoryMode": "NO_CODEGEN"}

# Spark derives constraints from each comparison, a set that doubles with every renamed column: minutes of planning
# for a table of a dozen columns, and nothing to gain here.
_CONSTRAINTS = {"spark.sql.constraintPropagation.enabled": "false"}
# What a MERGE is given is held already: Delta would copy it once more.
_PLAIN = {**_CONSTRAINTS, "spark.databricks.delta.merge.materializeSource": "none"}
# Each shuffle would be a Spark job of its own, so that the next one can be planned by what it brought.
_SMALL = {
    **_PLAIN,
    "spark.sql.adaptive.enabled": "false",
    # rows that lie by key already are joined by key and more as they lie
    "spark.sql.requireAllClusterKeysForCoPartition": "false",
    # a broadcast is a job too: what is worth one says so
    "spark.sql.autoBroadcastJoinThreshold": "-1",
}


@contextmanager
def set_for(session: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """The session with these settings, until the block ends."""
    before: dict[str, str | None] = {key: session.conf.get(key, None) for key in settings}
    try:
        for key, value in settings.items():
            session.conf.set(key, value)
        yield
    finally:
        for key, earlier in before.items():
            if earlier is None:
                session.conf.unset(key)
            else:
                session.conf.set(key, earlier)


@contextmanager
def interpreted(session: SparkSession, size: int) -> Iterator[None]:
    """The session without compiled plans where these are all the bytes that are read, and few, until the block ends."""
    with set_for(session, _INTERPRETED if size <= LITTLE else {}):
        yield


@contextmanager
def sized(session: SparkSession, rows: int | None) -> Iterator[None]:
    """Spark as it is best for so many rows (None: any number), until the block ends: few are taken in one plan, in a task a core."""
    if rows is None or rows > FEW:
        with set_for(session, _PLAIN):
            yield
        return
    most = int(session.conf.get("spark.sql.shuffle.partitions") or "200")
    tasks = str(min(most, session.sparkContext.defaultParallelism))
    with set_for(session, {**_SMALL, "spark.sql.shuffle.partitions": tasks}):
        yield


def kept(rows: DataFrame) -> DataFrame:
    """The rows, worked out once and never again: where executors may be lost, by two of them, and one lost takes none away."""
    local = str(rows.sparkSession.sparkContext.master).startswith("local")
    return rows.localCheckpoint(storageLevel=None if local else StorageLevel.MEMORY_AND_DISK_2)


def held(rows: DataFrame, *counted: Column) -> tuple[DataFrame, dict[str, Any]]:
    """The rows, materialised, and these aggregates of them."""
    observed = Observation()
    with set_for(rows.sparkSession, _CONSTRAINTS):
        found = kept(rows.observe(observed, *counted) if counted else rows)
    return found, dict(observed.get) if counted else {}


def together(rows: DataFrame, number: int) -> DataFrame:
    """The rows of one task where there are few (`number`, 0: any number): each task that writes leaves a file."""
    return rows.coalesce(1) if 0 < number <= FEW else rows
