"""What each micro-batch took, did and cost: `$LAKE/_batches`, one row a batch, written and read without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from lakehouse.runs import COUNTS, add_rows, literal, query, taken
from lakehouse.tables import Layout

PARTS = ("source_ms", "plan_ms", "write_ms", "log_ms", "total_ms")
"""Of what Spark measured of a batch: finding its input, planning, the job's own work, the stream's log, all of it."""


@dataclass(frozen=True)
class BatchRecord:
    """One micro-batch: `taken` is its offsets, versions or files as JSON, `counts` as in the run record.

    What Spark measures of a stream's batch is None where Spark did not stream, or died before it said so: `PARTS` in
    milliseconds, the rows and bytes of state after the batch, the watermark (UTC) that it filtered with.
    """

    job: str
    run_id: str
    batch: int
    started: datetime
    ended: datetime
    taken: str | None
    counts: Mapping[str, int]
    parts: Mapping[str, int | None]
    state_rows: int | None = None
    state_bytes: int | None = None
    watermark: datetime | None = None


def to_value(record: BatchRecord) -> dict[str, Any]:
    """The record as JSON's values."""
    moments = {name: getattr(record, name) for name in ("started", "ended", "watermark")}
    return asdict(record) | {name: moment and moment.isoformat() for name, moment in moments.items()}


def from_value(value: Mapping[str, Any]) -> BatchRecord:
    """The record of `to_value`."""
    moments = {name: value[name] and datetime.fromisoformat(value[name]) for name in ("started", "ended", "watermark")}
    return BatchRecord(**{**value, **moments})


def append(layout: Layout, checkpoint: str, records: Sequence[BatchRecord]) -> None:
    """Adds the batches of a job's checkpoint, each once however often it is called. Raises SinkError."""
    if not records:
        return
    owner, last = f"{checkpoint}/_batches", max(record.batch for record in records)
    known = taken(layout.batches, layout.root, owner)
    rows = [row_of(record) for record in records if known is None or record.batch > known]
    if rows:
        add_rows(layout.batches, layout.root, rows, _schema(), once=(owner, last))


def read(layout: Layout, job: str) -> list[dict[str, Any]]:
    """The rows of a job's batches, the newest first."""
    return query(
        layout.batches, layout.root, f"SELECT * FROM t WHERE job = {literal(job)} ORDER BY started DESC, batch DESC"
    )


def row_of(record: BatchRecord) -> dict[str, Any]:
    """The record as a row of the table."""
    row = asdict(record)
    counts, parts = row.pop("counts"), row.pop("parts")
    return row | {name: counts.get(name, 0) for name in COUNTS} | {name: parts.get(name) for name in PARTS}


def _schema() -> Any:
    import pyarrow as pa

    moment, count, text = pa.timestamp("us", tz="UTC"), pa.int64(), pa.string()
    return pa.schema([
        ("job", text), ("run_id", text), ("batch", count), ("started", moment), ("ended", moment), ("taken", text),
        *[(name, count) for name in (*COUNTS, *PARTS, "state_rows", "state_bytes")], ("watermark", moment),
    ])  # fmt: skip
