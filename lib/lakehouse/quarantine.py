"""The quarantine: one row per broken row, as it came, with all reasons and what became of it; and how it is read.

`row` is the row as it came and stays so: what it should have been is in `mended`. `schema` is what the source's frame
looked like, so that the row can take the job's path again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse import lake
from lakehouse.commits import Commit
from lakehouse.frames import ORIGIN, REASONS, ROW, col
from lakehouse.planning.plan import Plan
from lakehouse.runs import query
from lakehouse.storage import folders
from lakehouse.tables import QUARANTINE_SUFFIX, Layout
from lakehouse.targets import Settings, Write, Written, earlier_write, save_rows
from lakehouse.upserts import assigned

OPEN, REPLAYED, DISCARDED = "open", "replayed", "discarded"
DECISIONS = ("mended", "decided_by", "decided_at", "why", "replayed_in")
"""What people say of a row: its mended JSON, who, when (UTC), why, and the run of its last replay."""

READABLE = "readable_file"
"""The rule that a file breaks which cannot be read at all."""

FILE_SCHEMA = json.dumps({"type": "struct", "fields": [
    {"name": "file", "type": "string", "nullable": True, "metadata": {}},
    {"name": "bytes", "type": "long", "nullable": True, "metadata": {}},
]})  # fmt: skip
"""The `schema` of a row that is no row of the source's but a whole file."""

# rows are marked by commands that start no Spark, and those write no deletion vectors
_SETTINGS = Settings(table_properties={"delta.enableDeletionVectors": "false"})


def write(
    broken: DataFrame, spark: SparkSession, plan: Plan, commit: Commit, run_id: str, now: datetime, schema: str
) -> Written:
    """Adds the broken rows, once for this identity; of a source that is read in full each time, those not there yet.

    `id` depends on job, batch (where reads are incremental), source and row alone: a repeat gives the same ids.
    """
    table = plan.quarantine
    before = lake.snapshot(spark, plan.layout.table(table))
    target = Write(spark, plan.layout, commit, _SETTINGS, now)
    info = earlier_write(before, target)
    if info is None:
        rows = _rows(broken, plan.name, None if plan.read == "full" else commit.batch, run_id, now, schema)
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
    lake.delete_where(spark, before.path, f"run_id IN ({listed})", Commit(f"{plan.name}/withdraw/{run_ids[-1]}", 0))


def settle(ids: DataFrame, broken: DataFrame | None, spark: SparkSession, plan: Plan, commit: Commit) -> Written:
    """Marks the replayed rows (`id`), once for this identity: those that are `broken` again stay open, with their new
    reasons; `broken` has ORIGIN (the id) and REASONS, and is None where no row is.
    """
    said: Mapping[str, Any] = commit.note["input"]
    when = F.lit(said["at"]).cast("timestamp")
    decided = {"replayed_in": F.lit(commit.note["run_id"]), "decided_by": F.lit(said["by"]), "decided_at": when}
    if said["why"] is not None:
        decided["why"] = F.lit(said["why"])
    source = ids.withColumns(decided)
    if broken is not None:
        source = source.join(_reasons_by_id(broken), on="id", how="left")
    matched: list[tuple[str, Mapping[str, str]]] = [("true", {**assigned(decided), "status": f"'{REPLAYED}'"})]
    if broken is not None:
        matched.insert(0, ("source.reasons IS NOT NULL", assigned([*decided, "reasons"])))
    path = plan.layout.table(plan.quarantine)
    lake.merge(source, path, commit, condition="target.id = source.id", matched=matched)
    after = lake.snapshot(spark, path)
    return Written(plan.quarantine, after.version if after else None, 0)


def _reasons_by_id(broken: DataFrame) -> DataFrame:
    return broken.groupBy(col(ORIGIN).alias("id")).agg(F.flatten(F.collect_list(REASONS)).alias("reasons"))


def _rows(broken: DataFrame, job: str, batch: int | None, run_id: str, now: datetime, schema: str) -> DataFrame:
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
        F.lit(OPEN).alias("status"),
        F.lit(job).alias("job"),
        F.lit(schema).alias("schema"),
        *[F.lit(None).cast("timestamp" if name == "decided_at" else "string").alias(name) for name in DECISIONS],
    )


def named(table: str) -> str:
    """The quarantine's name, by its own or its table's."""
    return table if table.endswith(QUARANTINE_SUFFIX) else f"{table}{QUARANTINE_SUFFIX}"


def rows(layout: Layout, table: str, condition: str = "true") -> list[dict[str, Any]]:
    """The rows of a quarantine for which the SQL is true, newest first, those of a file in one order; read without Spark."""
    return query(
        layout.table(table), layout.root, f"SELECT * FROM t WHERE {condition} ORDER BY first_seen DESC, source, row, id"
    )


def tables(layout: Layout) -> list[str]:
    """Every quarantine of the lake, by name."""
    return sorted(
        f"{layer}.{name}"
        for layer in ("bronze", "silver", "gold")
        for name in folders(layout.join(layer))
        if name.endswith(QUARANTINE_SUFFIX)
    )
