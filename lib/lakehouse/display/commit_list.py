"""The commits of a table, as its Delta log tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lakehouse.commits import info_of
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
    info = info_of(int(entry["version"]), entry)
    when = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
    rows = [f"{count:,}" if info.metrics else "" for count in (info.inserted, info.updated, info.deleted)]
    return [str(info.version), moment(when), str(entry.get("operation", "")), str(info.note.get("run_id", "")), *rows]
