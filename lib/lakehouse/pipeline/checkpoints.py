"""A job's checkpoint in words, moved to another place in its source, or copied for a job of another name."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lakehouse.copying import copy_tree
from lakehouse.errors import ConfigError, DataError
from lakehouse.pipeline import progress
from lakehouse.pipeline.progress import Intent, Progress
from lakehouse.pipeline.stream_checkpoints import Checkpoint, require_sound
from lakehouse.planning.plan import Plan
from lakehouse.storage import delete_tree, folders, list_files, read_text
from lakehouse.tables import Layout


@dataclass(frozen=True)
class Held:
    """What a checkpoint holds: the job's own progress, the batch in hand of a run that died, Spark's part of it."""

    job: str
    progress: Progress
    intent: Intent | None
    stream: Checkpoint
    offsets: Any = None
    """Where Spark's stream reads next, as the source writes it: offsets by topic and partition, or a table's version."""


def jobs(layout: Layout) -> list[str]:
    """The jobs that have a checkpoint in the lake."""
    return sorted(folders(layout.checkpoint("").rstrip("/")))


def held_by(layout: Layout, job: str) -> Held:
    """A job's checkpoint. Raises DataError where it has none, SinkError where it is damaged."""
    folder = layout.checkpoint(job)
    state, intent = progress.load(folder)
    if state.fresh and intent is None:
        raise DataError(f"{job} has no checkpoint in {layout.root}: it has not run there yet")
    streams = state.stream is not None or bool(list_files(f"{folder}/stream"))
    stream = require_sound(f"{folder}/stream", state, intent) if streams else Checkpoint(None)
    return Held(job, state, intent, stream, _offsets(f"{folder}/stream", stream))


def _offsets(folder: str, stream: Checkpoint) -> Any:
    """The end of the last planned batch: the last line of its entry."""
    text = read_text(f"{folder}/offsets/{stream.planned}") if stream.planned >= 0 else None
    return json.loads(text.strip().split("\n")[-1]) if text else None


def moved(plan: Plan, to: str) -> Progress:
    """The progress that makes a job read on from another place; nothing is written. Raises ConfigError.

    What `to` may be is its source's business: a time for files (those changed at or after it are taken again),
    `version:N` for a Delta table, offsets or a time for topics, a value of the cursor column for a database.
    """
    state, intent = progress.load(plan.layout.checkpoint(plan.name))
    if state.fresh:
        raise DataError(f"{plan.name} has no checkpoint in {plan.layout.root}: it has not run there yet")
    if intent is not None:
        raise DataError(f"{plan.name} has a run to finish first: lakehouse run {plan.name}")
    start = _start(plan, to)
    if "since" not in start:  # Spark's part of it begins anew, and so does its count of batches: under another identity
        return Progress(progress.new_id(), evidence=state.evidence, start=start)
    since = datetime.fromisoformat(start["since"]).timestamp() * 1000
    kept = {path: taken for path, taken in state.taken.items() if taken.modified < since}
    return replace(state, recent=kept, packed={}, parts=())


def save_moved(plan: Plan, state: Progress) -> None:
    """Puts such a progress into place; Spark's own part goes first, so that a crash on the way is seen as one."""
    folder = plan.layout.checkpoint(plan.name)
    if state.batch < 0:
        delete_tree(f"{folder}/stream")
    progress.save(folder, state)


def copied(layout: Layout, job: str, other: str) -> None:
    """Copies a job's checkpoint for a job that has none, and that is to go on where this one is."""
    held = held_by(layout, job)
    if held.intent is not None:
        raise DataError(f"{job} has a run to finish first: lakehouse run {job}")
    if other in jobs(layout):
        raise ConfigError(f"{other} has a checkpoint of its own: {layout.checkpoint(other)}")
    for part in ("stream", "read", "files"):
        copy_tree(f"{layout.checkpoint(job)}/{part}", f"{layout.checkpoint(other)}/{part}")
    # an identity of its own: it has written nothing yet under its name
    progress.save(
        layout.checkpoint(other), replace(held.progress, id=progress.new_id(), targets=(), record=None, batches=())
    )


def _start(plan: Plan, to: str) -> dict[str, Any]:
    """Where the source is to begin, in its own words."""
    start_at = plan.source.entry.traits.get("start_at")
    if plan.source.option("archive"):
        said = "what it took lies in its archive; move the files back and run it, or run it with --full-refresh"
        raise ConfigError(f"{plan.name}: {said}")
    if plan.read == "full":
        raise ConfigError(f"{plan.name} reads all of its source each time: there is no place to move")
    if start_at is None:
        said = f"the checkpoint of a source '{plan.source.name}' cannot be moved; run it with --full-refresh"
        raise ConfigError(f"{plan.name}: {said}")
    try:
        return dict(start_at(to))
    except ValueError as error:
        raise ConfigError(f"--to {to}: the source '{plan.source.name}' takes {error}") from None
