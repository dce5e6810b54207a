"""Spark's own checkpoint of a stream, held against the job's progress before a stream starts."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lakehouse.errors import SinkError
from lakehouse.progress import Intent, Progress
from lakehouse.storage import list_files, read_text


@dataclass(frozen=True)
class Checkpoint:
    """What a stream's checkpoint holds: its id, its last planned and its last finished batch (-1: none)."""

    id: str | None
    planned: int = -1
    finished: int = -1


def require_sound(folder: str, progress: Progress, intent: Intent | None) -> Checkpoint:
    """The checkpoint; raises SinkError where a file of it is gone or damaged so that the stream would skip or repeat data."""
    remedy = "restore it, or run the job with --full-refresh"
    identity = read_text(f"{folder}/metadata")
    offsets, commits = _batches(f"{folder}/offsets"), _batches(f"{folder}/commits")
    planned, finished = max(offsets, default=-1), max(commits, default=-1)
    if identity is None:
        if progress.batch >= 0 or offsets:
            raise SinkError(f"{folder}/metadata is gone: {remedy}")
        return Checkpoint(None)
    try:
        found = json.loads(identity)["id"]
    except (ValueError, KeyError, TypeError) as error:
        raise SinkError(f"{folder}/metadata is damaged: {remedy}") from error
    if progress.stream is not None and progress.stream != found:
        raise SinkError(f"{folder} is not this job's checkpoint any more: {remedy}")
    for kind, numbers in (("offsets", offsets), ("commits", commits)):
        for number in numbers:
            _require_whole(f"{folder}/{kind}/{number}")
    newest = max(progress.batch, intent.batch if intent else -1)
    if progress.batch > planned or (finished > planned) or (intent is not None and intent.batch > planned):
        raise SinkError(f"{folder}/offsets/{newest} is gone: {remedy}")
    if finished > progress.batch or planned > progress.batch + 1:
        raise SinkError(f"{folder} is ahead of the job's progress (batch {progress.batch}): {remedy}")
    lowest = min(offsets, default=0)
    gaps = [number for number in range(max(lowest, planned - 1), planned + 1) if number not in offsets]
    if gaps:
        raise SinkError(f"{folder}/offsets/{gaps[0]} is gone: {remedy}")
    return Checkpoint(found, planned, finished)


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
        raise SinkError(f"{path} is damaged: restore it, or run the job with --full-refresh")
