"""The commits of a table, as its Delta log tells them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lakehouse.commits import CommitInfo
from lakehouse.display.shown import Shown, shown
from lakehouse.errors import counted
from lakehouse.html_pages import markup
from lakehouse.html_pages.figures import moment
from lakehouse.html_pages.markup import text
from lakehouse.reports import table

_HEAD = ("version", "time (UTC)", "operation", "run", "rows inserted", "updated", "deleted")


def commit_list(name: str, entries: Sequence[Mapping[str, Any]]) -> Shown:
    """A row a commit, the newest first; the run of the product's own ones, so that `lakehouse runs` can be asked for it."""
    cells = [_cells(entry) for entry in entries]
    said = f"{name}: {counted(len(cells), 'commit')}"
    html = markup.table(said, _HEAD, [[text(cell) for cell in row] for row in cells], (0, 4, 5, 6))
    return shown(html, f"{said}\n{table(_HEAD, cells)}")


def _cells(entry: Mapping[str, Any]) -> list[str]:
    info = CommitInfo(int(entry["version"]), _metrics(entry), _note(entry))
    when = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
    rows = [f"{count:,}" if info.metrics else "" for count in (info.inserted, info.updated, info.deleted)]
    return [str(info.version), moment(when), str(entry.get("operation", "")), str(info.note.get("run_id", "")), *rows]


def _metrics(entry: Mapping[str, Any]) -> dict[str, int]:
    given = entry.get("operationMetrics") or {}
    return {key: int(value) for key, value in given.items() if str(value).isdigit()}


def _note(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the product noted beside its commit; nothing where somebody else wrote it."""
    try:
        found = json.loads(entry.get("userMetadata") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
