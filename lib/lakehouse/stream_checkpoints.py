"""Spark's own checkpoint of a stream, held against the job's progress before a stream starts."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lakehouse.errors import SinkError
from lakehouse.progress import Intent, Progress
from lakehouse.storage import list_files, read_text

_REMEDY = "restore it, or run the job with --full-refresh"


@dataclass(frozen=True)
class Checkpoint:
    """What a stream's checkpoint holds: its id, its last planned and its last finished batch (-1: none)."""

    id: str | None
    planned: int = -1
    finished: int = -1


def require_sound(folder: str, progress: Progress, intent: Intent | None) -> Checkpoint:
    """The checkpoint; raises SinkError where a file of it is gone or damaged so that the stream would skip or repeat data."""
    offsets, commits = _batches(f"{folder}/offsets"), _batches(f"{folder}/commits")
    identity = _identity(folder, anything_taken=progress.batch >= 0 or bool(offsets))
    if identity is None:
        return Checkpoint(None)
    if progress.stream is not None and progress.stream != identity:
        raise SinkError(f"{folder} is not this job's checkpoint any more: {_REMEDY}")
    for kind, numbers in (("offsets", offsets), ("commits", commits)):
        for number in numbers:
            _require_whole(f"{folder}/{kind}/{number}")
    found = Checkpoint(identity, max(offsets, default=-1), max(commits, default=-1))
    _require_in_step(folder, found, progress, intent)
    for number in range(max(min(offsets, default=0), found.planned - 1), found.planned + 1):
        if number not in offsets:
            raise SinkError(f"{folder}/offsets/{number} is gone: {_REMEDY}")
    return found


def _identity(folder: str, *, anything_taken: bool) -> str | None:
    """The id that Spark gave the checkpoint; None for a stream that never ran."""
    text = read_text(f"{folder}/metadata")
    if text is None:
        if anything_taken:
            raise SinkError(f"{folder}/metadata is gone: {_REMEDY}")
        return None
    try:
        return str(json.loads(text)["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise SinkError(f"{folder}/metadata is damaged: {_REMEDY}") from error


def _require_in_step(folder: str, found: Checkpoint, progress: Progress, intent: Intent | None) -> None:
    """Spark's count of batches and the job's own must fit: Spark plans a batch before the job takes it, and ends it after."""
    newest = max(progress.batch, intent.batch if intent else -1)
    if max(newest, found.finished) > found.planned:
        raise SinkError(f"{folder}/offsets/{newest} is gone: {_REMEDY}")
    if found.finished > progress.batch or found.planned > progress.batch + 1:
        raise SinkError(f"{folder} is ahead of the job's progress (batch {progress.batch}): {_REMEDY}")


def _batches(folder: str) -> list[int]:
    names = [file.path.rsplit("/", 1)[-1] for file in list_files(folder)]
    return sorted(int(name) for name in names if name.isdigit())


def _require_whole(path: str) -> None:
    """A log entry is `v1` and then a JSON object a line."""
    lines = (read_text(path) or "").strip().splitlines()
    try:
        whole = (
            bool(lines)
            and lines[0].startswith("v")
            and len(lines) > 1
            and all(isinstance(json.loads(line), dict) for line in lines[1:])
        )
    except ValueError:
        whole = False
    if not whole:
        raise SinkError(f"{path} is damaged: {_REMEDY}")
