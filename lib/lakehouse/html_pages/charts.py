"""Small charts as inline SVG: a sparkline, a line over runs with its axes and values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lakehouse.html_pages.figures import short
from lakehouse.html_pages.markup import NOTHING, Html, text

_SPARK = (110, 24)
_PLOT = (420, 160)
_LEFT, _TOP, _BELOW, _RIGHT = 58, 14, 24, 14  # the room of a plot's axes


@dataclass(frozen=True)
class Point:
    """A value of one run; `stands_out`: the run failed, and its point is marked."""

    label: str
    value: float
    stands_out: bool = False


def svg(width: int, height: int, title: str, body: str, kind: str = "") -> Html:
    """A drawing that is read out as its title."""
    said = text(title, 1000)
    return Html(
        f"<svg class='{kind}' role='img' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>"
        f"<title>{said}</title>{body}</svg>"
    )


def sparkline(values: Sequence[float], title: str) -> Html:
    """A line from the oldest value to the newest, from 0 at the bottom to the greatest at the top; nothing without any."""
    if not values:
        return NOTHING
    width, height = _SPARK
    top = max(values) or 1.0
    places = [
        (3 + (width - 6) * (index / (len(values) - 1) if len(values) > 1 else 1), height - 3 - (height - 6) * value / top)
        for index, value in enumerate(values)
    ]  # fmt: skip
    x, y = places[-1]
    dot = f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.5' class='point'/>"
    return svg(width, height, title, _line(places) + dot, "spark")


def line_plot(points: Sequence[Point], title: str, shown: Callable[[float], str] = short) -> Html:
    """The values in their order over axes: three steps from 0 upwards, the first and the last label below; each point
    says what it is where a pointer rests on it, the last one's value stands beside it.
    """
    width, height = _PLOT
    top = _ceiling(max((point.value for point in points), default=0))
    places = [_place(index, len(points), point.value / top) for index, point in enumerate(points)]
    body = [_axes(top, shown), _line(places)]
    for point, (x, y) in zip(points, places, strict=True):
        kind = "point odd" if point.stands_out else "point"
        said = text(f"{point.label}: {shown(point.value)}{', failed' if point.stands_out else ''}")
        body.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5' class='{kind}'><title>{said}</title></circle>")
    if points:
        body.append(_ends(points, places, shown))
    return svg(width, height, title, "".join(body), "plot")


def _ends(points: Sequence[Point], places: Sequence[tuple[float, float]], shown: Callable[[float], str]) -> str:
    width, height = _PLOT
    x, y = places[-1]
    value = f"<text class='strong' x='{x:.1f}' y='{max(11.0, y - 8):.1f}' text-anchor='end'>{text(shown(points[-1].value))}</text>"
    last = f"<text class='soft' x='{width - _RIGHT}' y='{height - 6}' text-anchor='end'>{text(points[-1].label)}</text>"
    first = f"<text class='soft' x='{_LEFT}' y='{height - 6}'>{text(points[0].label)}</text>"
    return value + last + (first if len(points) > 1 else "")


def _axes(top: float, shown: Callable[[float], str]) -> str:
    width, height = _PLOT
    lines = []
    for part in (0.0, 0.5, 1.0):
        y = height - _BELOW - (height - _BELOW - _TOP) * part
        lines.append(f"<path class='axis' d='M{_LEFT} {y:.1f}H{width - _RIGHT}'/>")
        lines.append(
            f"<text class='soft' x='{_LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{text(shown(top * part))}</text>"
        )
    return "".join(lines)


def _place(index: int, number: int, part: float) -> tuple[float, float]:
    """Where a point lies: runs at equal distances, a single one at the right end."""
    width, height = _PLOT
    along = index / (number - 1) if number > 1 else 1.0
    return _LEFT + (width - _LEFT - _RIGHT) * along, height - _BELOW - (height - _BELOW - _TOP) * part


def _line(places: Sequence[tuple[float, float]]) -> str:
    return (
        f"<polyline class='line' points='{' '.join(f'{x:.1f},{y:.1f}' for x, y in places)}'/>"
        if len(places) > 1
        else ""
    )


def _ceiling(value: float) -> float:
    """The next 1, 2, 4, 6, 8 or 10 times a power of ten: an axis' upper end, whose half is a plain number too."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if value <= step * power * (1 + 1e-9))
