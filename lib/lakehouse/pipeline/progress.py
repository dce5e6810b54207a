"""What a job has taken: the intent of the batch in hand and the progress after it, each one object with a checksum."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from lakehouse.errors import SinkError
from lakehouse.landing.taken import Taken, as_row, from_row
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
class Part:
    """An object below a job's progress that holds some of the files it took; `digest` tells it from any other."""

    name: str
    files: int
    digest: str


@dataclass(frozen=True)
class Progress:
    """How far a job is. `id` names this checkpoint in every identity; `batch` is the last finished one (-1: none)."""

    id: str
    batch: int = -1
    recent: dict[str, Taken] = field(default_factory=dict)  # the last files taken: they are written with the progress
    packed: dict[str, Taken] = field(default_factory=dict)  # the others, which `parts` hold
    parts: tuple[Part, ...] = ()  # objects of their own: see `ledger`
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

    @property
    def taken(self) -> Mapping[str, Taken]:
        """Every file that was taken, by path."""
        return ChainMap(self.recent, self.packed)


def new_id() -> str:
    """The name of a checkpoint that has written nothing yet."""
    return secrets.token_hex(8)


def load(folder: str) -> tuple[Progress, Intent | None]:
    """The progress and the intent that a job left; raises SinkError where an object was damaged or the progress is gone."""
    found = read_object(f"{folder}/progress.json")
    intent = read_object(f"{folder}/intent.json")
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
    found["parts"] = tuple(Part(*part) for part in found.get("parts", ()))
    found["recent"] = dict(from_row((path, *values)) for path, values in found.pop("taken").items())
    found["packed"] = taken_of(folder, found["parts"])
    found["evidence"], found["targets"] = tuple(found["evidence"]), tuple(found["targets"])
    found["results"], found["batches"] = tuple(found.get("results", ())), tuple(found.get("batches", ()))
    return Progress(**found), Intent(**intent) if intent else None


def save(folder: str, progress: Progress) -> None:
    """Replaces the progress whole; what its parts hold stays where it is."""
    values = asdict(replace(progress, recent={}, packed={}, parts=(), fresh=False))
    del values["recent"], values["packed"]
    recent = {path: as_row(path, taken)[1:] for path, taken in progress.recent.items()}
    parts = [[part.name, part.files, part.digest] for part in progress.parts]
    write_object(f"{folder}/progress.json", {**values, "taken": recent, "parts": parts})


def taken_of(folder: str, parts: Sequence[Part]) -> dict[str, Taken]:
    """The files that these parts hold; raises SinkError where one is gone, damaged or another than was written."""
    found: dict[str, Taken] = {}
    for part in parts:
        path = f"{folder}/{part.name}"
        value = read_object(path)
        if value is None:
            raise SinkError(f"{path} is gone: {REMEDY}")
        if digest_of(value) != part.digest:
            raise SinkError(f"{path} is not what this job wrote: {REMEDY}")
        found |= dict(map(from_row, value["files"]))
    return found


def begin(folder: str, progress: Progress, intent: Intent) -> None:
    """Notes what is about to be written; it carries the checkpoint's id, for a first batch has no progress yet."""
    write_object(f"{folder}/intent.json", {**asdict(intent), "id": progress.id, "started": intent.started.isoformat()})


def end(folder: str) -> None:
    """Takes the intent away: nothing is in hand any more."""
    delete(f"{folder}/intent.json")


def write_object(path: str, value: Mapping[str, Any]) -> None:
    """Writes an object with its checksum, whole."""
    body = json.dumps(value, sort_keys=True)
    write_text(path, f"{_digest(body)}\n{body}\n")


def digest_of(value: Mapping[str, Any]) -> str:
    """The checksum of an object."""
    return _digest(json.dumps(value, sort_keys=True))


def read_object(path: str) -> dict[str, Any] | None:
    """The object, None where there is none; raises SinkError where it is damaged."""
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise SinkError(f"{path} is damaged: {REMEDY}") from error
    if text is None:
        return None
    digest, _, body = text.partition("\n")
    body = body.removesuffix("\n")
    if _digest(body) != digest:
        raise SinkError(f"{path} is damaged: {REMEDY}")
    found: dict[str, Any] = json.loads(body)
    return found


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
