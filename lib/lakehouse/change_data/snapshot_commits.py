"""The commits of one batch of snapshots: each has an identity of its own, and is counted once however often the batch is tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count, takewhile

from lakehouse import lake
from lakehouse.commits import CommitInfo
from lakehouse.targets import Write, Written, earlier_write


@dataclass
class Counts:
    """What the snapshots of a batch did, one added to the other."""

    rows: int = 0
    inserted: int = 0
    updated: int = 0
    target_inserted: int = 0
    target_updated: int = 0
    target_deleted: int = 0
    version: int | None = None
    notes: list[str] = field(default_factory=list)
    committed: set[str | None] = field(default_factory=set)
    """The versions of the snapshots that have a commit."""

    def add(self, counts: Mapping[str, int], info: CommitInfo | None) -> None:
        """Adds one snapshot."""
        self.rows += counts["rows"]
        self.inserted += counts["inserted"]
        self.updated += counts["updated"]
        if info is not None:
            self.target_inserted += info.inserted
            self.target_updated += info.updated
            self.target_deleted += info.deleted
            self.version = info.version

    def written(self, table: str, ignored: tuple[str, ...]) -> Written:
        """All of it as one write."""
        return Written(
            table, self.version, self.rows, self.inserted, self.updated, 0, self.rows - self.inserted - self.updated,
            target_inserted=self.target_inserted, target_updated=self.target_updated,
            target_deleted=self.target_deleted, ignored=ignored, notes=tuple(self.notes),
        )  # fmt: skip


def earlier(before: lake.Snapshot | None, write: Write) -> Counts:
    """What an earlier try of this batch had got in."""
    done = Counts()
    for named in takewhile(lambda named: _is_used(named, before), _identities(write)):
        info = earlier_write(before, named)
        if info is not None:
            done.add(info.note, info)
            done.committed.add(info.note["snapshot"])
    return done


def _identities(write: Write) -> Iterator[Write]:
    """The write under one identity after the other: each snapshot of a batch is a commit of its own."""
    job, _, checkpoint = write.commit.app_id.rpartition("/")
    for number in count():
        app_id = write.commit.app_id if number == 0 else f"{job}/{number}/{checkpoint}"
        yield replace(write, commit=replace(write.commit, app_id=app_id))


def unused(write: Write, before: lake.Snapshot | None) -> Write:
    """The write under the first identity that this batch has not used yet."""
    return next(named for named in _identities(write) if not _is_used(named, before))


def _is_used(write: Write, before: lake.Snapshot | None) -> bool:
    return before is not None and before.has(write.commit)


def batch_name(write: Write) -> str:
    """The batch, as the snapshots that it brought are remembered."""
    return f"{write.commit.app_id}#{write.commit.batch}"
