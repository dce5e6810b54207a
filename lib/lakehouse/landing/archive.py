"""The archive of a source: what is done is moved there, whole or not at all, and found there again.

On one disk a move is a rename. On S3, and from disk to disk, it is a copy and then a delete: a crash between the two leaves
both, and the next move of the file sees that its copy is there.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.errors import SinkError
from lakehouse.landing.looks import below, file_now, whole_files
from lakehouse.storage import FileInfo, above_wildcards, delete, s3, split_s3
from lakehouse.tables import is_remote

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_AT_ONCE = 16


def require_apart(place: str, archive: str) -> None:
    """Raises ValueError for an archive that cannot be told from the source's folder, or lies in another kind of store."""
    if is_remote(place) != is_remote(archive):
        raise ValueError("'archive' must be in the store of 'path': both on disks, or both on s3a://")
    if f"{_plain(above_wildcards(place))}/".startswith(f"{_plain(archive)}/"):
        raise ValueError("'archive' is the folder of 'path', or one above it; name another, or one below it")


def inside(place: str, archive: str | None) -> str | None:
    """The archive in the words of the source's folder, where it lies below that."""
    base = above_wildcards(place)
    if archive is None or not f"{_plain(archive)}/".startswith(f"{_plain(base)}/"):
        return None
    return base + _plain(archive).removeprefix(_plain(base))


def _plain(place: str) -> str:
    return place.rstrip("/") if is_remote(place) else os.path.normpath(place)


def archived(place: str, archive: str, files: Sequence[FileInfo]) -> tuple[list[FileInfo], list[FileInfo]]:
    """The archive's files, and those of the place without the ones that a crash left there beside their copies."""
    kept = whole_files(archive)
    there = {below(archive, file.path): file for file in kept}

    def is_copied(file: FileInfo) -> bool:
        copy = there.get(below(place, file.path))
        return copy is not None and _is_copy(copy, file)

    return kept, [file for file in files if not is_copied(file)]


def move_done(place: str, archive: str, files: Iterable[FileInfo]) -> None:
    """Moves the files into the archive, under their names below the place; those that changed meanwhile stay.

    Where another file has the name, the time of the file's change is put into it: nothing is overwritten. Raises
    SinkError naming a file that cannot be moved.
    """
    move = _move_object if is_remote(place) else _move_file
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda file: move(file, f"{archive.rstrip('/')}/{below(place, file.path)}"), files):
            pass


def _move_file(file: FileInfo, to: str) -> None:
    if file_now(file.path) != file:
        return
    try:
        Path(to).parent.mkdir(parents=True, exist_ok=True)
        to, is_there = _free(file, to)
        if is_there:
            Path(file.path).unlink()
        else:
            _rename(Path(file.path), Path(to))
    except OSError as error:
        raise SinkError(f"{file.path} is done, and cannot be moved to {to}: {error.strerror or error}") from error


def _rename(path: Path, to: Path) -> None:
    try:
        path.rename(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = to.with_name(f".{to.name}.part")
        shutil.copy2(path, part)
        part.replace(to)
        path.unlink()


def _move_object(file: FileInfo, to: str) -> None:
    to, is_there = _free(file, to)
    if not is_there and not _copy_object(file, to):
        return
    delete(file.path)


def _copy_object(file: FileInfo, to: str) -> bool:
    """Copies the object as it was listed; False where it is another by now, or gone."""
    bucket, key = split_s3(file.path)
    target, name = split_s3(to)
    source: Any = {"Bucket": bucket, "Key": key}
    condition = {"CopySourceIfMatch": file.etag} if file.etag else {}

    def copy(client: S3Client) -> bool:
        client.copy(source, target, name, ExtraArgs=condition)
        return True

    return s3(target, copy, absent=("PreconditionFailed", "412", "NoSuchKey", "404")) is not None


def _free(file: FileInfo, to: str) -> tuple[str, bool]:
    """The name for the file in the archive, and whether its copy is there already."""
    for name in (to, _dated(file, to)):
        there = file_now(name)
        if there is None:
            return name, False
        if _is_copy(there, file):
            return name, True
    raise SinkError(f"{file.path} is done, and cannot be moved: {_dated(file, to)} is another file")


def _dated(file: FileInfo, to: str) -> str:
    """`orders.csv.gz` as `orders.20260131T060000123Z.csv.gz`: its ending still tells its format."""
    folder, _, name = to.rpartition("/")
    stem, dot, ending = name.partition(".")
    when = datetime.fromtimestamp(file.modified / 1000, UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
    return f"{folder}/{stem}.{when}Z{dot}{ending}"


def _is_copy(copy: FileInfo, file: FileInfo) -> bool:
    """True for a copy of this very file: on a disk it has its time, on S3 it is younger, or of the same etag."""
    if copy.size != file.size:
        return False
    if not is_remote(file.path):
        return copy.modified == file.modified
    return copy.etag == file.etag or copy.modified > file.modified
