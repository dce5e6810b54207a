"""Whether a target and the events that it was made from belong together: each is held against what the other's log notes.

A commit to the target names the version of the event log behind it, and the event log the last commit that followed it.
So an older copy of either, or rows that somebody else changed, are seen by reading the newest commit of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse import lake
from lakehouse.commits import newest

CHANGES = "changes"
"""In the note beside events: how many rows of the target follow them."""

MADE = "made"
"""In the note beside events: the last commit that changed the target, as its app id and batch."""

ADOPTED = "adopted"
"""In the note beside events: the version of the target whose rows were taken for its events."""

_LOG_VERSION = "log_version"


def link(log: lake.Snapshot | None) -> dict[str, int]:
    """For the note of a commit to the target: the version of the event log that holds its events once they are added."""
    return {_LOG_VERSION: log.version + 1 if log else 0}


def is_in(target: lake.Snapshot, made: tuple[str, int] | None) -> bool:
    """True where the target holds this commit; of no commit it holds all."""
    return made is None or target.batches.get(made[0], -1) >= made[1]


def made_by(note: Mapping[str, Any]) -> tuple[str, int] | None:
    """The commit to the target that the events of a note led to, theirs or one before."""
    made = note.get(MADE)
    return (str(made[0]), int(made[1])) if made else None


def disagreement(log: lake.Snapshot, target: lake.Snapshot, table: str) -> str | None:
    """Why the events are not those that the target was made from, or None where they are. Reads the newest commits alone."""
    said, stranger = newest(log.path, log.version, -1, lambda note: CHANGES in note)
    if stranger is not None:
        return f"the events of {table} were changed by a {stranger.operation} that no run made (version {stranger.version})"
    note = said.note if said is not None else {}
    own, stranger = newest(target.path, target.version, note.get(ADOPTED, -1), lambda note: _LOG_VERSION in note)
    if stranger is not None:
        return f"{table} was changed by a {stranger.operation} that left no events (version {stranger.version})"
    if own is not None and own.note[_LOG_VERSION] > log.version:
        return f"the events of {table} are older than the table; was a copy put back?"
    if not is_in(target, made_by(note)):
        return f"{table} is older than its events; was a copy put back?"
    return None


def remedy(table: str) -> str:
    """What makes both anew."""
    return f"`lakehouse rebuild {table} --replace`, or --full-refresh, makes both anew from the source"
