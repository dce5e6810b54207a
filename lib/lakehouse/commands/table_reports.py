"""What the commands on one table print: a key's history, a rebuilt table's difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.change_data.key_history import Event, KeyHistory, Version, order
from lakehouse.errors import counted
from lakehouse.history.difference import DELETED, INSERTED, UPDATED
from lakehouse.pipeline.rebuilding import Change, Rebuilt


def history_text(found: KeyHistory) -> str:
    """The versions in their order, below each the events that it came from, and between them the deletes.

    Of an event the values that differ from those of the event before it.
    """
    key = ", ".join(f"{name}={value}" for name, value in found.key.items())
    events = len(found.others) + sum(len(version.events) for version in found.versions)
    head = f"{found.table}, {key}: {counted(len(found.versions), 'version')}, {counted(events, 'event')}"
    blocks = [(version.start, [f"= {_version_text(version)}"], version.events, "    ") for version in found.versions]
    blocks += [(event.sequence, [], (event,), "* ") for event in found.others]
    if all(start is not None for start, *_ in blocks):
        blocks.sort(key=lambda block: order(block[0]))
    lines, before = [head], Event(None, "", {}, None, None)
    for _, title, of_block, mark in blocks:
        lines += title
        for event in of_block:
            lines.append(f"{mark}{_event_text(event, before)}")
            before = event
    return "\n".join(lines)


def rebuilt_text(found: Rebuilt) -> str:
    """How a rebuilt table differs, and what became of it."""
    if not found.total:
        mended = "" if found.version is None else f"; its events were not, and both are anew (version {found.version})"
        return f"{found.table}: rebuilt from its source it is the same, row for row{mended}"
    new, gone, other = (found.counts[kind] for kind in (INSERTED, DELETED, UPDATED))
    lines = [
        f"{found.table}: rebuilt from its source it has {counted(new, 'row')} more, lacks {gone:,}, and {counted(other, 'differs', 'differ')}"
    ]
    lines += [_change_text(change) for change in found.shown]
    if found.total > len(found.shown):
        lines.append(f"  ... and {found.total - len(found.shown):,} more")
    replaced = f"replaced: this is version {found.version} of {found.table}; the one before stays in its history"
    kept = f"nothing was replaced; `lakehouse rebuild {found.table} --replace` makes it the table's next version"
    return "\n".join([*lines, kept if found.version is None else replaced])


def _change_text(change: Change) -> str:
    identity = _values(change.identity)
    if change.before is None or change.after is None:
        return f"  {'+' if change.before is None else '-'} {identity}  {_values(change.before or change.after or {})}"
    after = change.after
    said = [f"{name} {_or_null(old)} -> {_or_null(after[name])}" for name, old in change.before.items()]
    return f"  ~ {identity}  {', '.join(said)}"


def _version_text(version: Version) -> str:
    values = _values(version.values)
    return values if version.start is None else f"{_text(version.start)} .. {_text(version.end) or 'now'}  {values}"


def _event_text(event: Event, before: Event) -> str:
    source = f", {event.file.rsplit('/', 1)[-1]}" if event.file else ""
    changed = {
        name: value for name, value in event.values.items() if name not in before.values or before.values[name] != value
    }
    given = f"  {_values(changed) or 'nothing new'}" if event.values else ""
    return f"{_text(event.sequence)}  {event.operation}{given}  (run {event.run}{source})"


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_or_null(value)}" for name, value in values.items())


def _or_null(value: Any) -> str:
    return "NULL" if value is None else str(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "/".join(map(_text, value.values()))
    return "" if value is None else str(value)
