"""Spark's own checkpoint of a stream, held against the job's progress before a stream starts."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import SinkError
from lakehouse.pipeline.progress import REMEDY, Intent, Progress
from lakehouse.storage import delete, list_files, read_text, write_text
from lakehouse.tables import is_remote


@dataclass(frozen=True)
class Checkpoint:
    """What a stream's checkpoint holds: its id, its last planned and its last finished batch (-1: none)."""

    id: str | None
    planned: int = -1
    finished: int = -1


def require_sound(folder: str, progress: Progress, intent: Intent | None) -> Checkpoint:
    """The checkpoint; raises SinkError where a file of it is gone or damaged so that the stream would skip or repeat data."""
    offsets, commits = _batches(f"{folder}/offsets"), _batches(f"{folder}/commits")
    began = progress.batch >= 0 or intent is not None or bool(offsets)
    identity = _identity(f"{folder}/metadata", began=began)
    if identity is None:
        return Checkpoint(None)
    if progress.stream is not None and progress.stream != identity:
        raise SinkError(f"{folder} is not this job's checkpoint any more: {REMEDY}")
    found = Checkpoint(identity, max(offsets, default=-1), max(commits, default=-1))
    _require_in_step(folder, found, progress, intent)
    for number in range(max(found.planned - 1, 0), found.planned + 1):  # Spark goes on from the last two
        _require_whole(f"{folder}/offsets/{number}", lines=3)
    for number in commits[-2:]:
        _require_whole(f"{folder}/commits/{number}", lines=2)
    for path in (f"{folder}/offsets/{found.planned + 1}", f"{folder}/commits/{found.planned}"):
        _require_no_lone_checksum(path)
    return found


def offsets_at(path: str) -> dict[str, dict[str, int]] | None:
    """The offsets by topic and partition in an entry of the checkpoint; None where there is no entry, or none in it."""
    text = read_text(path)
    lines = text.lstrip("\0").strip().split("\n")[1:] if text is not None else []
    return next((found for line in lines if (found := offsets_of(line))), None)


def offsets_of(line: str) -> dict[str, dict[str, int]] | None:
    """The offsets by topic and partition that a line of an entry says; None where it is about something else."""
    value = json.loads(line) if line.startswith("{") else {}
    is_offsets = value and all(isinstance(part, dict) and all(map(str.isdigit, part)) for part in value.values())
    return {str(name): dict(part) for name, part in value.items()} if is_offsets else None


def begins_empty(folder: str, number: int) -> bool:
    """True for a first batch of nothing: Spark plans one where a topic has no message to begin with."""
    began = offsets_at(f"{folder}/sources/0/0") if number == 0 else None
    return began is not None and began == offsets_at(f"{folder}/offsets/0")


def rewrite_entry(path: str, text: str) -> None:
    """Replaces a file of the checkpoint; what Hadoop keeps beside it would call the new one damaged."""
    drop_entry(path)
    write_text(path, text)


def drop_entry(path: str) -> None:
    """Takes a file of the checkpoint away, its checksum first: one without its file stops Spark."""
    checksum = _checksum_file(path)
    if checksum is not None:
        checksum.unlink()
    delete(path)


def _batches(folder: str) -> list[int]:
    names = [file.path.rsplit("/", 1)[-1] for file in list_files(folder)]
    return sorted(int(name) for name in names if name.isdigit())


def _identity(path: str, *, began: bool) -> str | None:
    """The id that Spark gave the checkpoint; None for a stream that never ran."""
    text = _text(path)
    if text is None:
        if began:
            raise SinkError(f"{path} is gone: {REMEDY}")
        _require_no_lone_checksum(path)
        return None
    try:
        return str(json.loads(text)["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise SinkError(f"{path} is damaged: {REMEDY}") from error


def _require_in_step(folder: str, found: Checkpoint, progress: Progress, intent: Intent | None) -> None:
    """Spark plans a batch before the job takes it and ends it after: its count of batches and the job's own must fit."""
    newest = max(progress.batch, found.finished, intent.batch if intent else -1)
    if newest > found.planned:
        raise SinkError(f"{folder}/offsets/{newest} is gone: {REMEDY}")
    if found.finished > progress.batch or found.planned > progress.batch + 1:
        raise SinkError(f"{folder} is ahead of the job's progress (batch {progress.batch}): {REMEDY}")


def _require_whole(path: str, lines: int) -> None:
    """A log entry is `v1` and then a JSON object a line: one about the batch, and for offsets one about the source."""
    text = _text(path)
    if text is None:
        raise SinkError(f"{path} is gone: {REMEDY}")
    version, *objects = text.strip().split("\n")
    try:
        whole = version.startswith("v") and all(isinstance(json.loads(line), dict) for line in objects)
    except ValueError:
        whole = False
    if not whole or len(objects) + 1 < lines:
        raise SinkError(f"{path} is damaged: {REMEDY}")


def _text(path: str) -> str | None:
    """A file of the checkpoint; raises SinkError where it is no text, or not what its checksum says."""
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise SinkError(f"{path} is damaged: {REMEDY}") from error
    checksum = _checksum_file(path)
    if text is not None and checksum is not None and checksum.read_bytes() != _checksum(path, checksum):
        raise SinkError(f"{path} or its checksum {checksum.name} is damaged: {REMEDY}")
    return text


def _require_no_lone_checksum(path: str) -> None:
    """Spark cannot write an entry beside whose place an older one's checksum lies: it takes that for another query."""
    if _checksum_file(path) is not None and not Path(path).exists():
        raise SinkError(f"{path} is gone: {REMEDY}")


def _checksum_file(path: str) -> Path | None:
    """The checksum that Hadoop keeps beside a file on a local disk; None on S3, or where it was taken away."""
    file = Path(path)
    beside = file.with_name(f".{file.name}.crc")
    return beside if not is_remote(path) and beside.is_file() else None


def _checksum(path: str, kept: Path) -> bytes:
    """What the checksum file must hold: `crc` and a zero, how many bytes a sum covers, and their CRC-32s.

    Source: Hadoop's ChecksumFileSystem.
    """
    body, size = Path(path).read_bytes(), int.from_bytes(kept.read_bytes()[4:8], "big") or 512
    sums = [zlib.crc32(body[start : start + size]) for start in range(0, len(body), size)]
    return b"crc\0" + b"".join(number.to_bytes(4, "big") for number in (size, *sums))


def watermark_of(folder: str, number: int) -> int:
    """The watermark of a planned batch, in milliseconds; Spark filters late rows of a batch by that of the one before.

    0 before the first one, as Spark has it.
    """
    return int(_planned(folder, number)[0]["batchWatermarkMs"]) if number >= 0 else 0


def last_watermark(folder: str) -> int:
    """The watermark that the last batch ended with, in milliseconds; 0 where none has run."""
    commits = _batches(f"{folder}/commits")
    if not commits:
        return 0
    _require_whole(f"{folder}/commits/{commits[-1]}", lines=2)
    ended = (_text(f"{folder}/commits/{commits[-1]}") or "").strip().split("\n")
    return max(int(json.loads(ended[1]).get("nextBatchWatermarkMs", 0)), watermark_of(folder, commits[-1]))


def plan_empty_batch(folder: str, watermark: int, now: int) -> None:
    """Plans one more batch, of no rows, with this watermark: Spark runs it at its next start. Both in milliseconds."""
    number = max(_batches(f"{folder}/offsets"))
    meta, sources = _planned(folder, number)
    planned = {**meta, "batchWatermarkMs": max(watermark, int(meta["batchWatermarkMs"])), "batchTimestampMs": now}
    write_text(f"{folder}/offsets/{number + 1}", "\n".join(["v1", json.dumps(planned), *sources]))


def _planned(folder: str, number: int) -> tuple[dict[str, Any], list[str]]:
    """What a batch was planned with, and up to where it reads each source."""
    path = f"{folder}/offsets/{number}"
    _require_whole(path, lines=3)
    _, meta, *sources = (_text(path) or "").strip().split("\n")
    found: dict[str, Any] = json.loads(meta)
    return found, sources
