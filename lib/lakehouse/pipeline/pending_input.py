"""What the next run of a job would read, without Spark: new files, versions and offsets, and about how many rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lakehouse import runs
from lakehouse.batches.step_errors import explained
from lakehouse.commits import rows_added, rows_changed
from lakehouse.errors import DataError
from lakehouse.landing.taken import info_of
from lakehouse.pipeline.checkpoints import Held, held_by
from lakehouse.pipeline.progress import Progress
from lakehouse.planning.changes import Reading
from lakehouse.planning.plan import Plan
from lakehouse.registry import call_options
from lakehouse.runs import RunRecord
from lakehouse.sources import Read
from lakehouse.sources.delta import place_of
from lakehouse.storage import FileInfo, read_part, read_text
from lakehouse.table_log import TableState, opened, state_of

_AT_ONCE = ("max_files_per_trigger", "skip_same_content")
_SAMPLE, _SAMPLED = 64 * 1024, 5
_LINES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt")


def pending_input(plan: Plan, last: RunRecord | None, *, asks: bool = True) -> tuple[Reading, ...]:
    """The source first, then the tables beside it, held against the `last` run that succeeded.

    A broker or a database is asked only where `asks` says so; brokers are asked through Spark. Raises DataError where
    something is not there.
    """
    held = _held(plan)
    source = _source(plan, held, last, asks=asks)
    beside = [_table(plan, name, plan.layout.table(name), last) for name in plan.looked_up]
    if plan.read == "incremental":  # a lookup's new rows start no batch
        beside = [replace(item, new=False) for item in beside]
    return (*([source] if source is not None else []), *beside)


def last_success(plan: Plan) -> RunRecord | None:
    """The job's last run that succeeded."""
    found = runs.read(plan.layout, plan.name)
    return next((record for record in found if record.state == "succeeded"), None)


def _held(plan: Plan) -> Held | None:
    try:
        return held_by(plan.layout, plan.name)
    except DataError:  # it has not run yet
        return None


def _source(plan: Plan, held: Held | None, last: RunRecord | None, *, asks: bool) -> Reading | None:
    """None for a source that only the tables beside it can change."""
    source = plan.source
    if "place" in source.entry.traits:
        return _delta(plan, held, last)
    own_pin, own_pins = source.entry.traits.get("pin"), source.entry.traits.get("pins")
    read, options = _read(plan, held.progress if held else Progress("")), call_options(source.entry, source.options)
    with explained(plan, source):
        if own_pins is not None:
            # all that is new at once; to know equal contents, each file would have to be read
            chosen = {**options, **{name: None for name in _AT_ONCE if name in options}}
            pins = list(own_pins(read, **chosen))
            return _files(plan, _name(plan), [info_of(row) for pin in pins for row in pin["files"]], last)
        if own_pin is not None and not asks:
            return Reading(_name(plan), new=True, detail="not asked")
        if own_pin is not None:
            return _pinned(plan, own_pin(read, **options), held)
    if source.name == "sql" and plan.looked_up:
        return None
    return Reading(source.name, new=last is None or is_other_job(plan, last), rows=_rows_in(plan))


def _name(plan: Plan) -> str:
    source = plan.source
    return ", ".join(source.option("topics") or ()) or str(
        source.option("path") or source.option("table") or source.name
    )


def _rows_in(plan: Plan) -> int | None:
    rows = plan.source.option("rows")
    return len(rows) if isinstance(rows, list) else None


def _read(plan: Plan, state: Progress) -> Read:
    """What a source is told when it is asked what there is."""
    return Read(
        plan.layout, plan.job.root, plan.job.config.layer, incremental=plan.read == "incremental", taken=state.taken,
        start=state.start, last=state.pin,
    )  # fmt: skip


def _pinned(plan: Plan, pin: Mapping[str, Any] | None, held: Held | None) -> Reading:
    if pin is None:
        return Reading(_name(plan), new=False)
    if "offsets" in pin:
        rows = _messages(pin["offsets"], held)
        return Reading(_name(plan), new=rows != 0, rows=rows, detail="messages")
    told = {key: value for key, value in pin.items() if not key.startswith("_")}
    return Reading(_name(plan), new=True, detail=str(told) if told else "the whole source")


def _files(plan: Plan, name: str, files: Sequence[FileInfo], last: RunRecord | None) -> Reading:
    size = sum(file.size for file in files)
    new = bool(files)
    if plan.read == "full" and last is not None:
        before = next((item for item in last.inputs if item.files is not None), None)
        newest = max((file.modified for file in files), default=0)
        same = before is not None and (before.files, before.bytes) == (len(files), size)
        new = not same or newest > last.started.timestamp() * 1000 or is_other_job(plan, last)
    return Reading(name, new=new, rows=_rows_of(files, last), files=len(files), bytes=size)


def _rows_of(files: Sequence[FileInfo], last: RunRecord | None) -> int | None:
    """Estimated: as many rows a byte as the last run read, else as the first files begin with."""
    size = sum(file.size for file in files)
    before = next((item for item in (last.inputs if last else ()) if item.files and item.bytes), None)
    if last is not None and before is not None and last.rows_read and before.bytes:
        return round(size * last.rows_read / before.bytes)
    sampled = [file for file in files if file.size and file.path.lower().endswith(_LINES)][:_SAMPLED]
    if not sampled or len(sampled) < min(len(files), _SAMPLED):
        return None if files else 0
    parts = [read_part(file.path, _SAMPLE) for file in sampled]
    lines = sum(part.count(b"\n") for part in parts) or len(parts)
    heads = sum(file.path.lower().endswith((".csv", ".tsv")) for file in files)  # a header is no row
    return max(0, round(size * lines / sum(map(len, parts))) - heads)


def _messages(offsets: Mapping[str, Mapping[str, Sequence[int]]], held: Held | None) -> int | None:
    """The messages from where the job is to the end; None where a first run begins at a place that only a broker knows."""
    taken = held.offsets if held is not None and held.offsets else {}
    return sum(
        last - int(taken.get(topic, {}).get(part, first))
        for topic, parts in offsets.items()
        for part, (first, last) in parts.items()
    )


def _delta(plan: Plan, held: Held | None, last: RunRecord | None) -> Reading:
    table, path = plan.source.option("table"), plan.source.option("path")
    with explained(plan, plan.source):
        place = place_of(table, path, _read(plan, Progress("")))
    name = str(table or path)
    if plan.read == "full":
        return _table(plan, name, place, last)
    now = _state(plan, f"source {name}", place)
    first = _next_version(plan, held, now)
    if first is None:
        return Reading(name, new=True, rows=now.rows, files=now.files, bytes=now.bytes, version=now.version)
    count = rows_changed if plan.source.option("changes") else rows_added
    rows = count(place, first, now.version) if first <= now.version else 0
    return Reading(name, new=rows != 0, rows=rows, from_version=first, version=now.version)


def _next_version(plan: Plan, held: Held | None, now: TableState) -> int | None:
    """The version that the job's stream reads next; None where it begins with the whole table."""
    if held is not None and held.stream.planned >= 0:
        taken = _offset(f"{plan.layout.checkpoint(plan.name)}/stream", held, now)
        if taken is not None:
            # in the middle of the first version the rest of the table is still to come
            return (
                None
                if taken.get("isStartingVersion") and taken.get("index", -1) >= 0
                else int(taken["reservoirVersion"])
            )
    start = held.progress.start.get("version") if held is not None else None
    first = start if start is not None else plan.source.option("starting_version")
    return None if first is None else int(first)


def _offset(folder: str, held: Held, now: TableState) -> Mapping[str, Any] | None:
    """Where the stream is in this very table: its checkpoint has a line for each of its tables."""
    number = max(held.stream.finished, min(held.stream.planned, held.progress.batch))
    lines = (read_text(f"{folder}/offsets/{number}") or "").strip().split("\n")[2:]
    found = [json.loads(line) for line in lines if line.startswith("{")]
    own = [item for item in found if item.get("reservoirId") == now.id]
    return min(own, key=lambda item: item["reservoirVersion"], default=None)


def _table(plan: Plan, name: str, place: str, last: RunRecord | None) -> Reading:
    """A table read whole: new where its version is another one than the last run read, or the job says something else."""
    said = "input" if name in plan.looked_up else "source"
    now = _state(plan, f"{said} {name}", place)
    before = {item.name: item.version for item in (last.inputs if last else ())}
    new = last is None or before.get(name) != now.version or is_other_job(plan, last)
    return Reading(name, new=new, rows=now.rows, files=now.files, bytes=now.bytes, version=now.version)


def is_other_job(plan: Plan, last: RunRecord) -> bool:
    """True where the job says something else than it said in that run."""
    return last.config_fingerprint != plan.fingerprint


def _state(plan: Plan, said: str, place: str) -> TableState:
    found = opened(place, plan.layout.root)
    if found is None:
        raise DataError(f"{plan.name}: the {said} does not exist at {place}; run the job that writes it first")
    return state_of(found)
