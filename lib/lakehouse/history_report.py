"""What `lakehouse history` prints of one key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.change_data.key_history import Event, KeyHistory, Version, order


def history_text(found: KeyHistory) -> str:
    """The versions in their order, below each the events that it came from, and between them the deletes."""
    key = ", ".join(f"{name}={value}" for name, value in found.key.items())
    events = len(found.others) + sum(len(version.events) for version in found.versions)
    head = f"{found.table}, {key}: {_counted(len(found.versions), 'version')}, {_counted(events, 'event')}"
    blocks = [(version.start, _version_text(version)) for version in found.versions]
    blocks += [(event.sequence, f"* {_event_text(event)}") for event in found.others]
    if all(start is not None for start, _ in blocks):
        blocks.sort(key=lambda block: order(block[0]))
    return "\n".join([head, *(text for _, text in blocks)])


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _version_text(version: Version) -> str:
    values = _values(version.values)
    held = values if version.start is None else f"{_text(version.start)} .. {_text(version.end) or 'now'}  {values}"
    return "\n".join([f"= {held}", *(f"    {_event_text(event)}" for event in version.events)])


def _event_text(event: Event) -> str:
    source = f", {event.file.rsplit('/', 1)[-1]}" if event.file else ""
    given = f"  {_values(event.values)}" if event.values else ""
    return f"{_text(event.sequence)}  {event.operation}{given}  (run {event.run}{source})"


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={'NULL' if value is None else value}" for name, value in values.items())


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "/".join(map(_text, value.values()))
    return "" if value is None else str(value)
