"""The quarantine: one row per broken row, as it came, with all reasons; and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse import lake
from lakehouse.frames import ORIGIN, REASONS, ROW, col
from lakehouse.planning.plan import Plan
from lakehouse.runs import query
from lakehouse.storage import folders
from lakehouse.tables import QUARANTINE_SUFFIX, Layout
from lakehouse.targets import Settings, Write, Written, earlier_write, save_rows


def write(
    broken: DataFrame, spark: SparkSession, plan: Plan, commit: lake.Commit, run_id: str, now: datetime
) -> Written:
    """Adds the broken rows, once for this identity; of a source that is read in full each time, those not there yet.

    `id` depends on job, batch (where reads are incremental), source and row alone: a repeat gives the same ids.
    """
    table = plan.quarantine
    before = lake.snapshot(spark, plan.layout.table(table))
    target = Write(spark, plan.layout, commit, Settings(), now)
    info = earlier_write(before, target)
    if info is None:
        rows = _rows(broken, plan.name, None if plan.read == "full" else commit.batch, run_id, now)
        if plan.read == "full" and before is not None:
            rows = rows.join(lake.read(spark, before.path, version=before.version).select("id"), "id", "left_anti")
        info = save_rows(rows, before, target, table, mode="append")
    return Written(
        table, info.version, info.metrics.get("numOutputRows", 0), target_inserted=info.metrics.get("numOutputRows", 0)
    )


def withdraw(spark: SparkSession, plan: Plan, run_ids: Sequence[str]) -> None:
    """Takes out what refused runs left: their batch is about to be judged again."""
    before = lake.snapshot(spark, plan.layout.table(plan.quarantine))
    if before is None or not run_ids:
        return
    listed = ", ".join(f"'{run_id}'" for run_id in run_ids)
    lake.delete_where(
        spark, before.path, f"run_id IN ({listed})", lake.Commit(f"{plan.name}/withdraw/{run_ids[-1]}", 0)
    )


def _rows(broken: DataFrame, job: str, batch: int | None, run_id: str, now: datetime) -> DataFrame:
    # equal rows of one source are numbered, so that each has an id of its own
    same = F.row_number().over(Window.partitionBy(ROW, ORIGIN).orderBy(F.lit(1))).cast("string")
    identity = F.to_json(F.array(F.lit(job), F.lit("" if batch is None else str(batch)), col(ORIGIN), col(ROW), same))
    return broken.select(
        F.substring(F.sha2(identity, 256), 1, 32).alias("id"),
        col(ROW).alias("row"),
        col(REASONS).alias("reasons"),
        F.lit(run_id).alias("run_id"),
        col(ORIGIN).alias("source"),
        F.lit(now).alias("first_seen"),
        F.lit("open").alias("status"),
    )


def rows(layout: Layout, table: str) -> list[dict[str, Any]]:
    """The quarantined rows of a table (or of a quarantine by its own name), newest first; read without Spark."""
    name = table if table.endswith(QUARANTINE_SUFFIX) else f"{table}{QUARANTINE_SUFFIX}"
    return query(layout.table(name), layout.root, "SELECT * FROM t ORDER BY first_seen DESC, id")


def tables(layout: Layout) -> list[str]:
    """Every quarantine of the lake, by name."""
    return sorted(
        f"{layer}.{name}"
        for layer in ("bronze", "silver", "gold")
        for name in folders(layout.join(layer))
        if name.endswith(QUARANTINE_SUFFIX)
    )
