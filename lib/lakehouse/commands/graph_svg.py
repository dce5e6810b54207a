"""The flow through jobs as an SVG file of its own: drawn here, without another program, a font or a script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lakehouse.planning.flow import Flow, Node

_WIDE, _HIGH, _GAP, _BETWEEN, _EDGE = 210, 30, 14, 56, 12
_LETTERS = 30
_SWEEPS = 6
_STYLE = """
svg { --ink: #1c2024; --soft: #8a949e; --paper: #ffffff; --job: #eef3fb; --table: #f7f7f4; }
@media (prefers-color-scheme: dark) { svg { --ink: #e8eaed; --soft: #76818c; --paper: #15181c; --job: #223047; --table: #1f2428; } }
.paper { fill: var(--paper); } text { fill: var(--ink); font: 13px system-ui, sans-serif; }
rect { stroke: var(--soft); fill: var(--table); } .job { fill: var(--job); } .outside { stroke-dasharray: 4 3; }
.bronze { stroke: #b06a2c; } .silver { stroke: #7a8794; } .gold { stroke: #c79a00; }
path { fill: none; stroke: var(--soft); stroke-width: 1.3; } .head { fill: var(--soft); stroke: none; }
"""


def svg(flow: Flow) -> str:
    """The drawing, from left to right: a column holds what is as many steps from its furthest source."""
    columns = _ordered(flow, _columns(flow))
    high = max((len(column) for column in columns), default=0) * (_HIGH + _GAP) - _GAP
    places = {
        place: (_EDGE + number * (_WIDE + _BETWEEN), _EDGE + _top(column, high) + row * (_HIGH + _GAP))
        for number, column in enumerate(columns)
        for row, place in enumerate(column)
    }
    width = max(0, len(columns) * (_WIDE + _BETWEEN) - _BETWEEN) + 2 * _EDGE
    height = max(0, high) + 2 * _EDGE
    lines = [_line(places[start], places[end]) for start, end in flow.edges]
    boxes = [_box(flow.nodes[place], *at) for place, at in places.items()]
    jobs = sum(node.kind == "job" for node in flow.nodes)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{jobs} jobs and what they read and write</title><style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}" stroke="none"/>', *lines, *boxes, "</svg>",
    ])  # fmt: skip


def _columns(flow: Flow) -> list[list[int]]:
    """The nodes by their distance: the nodes stand in run order, so that what comes before a node is known before it."""
    depth: dict[int, int] = {}
    open_ = list(range(len(flow.nodes)))
    while open_:
        ready = [place for place in open_ if all(before in depth for before in flow.before(place))]
        for place in ready:
            depth[place] = max((depth[before] + 1 for before in flow.before(place)), default=0)
        open_ = [place for place in open_ if place not in depth]
    found: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for place, number in depth.items():
        found[number].append(place)
    return found


def _ordered(flow: Flow, columns: list[list[int]]) -> list[list[int]]:
    """Each column by the middle of its neighbours, to and fro: fewer lines cross."""
    for sweep in range(_SWEEPS):
        row = {place: number / max(1, len(column)) for column in columns for number, place in enumerate(column)}
        neighbours = flow.before if sweep % 2 == 0 else flow.after
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            column.sort(key=lambda place: _middle([row[other] for other in neighbours(place)], row[place]))
            row |= {place: number / len(column) for number, place in enumerate(column)}
    return columns


def _middle(rows: Sequence[float], own: float) -> float:
    return sum(rows) / len(rows) if rows else own


def _top(column: Sequence[int], high: int) -> float:
    return (high - (len(column) * (_HIGH + _GAP) - _GAP)) / 2


def _box(node: Node, x: float, y: float) -> str:
    """A job's box is round, a table's is not; a name that is too long keeps its end, and is whole as a tooltip."""
    name = node.name if len(node.name) <= _LETTERS else f"…{node.name[1 - _LETTERS :]}"
    round_ = _HIGH // 2 if node.kind == "job" else 4
    return (
        f'<g><title>{escape(node.name)}</title><rect class="{node.kind} {escape(node.layer)}" x="{x:.1f}" y="{y:.1f}" '
        f'width="{_WIDE}" height="{_HIGH}" rx="{round_}"/><text x="{x + _WIDE / 2:.1f}" y="{y + 20:.1f}" '
        f'text-anchor="middle">{escape(name)}</text></g>'
    )


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A curve from a box's right side to another's left one, with an arrow's head."""
    x, y, to, at = start[0] + _WIDE, start[1] + _HIGH / 2, end[0], end[1] + _HIGH / 2
    middle = (x + to) / 2
    return (
        f'<path d="M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {at:.1f} {to - 6:.1f} {at:.1f}"/>'
        f'<path class="head" d="M{to:.1f} {at:.1f}l-7 -4v8z"/>'
    )
