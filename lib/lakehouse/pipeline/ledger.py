"""The files that a job took: the last ones with its progress, the others in parts that are rewritten a few times at most.

A part is written under a name of its own before the progress names it, so that a crash between leaves the old ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lakehouse.landing.taken import Taken, as_row
from lakehouse.pipeline.progress import Part, Progress, digest_of, taken_of, write_object
from lakehouse.storage import delete, list_files

_WITH_PROGRESS = 1_000  # files in progress.json, which is written whole after each batch
_LONGER = 4  # a part is so many times as long as the one behind it, or they are put together
_FOLDER = "files"


def with_taken(folder: str, progress: Progress, files: Mapping[str, Taken]) -> Progress:
    """The progress with these files taken too; it is not saved yet, but its new part is written, where it has one."""
    recent = {**progress.recent, **files}
    if len(recent) <= _WITH_PROGRESS:
        return replace(progress, recent=recent)
    packed, parts = {**progress.packed, **recent}, progress.parts
    while parts and parts[-1].files < _LONGER * len(recent):
        recent = {**taken_of(folder, parts[-1:]), **recent}
        parts = parts[:-1]
    return replace(progress, recent={}, packed=packed, parts=(*parts, _written(folder, recent)))


def _written(folder: str, files: Mapping[str, Taken]) -> Part:
    value = {"files": [as_row(path, taken) for path, taken in files.items()]}
    digest = digest_of(value)
    name = f"{_FOLDER}/{digest[:16]}.json"
    write_object(f"{folder}/{name}", value)
    return Part(name, len(files), digest)


def drop_old_parts(folder: str, progress: Progress, before: Progress) -> None:
    """Takes away the parts that the saved progress does not name any more, where it names others than before."""
    if progress.parts == before.parts:
        return
    kept = {f"{folder}/{part.name}" for part in progress.parts}
    for file in list_files(f"{folder}/{_FOLDER}"):
        if file.path not in kept:
            delete(file.path)
