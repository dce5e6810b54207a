"""The commits of a Delta table as its log tells them, read without Spark: whose write each was, and what it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lakehouse.storage import read_text


@dataclass(frozen=True)
class Commit:
    """A write's identity (`app_id` = job / target / step / checkpoint, `batch`) and what is noted beside it."""

    app_id: str
    batch: int
    note: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metadata(self) -> str:
        """The note as the commit's `userMetadata`."""
        return json.dumps(self.note, default=str, sort_keys=True)


@dataclass(frozen=True)
class CommitInfo:
    """A commit as the log tells it: version, Delta's own metrics (rows, files) and our note."""

    version: int
    metrics: dict[str, int]
    note: dict[str, Any]
    operation: str = ""
    changes_rows: bool = False
    """False where rows were only laid out anew, or the table's settings changed."""

    @property
    def inserted(self) -> int:
        """The rows that came into the table, by a MERGE or by an append."""
        return self.metrics.get("numTargetRowsInserted", self.metrics.get("numOutputRows", 0))

    @property
    def updated(self) -> int:
        """The rows of the table that a MERGE changed."""
        return self.metrics.get("numTargetRowsUpdated", 0)

    @property
    def deleted(self) -> int:
        """The rows that a MERGE took out of the table."""
        return self.metrics.get("numTargetRowsDeleted", 0)


def find_commit(path: str, latest: int, commit: Commit, depth: int = 200) -> CommitInfo | None:
    """The commit that this identity made, looked for backwards from the latest version."""
    for version in range(latest, max(-1, latest - depth), -1):
        actions = _actions(path, version)
        for action in actions:
            txn = action.get("txn")
            if txn and txn["appId"] == commit.app_id and int(txn["version"]) == commit.batch:
                return _commit_info(version, actions)
    return None


def latest_note(path: str, latest: int, fits: Callable[[Mapping[str, Any]], bool]) -> CommitInfo | None:
    """The newest commit whose note fits."""
    for version in range(latest, -1, -1):
        found = _commit_info(version, _actions(path, version))
        if fits(found.note):
            return found
    return None


def newest(
    path: str, latest: int, oldest: int, fits: Callable[[Mapping[str, Any]], bool]
) -> tuple[CommitInfo | None, CommitInfo | None]:
    """The newest commit after `oldest` whose note fits, and the newest one since then that changed rows."""
    stranger: CommitInfo | None = None
    for version in range(latest, oldest, -1):
        actions = _actions(path, version)
        if not actions:  # what lies before was cleaned up
            break
        found = _commit_info(version, actions)
        if fits(found.note):
            return found, stranger
        if stranger is None and found.changes_rows:
            stranger = found
    return None, stranger


def rows_added(path: str, first: int, last: int) -> int | None:
    """The rows of the files that these versions added; None where a version is gone, or a file has no statistics."""
    rows = 0
    for version in range(first, last + 1):
        actions = _actions(path, version)
        added = [action["add"] for action in actions if "add" in action and action["add"].get("dataChange")]
        known = [json.loads(file.get("stats") or "{}").get("numRecords") for file in added]
        if not actions or None in known:
            return None
        rows += sum(known)
    return rows


def rows_changed(path: str, first: int, last: int) -> int:
    """The rows that the change data feed tells of these versions: of an update the row before and the row after it."""
    found = [_commit_info(version, _actions(path, version)) for version in range(first, last + 1)]
    return sum(info.inserted + 2 * info.updated + info.deleted for info in found if info.changes_rows)


def _actions(path: str, version: int) -> list[dict[str, Any]]:
    text = read_text(f"{path}/_delta_log/{version:020d}.json")
    return [json.loads(line) for line in text.splitlines() if line] if text else []


def _commit_info(version: int, actions: Sequence[Mapping[str, Any]]) -> CommitInfo:
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    changed = any(
        file.get("dataChange") for action in actions for kind in ("add", "remove") if (file := action.get(kind))
    )
    return replace(info_of(version, info), changes_rows=changed)


def info_of(version: int, said: Mapping[str, Any]) -> CommitInfo:
    """A commit out of its `commitInfo`, as the log or delta-rs's history has it; whether rows changed is not told there."""
    metrics = {
        name: int(value)
        for name, value in (said.get("operationMetrics") or {}).items()
        if str(value).lstrip("-").isdigit()
    }
    try:
        note = json.loads(said.get("userMetadata") or "{}")
    except (TypeError, ValueError):  # somebody else's metadata
        note = {}
    return CommitInfo(version, metrics, note if isinstance(note, dict) else {}, str(said.get("operation", "write")))
