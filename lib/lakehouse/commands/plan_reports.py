"""What `lakehouse plan` prints of the changes that a run would make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lakehouse.errors import counted
from lakehouse.html_pages.figures import size
from lakehouse.planning.changes import Changes, ColumnChange, Reading, TableChange
from lakehouse.terminal import painted

_SIGNS = {"added": ("+", "green"), "widened": ("~", "yellow"), "narrowed": ("!", "red"), "dropped": ("-", "red")}
NOTHING = "no changes: nothing new to read, tables as the job says"


def changes_text(changes: Changes, *, colours: bool) -> str:
    """What would be read, what becomes of each target column by column, whom it touches; one line where nothing changes."""
    lines = [f"  next       {reading_text(read)}" for read in changes.reads]
    for table in changes.tables:
        lines += _table_lines(table, colours=colours)
    if changes.downstream and not changes.nothing:
        lines.append(f"  touches    {', '.join(changes.downstream)}")
    lines += [f"  note       {note}" for note in changes.notes]
    later = any(table.columns or table.settings for table in changes.tables)
    if changes.nothing:
        lines.append(f"  {'no changes yet: nothing new to read' if later else NOTHING}")
    return "\n".join(lines)


def summary(found: Sequence[Changes]) -> str:
    """One line over all jobs and tables."""
    actions = [table.action for changes in found for table in changes.tables]
    parts = [f"{actions.count(action)} to {action}" for action in ("create", "alter", "write") if action in actions]
    return f"{counted(len(found), 'job')}: {', '.join(parts) or 'no changes'}"


def reading_text(read: Reading) -> str:
    """An input: its new files, versions or messages, and about how many rows they hold."""
    if not read.new:
        at = f" (version {read.version})" if read.version is not None else ""
        return f"{read.name}: nothing new{at}"
    parts = []
    if read.from_version is not None and read.version is not None:
        last = f" to {read.version}" if read.version > read.from_version else ""
        parts.append(f"version {read.from_version}{last}")
    elif read.version is not None:
        parts.append(f"version {read.version}")
    if read.files is not None:
        parts.append(counted(read.files, "file"))
    if read.bytes is not None:
        parts.append(size(read.bytes))
    if read.rows is not None:
        parts.append(f"about {counted(read.rows, 'row')}")
    return f"{read.name}: {', '.join([*parts, *([read.detail] if read.detail else [])]) or 'all of it'}"


def column_text(change: ColumnChange) -> str:
    """A column's name and its types, before and after."""
    kinds = (
        f"{change.before} -> {change.after}" if change.before and change.after else change.before or change.after or ""
    )
    said = {"widened": " (wider)", "narrowed": " (narrower)", "dropped": " (dropped)"}.get(change.kind, "")
    return f"{change.name} {kinds}".rstrip() + said


def _table_lines(table: TableChange, *, colours: bool) -> Iterator[str]:
    now = "" if table.version is None else f", now version {table.version}"
    word = table.action if table.action != "none" else "later" if table.columns or table.settings else None
    if word is not None:
        yield f"  {word:<10} {table.table} ({table.sink}{now})"
    for change in table.columns:
        sign, colour = _SIGNS[change.kind]
        yield painted(f"               {sign} {column_text(change)}", colour, on=colours)
    yield from (f"               {painted('~', 'yellow', on=colours)} {said}" for said in table.settings)
    if table.ignored:
        yield f"  leaves out {', '.join(table.ignored)} ({table.table} takes no new columns)"
