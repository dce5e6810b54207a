"""Quarantined files that were mended: each is read again as a batch of its job, with the same rules, sinks and quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lakehouse.errors import DataError, counted
from lakehouse.landing.looks import file_now
from lakehouse.landing.taken import Taken, as_row, from_row
from lakehouse.pipeline import progress
from lakehouse.pipeline.ledger import drop_old_parts, with_taken
from lakehouse.pipeline.run_state import Run
from lakehouse.pipeline.taking import reasons_text, take_once, unreadable
from lakehouse.planning.plan import Plan


def replay_files(run: Run, pin: Mapping[str, Any], ids: Mapping[str, Sequence[str]]) -> None:
    """Takes the files (paths with the ids of their rows in the quarantine) as one batch; what still cannot be read stays
    there, open, and is noted. Raises DataError where no file can be read."""
    bad: dict[str, str] = {}
    files = []
    for path in sorted(ids):
        file = file_now(path)
        if file is None:
            bad[path] = "it is gone"
        else:
            files.append(as_row(path, Taken(file.size, file.modified, file.etag)))
    while files:
        replayed = {row[0]: list(ids[row[0]]) for row in files}
        found = {**pin, "files": files, "replayed": replayed, "_notes": _notes(bad)}
        try:
            take_once(run, found)
        except Exception as error:
            bad |= unreadable(run, found, error)
            files = [row for row in files if row[0] not in bad]
        else:
            know_files(run.plan, found)
            return
    if not run.record.batches:
        raise DataError("; ".join(_notes(bad)))
    run.record = replace(run.record, notes=(*run.record.notes, *_notes(bad)))


def know_files(plan: Plan, pin: Mapping[str, Any]) -> None:
    """Tells the job's own progress that these files are taken as they are now: they are bad no more."""
    folder = plan.layout.checkpoint(plan.name)
    state, _ = progress.load(folder)
    files = {path: taken for path, taken in map(from_row, pin["files"]) if path in state.taken}
    if files:
        after = with_taken(folder, state, files)
        progress.save(folder, after)
        drop_old_parts(folder, after, state)


def _notes(bad: Mapping[str, str]) -> list[str]:
    return [f"{counted(len(bad), 'file')} still cannot be read: {reasons_text(bad)}"] if bad else []
