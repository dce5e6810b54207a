"""Rows that came after their window had closed: kept in a table of their own, or added to the finished window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse import lake
from lakehouse.batches.batch_rows import Batch
from lakehouse.batches.event_rows import INPUT, PASSING
from lakehouse.batches.event_times import state_of
from lakehouse.commits import CommitInfo
from lakehouse.errors import counted
from lakehouse.event_time import interval
from lakehouse.frames import HIDDEN_PREFIX, col, quoted
from lakehouse.holding import held
from lakehouse.planning.mergeable import merged_measures
from lakehouse.planning.plan import Plan
from lakehouse.registry import length_of
from lakehouse.targets import Settings, Write, Written, aligned, earlier_write, require_commit, save_rows
from lakehouse.upserts import assigned

MISSED = f"{HIDDEN_PREFIX}missed"
"""The ends of the windows that a row came too late for, in microseconds; of a row without windows its own time."""

WATERMARK, WINDOW_START, WINDOW_END, LATE_RUN = "_watermark", "_window_start", "_window_end", "_late_run_id"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def save_late(batch: Batch, rows: DataFrame, watermark: int) -> Written:
    """Keeps the rows that have MISSED something, or adds them to what they missed; once for this batch.

    `watermark`, in milliseconds, is the one that they were behind.
    """
    late = rows.where(F.size(MISSED) > 0)
    mark = F.lit(_EPOCH + timedelta(milliseconds=watermark))
    return _merged(batch, late, mark) if batch.plan.merges_late else _kept(batch, late, mark)


def _kept(batch: Batch, late: DataFrame, mark: Column) -> Written:
    """One row per row and window that it missed, with its columns as they reached the state."""
    plan = batch.plan
    table = plan.late
    before = lake.snapshot(batch.spark, plan.layout.table(table))
    write = Write(batch.spark, plan.layout, batch.commit("late"), Settings(), batch.now)
    info = earlier_write(before, write)
    if info is None:
        parts = [_with_miss(plan, late, name).withColumn(WATERMARK, mark) for name in plan.watermarks]
        found = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), parts)
        found, _ = aligned(found.withColumn(LATE_RUN, F.lit(batch.run_id)), before, write, table)
        info = save_rows(found, before, write, table, mode="append")
    count = info.metrics.get("numOutputRows", 0)
    return Written(table, info.version, count, target_inserted=count)


def _with_miss(plan: Plan, late: DataFrame, name: str) -> DataFrame:
    rows, state = late.where(col(INPUT) == name), state_of(plan)
    if state.name != "window":
        return rows.select(f"{quoted(PASSING + name)}.*")
    size = F.expr(f"interval {interval(length_of(state.option('size')))}")
    end = F.timestamp_micros(col(WINDOW_END))
    return rows.select(f"{quoted(PASSING + name)}.*", F.explode(MISSED).alias(WINDOW_END)).withColumns(
        {WINDOW_START: end - size, WINDOW_END: end}
    )


def _merged(batch: Batch, late: DataFrame, mark: Column) -> Written:
    """One MERGE: each finished window with what the late rows add to it; a window that had no row yet is inserted."""
    plan, state, sink = batch.plan, state_of(batch.plan), batch.plan.sinks[0]
    path, commit = plan.layout.table(sink.target), batch.commit(f"{sink.target}/late")
    before = lake.snapshot(batch.spark, path)
    write = Write(batch.spark, plan.layout, commit, Settings(), batch.now)
    info = earlier_write(before, write)
    if info is None:
        rows = late.select(f"{quoted(PASSING)}.*")
        # of a row that missed one of several windows, the others are not finished
        found, _ = held(state.call(rows, now=batch.now).where(col("window_end") <= mark))
        lake.merge(
            found, path, commit, condition=_same_window(state.option("group_by") or []),
            matched=[("true", {quoted(name): sql for name, sql in merged_measures(state.given["measures"]).items()})],
            not_matched=(None, assigned(found.columns)),
        )  # fmt: skip
        info = require_commit(write, sink.target)
    return _told(sink.target, info)


def _same_window(groups: Sequence[str]) -> str:
    return " AND ".join(
        f"target.{quoted(name)} <=> source.{quoted(name)}" for name in ("window_start", "window_end", *groups)
    )


def _told(table: str, info: CommitInfo) -> Written:
    windows = info.inserted + info.updated
    note = f"late rows were added to {counted(windows, 'finished window')}, {counted(info.inserted, 'of them')} had had no row"
    return Written(
        table, info.version, windows, inserted=info.inserted, updated=info.updated, target_inserted=info.inserted,
        target_updated=info.updated, notes=(note,),
    )  # fmt: skip
