"""A look at a source's folder: which files are new, which were changed since they were taken, which are done with."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import DataError, counted
from lakehouse.landing.taken import Taken, as_row
from lakehouse.storage import FileInfo, above_wildcards, list_files, list_s3, s3, split_s3
from lakehouse.tables import is_remote

UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".inprogress", ".crdownload", "._copying_")
"""Endings of files that somebody is still writing, as browsers, rsync, SFTP clients, Flink and Hadoop give them."""

_CHUNK = 1 << 20
_SHOWN = 5


@dataclass(frozen=True)
class Look:
    """The files of a place by what is known of them, each by path; `done` are taken and unchanged."""

    listed: int
    new: Sequence[FileInfo]
    rewritten: Sequence[FileInfo]
    done: Sequence[FileInfo]


def whole_files(place: str, apart: str | None = None) -> list[FileInfo]:
    """The files of a place that nobody seems to write any more, by path; without those below the folder `apart`."""
    below = None if apart is None else apart.rstrip("/") + "/"
    return [
        file
        for file in list_files(place)
        if file.path == place
        or not (file.path.lower().endswith(UNFINISHED) or (below is not None and file.path.startswith(below)))
    ]


def look_at(place: str, taken: Mapping[str, Taken], *, apart: str | None = None, min_age: float = 0) -> Look:
    """What there is at the place; a file that was changed within the last `min_age` seconds is not there yet.

    One that lies in the quarantine is neither new nor rewritten, mended or not: a replay reads it.
    """
    files = whole_files(place, apart)
    youngest = (time.time() - min_age) * 1000
    old = [file for file in files if file.modified <= youngest] if min_age else files
    known = [(file, taken[file.path]) for file in old if file.path in taken]
    return Look(
        len(files),
        [file for file in old if file.path not in taken],
        [file for file, then in known if not then.bad and not then.is_still(file)],
        [file for file, then in known if not then.bad and then.is_still(file)],
    )


def require_as_taken(rewritten: Sequence[FileInfo]) -> None:
    """Raises DataError naming files that were changed after they were taken."""
    if rewritten:
        names = ", ".join(file.path for file in rewritten[:_SHOWN])
        raise DataError(
            f"source 'files': {counted(len(rewritten), 'file was', 'files were')} rewritten since taken ({names}); "
            "give new data a new name, or set on_rewrite: reprocess or ignore"
        )


def batches(files: Sequence[FileInfo], most: int | None, seen: dict[str, str] | None) -> Iterator[dict[str, Any]]:
    """The files in pins of at most so many, in their order; each is looked at again just before its turn.

    With `seen` (paths by digest of content, added to on the way) what holds the same as another file is in `same`
    instead of `files`.
    """
    start = 0
    while start < len(files):
        chosen: list[list[Any]] = []
        same: list[list[Any]] = []
        notes: list[str] = []
        while start < len(files) and (most is None or len(chosen) < most):
            step = len(files) if most is None else most - len(chosen)
            found, gone = _as_listed(files[start : start + step])
            start += step
            notes += map(gone_text, gone)
            some, others = _by_content(found, seen) if seen is not None else ([_row(file) for file in found], [])
            chosen, same = chosen + some, same + others
        if chosen or same:
            yield {"files": chosen, **_said(same, notes)}


def gone_text(path: str) -> str:
    """What the run record notes of a file that was gone when its turn came."""
    return f"{path} was listed, and was gone before it was read"


def _said(same: Sequence[Sequence[Any]], notes: Sequence[str]) -> dict[str, Any]:
    known = [f"{row[0]} holds what {twin} held: it was not read" for *row, twin in same]
    said = known if len(known) <= _SHOWN else [*known[:_SHOWN], f"and {len(known) - _SHOWN:,} files like these"]
    return {
        **({"same": [row for *row, _ in same]} if same else {}),
        **({"_notes": [*notes, *said]} if notes or said else {}),
    }


def _row(file: FileInfo, digest: str = "") -> list[Any]:
    return as_row(file.path, Taken(file.size, file.modified, file.etag, digest))


def _as_listed(files: Sequence[FileInfo]) -> tuple[list[FileInfo], list[str]]:
    """The files that are as they were when they were listed, and those that are gone; what is still being written waits
    for the next look. An object of S3 is there as a whole or not at all: it is not asked for again."""
    found, gone = [], []
    for file in files:
        now = file if is_remote(file.path) else file_now(file.path)
        if now is None:
            gone.append(file.path)
        elif now == file:
            found.append(file)
    return found, gone


def file_now(path: str) -> FileInfo | None:
    """The file as it is at this moment; None where it is gone."""
    if not is_remote(path):
        try:
            stat = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return FileInfo(path, stat.st_size, stat.st_mtime_ns // 1_000_000)
    # a HEAD would tell its time in whole seconds, a listing tells it as every other look does
    return next((file for file in list_s3(path) if file.path == path), None)


def _by_content(files: Sequence[FileInfo], seen: dict[str, str]) -> tuple[list[list[Any]], list[list[Any]]]:
    """The rows of the files that hold something new, and of those that hold what another did, with its path."""
    new, same = [], []
    with ThreadPoolExecutor(16) as pool:
        digests = list(pool.map(lambda file: _digest(file.path), files))
    for file, digest in zip(files, digests, strict=True):
        if digest and digest in seen:
            same.append([*_row(file, digest), seen[digest]])
            continue
        new.append(_row(file, digest))
        if digest:
            seen[digest] = file.path
    return new, same


def _digest(path: str) -> str:
    """The SHA-256 of a file's bytes; empty where they cannot be read, which the reader will say better."""
    digest = hashlib.sha256()
    try:
        for part in _parts(path):
            digest.update(part)
    except OSError:
        return ""
    return digest.hexdigest()


def _parts(path: str) -> Iterable[bytes]:
    if not is_remote(path):
        with Path(path).open("rb") as file:
            while part := file.read(_CHUNK):
                yield part
        return
    bucket, key = split_s3(path)
    answer: Any = s3(bucket, lambda client: client.get_object(Bucket=bucket, Key=key))
    yield from answer["Body"].iter_chunks(_CHUNK)


def below(place: str, path: str) -> str:
    """Where a file of the place lies below it: from the first part with a wildcard on."""
    base = above_wildcards(place)
    return path.removeprefix(base).lstrip("/") or path.rsplit("/", 1)[-1]
