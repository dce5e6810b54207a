"""What the command line prints of micro-batches and checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import LakehouseError, counted
from lakehouse.pipeline.checkpoints import Held
from lakehouse.pipeline.progress import Progress
from lakehouse.planning.plan import Plan
from lakehouse.reports import table


def batches_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row a micro-batch, as `batch_log` has them; what Spark did not measure is left out."""
    counts = ("rows_read", "rows_to_sink", "rows_quarantined", "rows_late")
    more = ("source_ms", "plan_ms", "write_ms", "log_ms", "state_rows")
    cells = [
        [str(row["batch"]), f"{row['started']:%Y-%m-%d %H:%M:%S}", f"{(row['ended'] - row['started']).total_seconds():.1f}",
         *[f"{row[name]:,}" for name in counts], *["" if row[name] is None else f"{row[name]:,}" for name in more]]
        for row in rows
    ]  # fmt: skip
    head = ["batch", "started (UTC)", "seconds", "rows in", "rows out", "quarantined", "late"]
    return table([*head, *(name.replace("_", " ") for name in more)], cells)


def checkpoints_table(found: Mapping[str, Held | LakehouseError]) -> str:
    """A row a job: how many batches it has finished, and what it has taken; empty for no job."""
    rows = [
        [job, f"{held.progress.batch + 1:,}", _taken(held), "yes" if held.intent is not None else ""]
        if isinstance(held, Held)
        else [job, "", str(held), ""]
        for job, held in found.items()
    ]
    if not rows:
        return ""
    return table(["job", "batches", "taken", "to finish"], rows)


def checkpoint_values(job: str, found: Held | LakehouseError) -> dict[str, Any]:
    """What one checkpoint holds, as values; of one that cannot be read what is wrong with it."""
    if not isinstance(found, Held):
        return {"job": job, "error": str(found)}
    state, intent = found.progress, found.intent
    return {
        "job": job, "batches": state.batch + 1, "taken": _taken(found), "files": len(state.taken), "offsets": found.offsets,
        "targets": list(state.targets), "identity": state.id, "begins_at": dict(state.start) if state.start else None,
        "to_finish": None if intent is None else {"batch": intent.batch, "run_id": intent.run_id},
    }  # fmt: skip


def checkpoint_text(held: Held) -> str:
    """What one checkpoint holds, in words."""
    state, lines = held.progress, [f"{held.job}: {counted(held.progress.batch + 1, 'batch', 'batches')} finished"]
    lines.append(f"  taken      {_taken(held)}")
    if state.taken:
        last = max(state.taken, key=lambda path: state.taken[path].modified)
        lines.append(f"  newest     {last}")
    lines.append(f"  targets    {', '.join(state.targets) or 'none filled yet'}")
    lines.append(f"  identity   {state.id}, in every commit of the job")
    if held.stream.id is not None:
        said = f"batch {held.stream.planned} planned, {held.stream.finished} finished"
        lines.append(f"  Spark      stream {held.stream.id}: {said}")
    if state.start:
        lines.append(f"  begins     at {json.dumps(dict(state.start))}, after a reset")
    if held.intent is not None:
        intent = held.intent
        lines.append(f"  to finish  batch {intent.batch} of run {intent.run_id}: the next run does")
    return "\n".join(lines)


def reset_text(plan: Plan, state: Progress, to: str) -> str:
    """What a reset would do; nothing is done yet."""
    names = {sink.step.name for sink in plan.sinks}
    again = (
        "adds its rows again" if "append" in names else "takes the same rows again, which changes nothing that is newer"
    )
    what = f"{counted(len(state.taken), 'file')} would stay taken; " if state.taken else ""
    return (
        f"{plan.name} would read on from {to}: {what}what comes before is never read, and what was taken already is read "
        f"again: the sink {again}. Do it with --yes"
    )


def _taken(held: Held) -> str:
    if held.offsets is not None:
        offsets = held.offsets
        version = offsets.get("reservoirVersion") if isinstance(offsets, dict) else None
        return f"up to version {version}" if version is not None else json.dumps(offsets)
    state = held.progress
    if state.pin.get("_cursor"):
        return (
            f"{state.pin['_cursor']} up to {state.pin['to']}" if state.pin["to"] is not None else "rows without a place"
        )
    if state.start and state.batch < 0:
        return "nothing since the reset"
    return counted(len(state.taken), "file") if state.taken else "the whole source, each time"
