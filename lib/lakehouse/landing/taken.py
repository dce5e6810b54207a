"""What a job remembers of a file that it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.storage import FileInfo


@dataclass(frozen=True, slots=True)
class Taken:
    """A file as it was when it was taken: bytes, time of change in milliseconds, S3's etag, the SHA-256 of its content
    where that was asked for; `bad`: it could not be read, and lies in the quarantine."""

    size: int
    modified: int
    etag: str = ""
    digest: str = ""
    bad: bool = False

    def is_still(self, file: FileInfo) -> bool:
        """True where the file is as it was; a store that tells no etag is believed its size and time."""
        same = (self.size, self.modified) == (file.size, file.modified)
        return same and (self.etag == file.etag or not (self.etag and file.etag))


def as_row(path: str, taken: Taken) -> list[Any]:
    """The file as JSON holds it, without what is not known of it."""
    row: list[Any] = [path, taken.size, taken.modified, taken.etag, taken.digest, taken.bad]
    while not row[-1] and len(row) > 3:
        row.pop()
    return row


def from_row(row: Sequence[Any]) -> tuple[str, Taken]:
    """The path and what `as_row` kept of it."""
    return row[0], Taken(*row[1:])


def info_of(row: Sequence[Any]) -> FileInfo:
    """The file of a row, as it was listed."""
    return FileInfo(*row[:4])
