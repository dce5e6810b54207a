"""Files that cannot be read at all: one row each in the quarantine, beside the broken rows of the files that can.

A pin names them under `bad`, each with its reason, so that a repeat of the batch leaves out the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lakehouse import lake, quarantine
from lakehouse.batches.batch_rows import Batch, Outcome
from lakehouse.errors import counted
from lakehouse.frames import ORIGIN, REASON_TYPE, REASONS, ROW
from lakehouse.landing.taken import Taken, from_row
from lakehouse.quarantine import FILE_SCHEMA

FILES = ("files", "same", "bad")
"""What a pin names of files: to be read, known by their content, and not to be read."""

_STEP = "quarantine/files"
_SHOWN = 5


def reads_any(pin: Mapping[str, Any]) -> bool:
    """False for a batch whose files are all set aside."""
    return bool(pin.get("files")) or not (pin.get("same") or pin.get("bad"))


def taken_by(pin: Mapping[str, Any]) -> dict[str, Taken]:
    """Every file of the pin, as the job is to remember it."""
    found = dict(map(from_row, (*pin.get("files", ()), *pin.get("same", ()))))
    bad = (from_row(row) for row, _ in pin.get("bad", ()))
    return found | {path: replace(taken, bad=True) for path, taken in bad}


def with_bad_files(batch: Batch, pin: Mapping[str, Any], outcome: Outcome) -> Outcome:
    """Writes the pin's bad files to the quarantine, once for this batch; they count as no row, and are noted."""
    bad = pin.get("bad", ())
    if not bad:
        return outcome
    rows = [(_as_json(row), row[0], [(quarantine.READABLE, None, reason)]) for row, reason in bad]
    frame = batch.spark.createDataFrame(rows, f"{ROW} string, {ORIGIN} string, {REASONS} {REASON_TYPE}")
    done = quarantine.write(frame, batch.spark, batch.plan, batch.commit(_STEP), batch.run_id, batch.now, FILE_SCHEMA)
    names = ", ".join(row[0] for row, _ in bad[:_SHOWN]) + (", ..." if len(bad) > _SHOWN else "")
    note = f"{counted(len(bad), 'file')} in {batch.plan.quarantine}: cannot be read: {names}"
    return replace(outcome, written=(*outcome.written, replace(done, rows=0)), notes=(*outcome.notes, note))


def mark_replayed(batch: Batch, pin: Mapping[str, Any]) -> None:
    """Marks the rows of files that a replay has read, once for this batch."""
    ids = [(row,) for path, *_ in pin["files"] for row in pin["replayed"][path]]
    decision = {name: pin[name] for name in ("by", "at", "why")}
    frame = batch.spark.createDataFrame(ids, "id string")
    quarantine.settle(frame, None, batch.spark, batch.plan, batch.commit(_STEP, input=decision))


def has_quarantined_files(batch: Batch, pin: Mapping[str, Any]) -> bool:
    """True where the batch's bad files are in the quarantine already."""
    if not pin.get("bad"):
        return False
    found = lake.snapshot(batch.spark, batch.plan.layout.table(batch.plan.quarantine))
    return found is not None and found.has(batch.commit(_STEP))


def _as_json(row: list[Any]) -> str:
    return json.dumps({"file": row[0], "bytes": row[1]}, ensure_ascii=False)
