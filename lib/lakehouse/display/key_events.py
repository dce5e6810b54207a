"""One key of a history: its versions as bars along their own time, below them the events that they came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lakehouse.change_data.key_history import Event, KeyHistory, Version, order
from lakehouse.display.shown import Shown, shown
from lakehouse.errors import counted
from lakehouse.html_pages import markup
from lakehouse.html_pages.charts import svg
from lakehouse.html_pages.markup import NOTHING, Html, joined, text

_WIDTH, _LEFT, _BAR, _HEIGHT = 760, 10, 30, 92
_LETTER = 7  # how wide one is, about
_NOW = "now"


def key_events(found: KeyHistory, personal: Collection[str] = ()) -> Shown:
    """The picture and the table of a key's events in the order of their sequence; personal values as `***`.

    Without the picture where the table keeps no versions.
    """
    hidden = frozenset(name.lower() for name in personal)
    key = ", ".join(f"{name}={value}" for name, value in found.key.items())
    events = sorted(_events(found), key=lambda event: order(event.sequence))
    said = f"{found.table}, {key}: {counted(len(found.versions), 'version')}, {counted(len(events), 'event')}"
    rows = [
        [text(_text(event.sequence)), text(event.operation), text(_values(event.values, before, hidden)), text(event.run),
         text((event.file or "").rsplit("/", 1)[-1])]
        for event, before in zip(events, [{}, *(event.values for event in events)], strict=False)
    ]  # fmt: skip
    below = markup.table("", ("sequence", "operation", "what was new", "run", "file"), rows)
    has_bounds = any(version.start is not None for version in found.versions)
    drawn = _bars(found.versions, events, said, hidden) if has_bounds else NOTHING
    lines = [
        f"{_text(item.start)} .. {_text(item.end) or _NOW}  {_values(item.values, {}, hidden)}"
        for item in found.versions
    ]
    return shown(joined([Html(f"<b>{text(said)}</b><br>"), drawn, below]), "\n".join([said, *lines]))


def _events(found: KeyHistory) -> list[Event]:
    return [*found.others, *(event for version in found.versions for event in version.events)]


def _bars(versions: Sequence[Version], events: Sequence[Event], title: str, hidden: Collection[str]) -> Html:
    """A bar a version from its start to its end, a dot an event. Times stand at equal distances, whatever lies between."""
    times = [event.sequence for event in events]
    times += [bound for version in versions for bound in (version.start, version.end) if bound is not None]
    marks = sorted({order(time): time for time in times}.items(), key=lambda item: item[0])
    step = (_WIDTH - 2 * _LEFT) / max(1, len(marks))
    places = {place: _LEFT + step * index for index, (place, _) in enumerate(marks)}
    parts = [
        _bar(version, before, places, hidden)
        for version, before in zip(versions, [{}, *(item.values for item in versions)], strict=False)
    ]
    parts += [f"<circle class='point' cx='{places[order(event.sequence)]:.1f}' cy='62' r='4'/>" for event in events]
    room = int(step / _LETTER)
    parts += [
        f"<text class='soft' x='{places[place]:.1f}' y='84'>{text(_cut(_text(time), room))}</text>"
        for place, time in marks
    ]
    return svg(_WIDTH, _HEIGHT, title, "".join(parts))


def _bar(version: Version, before: Mapping[str, Any], places: Mapping[Any, float], hidden: Collection[str]) -> str:
    x = places[order(version.start)]
    end = _WIDTH - _LEFT if version.end is None else places[order(version.end)]
    said = _values(version.values, before, hidden)
    return (
        f"<rect class='box' x='{x:.1f}' y='12' width='{max(end - x - 2, 2):.1f}' height='{_BAR}' rx='4'>"
        f"<title>{text(_values(version.values, {}, hidden))}</title></rect>"
        f"<text x='{x + 8:.1f}' y='31'>{text(_cut(said, int((end - x - 12) / _LETTER)))}</text>"
    )


def _values(values: Mapping[str, Any], before: Mapping[str, Any], hidden: Collection[str]) -> str:
    """What differs from what was before; all of it where nothing was."""
    new = {name: value for name, value in values.items() if name not in before or before[name] != value}
    return ", ".join(f"{name}={_value(name, value, hidden)}" for name, value in new.items())


def _value(name: str, value: Any, hidden: Collection[str]) -> str:
    return "NULL" if value is None else "***" if name.lower() in hidden else str(value)


def _text(value: Any) -> str:
    """A sequence as people read it; several columns with a slash between."""
    if isinstance(value, dict):
        return "/".join(map(_text, value.values()))
    return "" if value is None else str(value)


def _cut(said: str, room: int) -> str:
    return said if len(said) <= room else f"{said[: max(room - 1, 0)]}…" if room > 1 else ""
