"""What a job has taken: the intent of the batch in hand and the progress after it, each one object with a checksum."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from lakehouse.errors import SinkError
from lakehouse.storage import delete, read_text, write_text

REMEDY = "restore it, or run the job with --full-refresh to rebuild its target from its source"


@dataclass(frozen=True)
class Intent:
    """A batch about to be written: its run, its pinned input, and the versions of the tables it looks things up in."""

    run_id: str
    batch: int
    started: datetime
    pin: Mapping[str, Any]
    versions: Mapping[str, int]


@dataclass(frozen=True)
class Progress:
    """How far a job is. `id` names this checkpoint in every identity; `batch` is the last finished one (-1: none)."""

    id: str
    batch: int = -1
    taken: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # a file's path: its size and time of change
    evidence: tuple[str, ...] = ()  # runs that were refused and left their broken rows in the quarantine
    record: str | None = None  # the run record so far, as JSON, until it is in the run log
    results: tuple[Mapping[str, Any], ...] = ()  # what its rules said so far, until that is on record too
    batches: tuple[Mapping[str, Any], ...] = ()  # its last finished batches, until they are in `_batches`
    targets: tuple[str, ...] = ()  # the tables that hold rows of this checkpoint
    stream: str | None = None  # the id of Spark's own checkpoint, for a job that streams
    start: Mapping[str, Any] = field(default_factory=dict)  # where the stream is to begin, after a reset
    state: Mapping[str, Any] = field(default_factory=dict)  # of a stream with state: see `event_time`
    seen: Mapping[str, str] = field(default_factory=dict)  # what the source notes of itself: the ids of its topics
    pin: Mapping[str, Any] = field(default_factory=dict)  # of the last finished batch, but for its files
    fresh: bool = False  # made just now: nothing was there


def new_id() -> str:
    """The name of a checkpoint that has written nothing yet."""
    return secrets.token_hex(8)


def load(folder: str) -> tuple[Progress, Intent | None]:
    """The progress and the intent that a job left; raises SinkError where an object was damaged or the progress is gone."""
    found = _read(f"{folder}/progress.json")
    intent = _read(f"{folder}/intent.json")
    if found is None and intent is not None and intent["batch"] > 0:
        # only a first batch has no progress before it; going on from here would take everything before it again
        raise SinkError(f"{folder}/progress.json is gone: {REMEDY}")
    if intent is not None:
        intent["started"] = datetime.fromisoformat(intent["started"])
    if found is None:
        identity = intent.pop("id") if intent else new_id()
        return Progress(identity, fresh=True), Intent(**intent) if intent else None
    if intent is not None:
        intent.pop("id")
    found["taken"] = {path: (size, modified) for path, (size, modified) in found["taken"].items()}
    found["evidence"], found["targets"] = tuple(found["evidence"]), tuple(found["targets"])
    found["results"], found["batches"] = tuple(found.get("results", ())), tuple(found.get("batches", ()))
    return Progress(**found), Intent(**intent) if intent else None


def save(folder: str, progress: Progress) -> None:
    """Replaces the progress whole."""
    _write(f"{folder}/progress.json", asdict(replace(progress, fresh=False)))


def begin(folder: str, progress: Progress, intent: Intent) -> None:
    """Notes what is about to be written; it carries the checkpoint's id, for a first batch has no progress yet."""
    _write(f"{folder}/intent.json", {**asdict(intent), "id": progress.id, "started": intent.started.isoformat()})


def end(folder: str) -> None:
    """Takes the intent away: nothing is in hand any more."""
    delete(f"{folder}/intent.json")


def _write(path: str, value: Mapping[str, Any]) -> None:
    body = json.dumps(value, sort_keys=True)
    write_text(path, f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n")


def _read(path: str) -> dict[str, Any] | None:
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise SinkError(f"{path} is damaged: {REMEDY}") from error
    if text is None:
        return None
    digest, _, body = text.partition("\n")
    body = body.removesuffix("\n")
    if hashlib.sha256(body.encode()).hexdigest() != digest:
        raise SinkError(f"{path} is damaged: {REMEDY}")
    found: dict[str, Any] = json.loads(body)
    return found
