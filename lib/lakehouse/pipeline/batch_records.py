"""A run's micro-batches: kept with its progress, and carried to `$LAKE/_batches` some at a time, never one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from lakehouse import batch_log, runs
from lakehouse.batch_log import BatchRecord
from lakehouse.batches.batch_rows import Batch, Outcome
from lakehouse.pipeline.progress import Progress
from lakehouse.pipeline.run_state import Run

KEPT = 50  # batches with the progress, which is written whole after each


def with_record(run: Run, kept: Progress, batch: Batch, outcome: Outcome, began: datetime) -> Progress:
    """The progress with a finished batch on record; what is older is carried where enough has come together."""
    if run.plan.read != "incremental" or run.part:
        return kept
    taken = json.dumps(batch.input, default=str) if batch.input else None
    record = BatchRecord(batch.plan.name, batch.run_id, batch.number, began, runs.now(), taken, outcome.counts, {})
    if len(kept.batches) >= KEPT:
        carry(run, kept)
        kept = replace(kept, batches=())
    return replace(kept, batches=(*kept.batches, batch_log.to_value(record)))


def carry(run: Run, kept: Progress) -> None:
    """Adds the batches that are kept to the table, each once, with what Spark has measured of them."""
    if kept.batches:
        measured = {item["batchId"]: item for item in run.measured()}
        records = [batch_log.from_value(value) for value in kept.batches]
        full = [_measured(record, measured.get(record.batch)) for record in records]
        batch_log.append(run.plan.layout, kept.id, full)


def _measured(record: BatchRecord, said: Mapping[str, Any] | None) -> BatchRecord:
    """The record with what Spark's report of the batch says."""
    if said is None:
        return record
    took = said["durationMs"]
    parts = {
        "source_ms": _sum(took, "latestOffset", "getBatch"),
        "plan_ms": took.get("queryPlanning"),
        "write_ms": took.get("addBatch"),
        "log_ms": _sum(took, "walCommit", "commitOffsets", "commitBatch"),
        "total_ms": took.get("triggerExecution"),
    }
    taken = [{"from": source.get("startOffset"), "to": source.get("endOffset")} for source in said["sources"]]
    state: Sequence[Mapping[str, Any]] = said.get("stateOperators", ())
    is_uncounted = any(item["operatorName"] == "dedupeWithinWatermark" for item in state)
    watermark = said.get("eventTime", {}).get("watermark")
    return replace(
        record, taken=json.dumps(taken), parts=parts,
        state_rows=sum(item["numRowsTotal"] for item in state) if state and not is_uncounted else None,
        state_bytes=sum(item["memoryUsedBytes"] for item in state) if state else None,
        watermark=datetime.fromisoformat(watermark) if watermark else None,
    )  # fmt: skip


def _sum(took: Mapping[str, int], *names: str) -> int | None:
    found = [took[name] for name in names if name in took]
    return sum(found) if found else None
