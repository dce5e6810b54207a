"""Where the rows of a run went, drawn as bands as wide as the rows are many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lakehouse.html_pages.charts import svg
from lakehouse.html_pages.figures import share
from lakehouse.html_pages.markup import NOTHING, Html, text
from lakehouse.runs import RunRecord

FATES = ("valid", "quarantined", "dropped", "late")
"""What becomes of a row that was read."""
EFFECTS = ("inserted", "updated", "deleted", "unchanged")
"""What a row that reaches a sink causes."""

_HEIGHT, _BAR, _SLOT, _GAP, _TOP = 190, 9, 34, 8, 6
_WIDE, _NARROW = 840, 316
_THINNEST = 1.0  # a flow of few rows is still seen


@dataclass(frozen=True)
class Node:
    """Rows in one state; `kind` colours them, `share_of` is what they are a part of."""

    name: str
    rows: int
    kind: str
    share_of: int = 0


@dataclass(frozen=True)
class Band:
    """Rows on their way: `leaving` the node of one name, `arriving` at the other; transforms make them more or fewer."""

    start: str
    end: str
    leaving: int
    arriving: int


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    height: float


def balance(record: RunRecord) -> tuple[tuple[str, bool], ...]:
    """The two sums that every run owes, in words, and whether each holds; of a run that read nothing none."""
    found = []
    for whole, name, parts in (("rows_read", "read", FATES), ("rows_to_sink", "to the sink", EFFECTS)):
        rows = {part: int(getattr(record, f"rows_{part}")) for part in parts}
        total = int(getattr(record, whole))
        if total or any(rows.values()):
            said = " + ".join(f"{number:,} {part}" for part, number in rows.items() if number) or "0"
            found.append((f"{total:,} {name} = {said}", total == sum(rows.values())))
    return tuple(found)


def flow(record: RunRecord) -> Html:
    """The drawing, once for a wide screen and once for a narrow one; nothing where no row moved."""
    columns, bands = _columns(record), _bands(record)
    if not columns:
        return NOTHING
    whole = _drawn(columns, bands, _WIDE, "wide flow")
    halves = [_drawn(half, bands, _NARROW, "narrow flow") for half in (columns[:2], columns[2:]) if half]
    return Html(whole + "".join(halves))


def _columns(record: RunRecord) -> list[list[Node]]:
    """What stands in the drawing from left to right; of nothing there is no node."""
    read, sunk = record.rows_read, record.rows_to_sink
    fates = [Node(name, getattr(record, f"rows_{name}"), name, read) for name in FATES]
    sides = [Node("open", record.rows_open, "open", record.rows_valid), Node("unrouted", record.rows_unrouted, "dropped", record.rows_valid)]  # fmt: skip
    effects = [Node(name, getattr(record, f"rows_{name}"), name, sunk) for name in EFFECTS]
    columns = [[Node("read", read, "read")], fates, [Node("to the sink", sunk, "sink"), *sides], effects]
    return [kept for column in columns if (kept := [node for node in column if node.rows])]


def _bands(record: RunRecord) -> list[Band]:
    fates = [Band("read", name, rows, rows) for name in FATES if (rows := getattr(record, f"rows_{name}"))]
    sides = [
        Band("valid", name, rows, rows) for name in ("open", "unrouted") if (rows := getattr(record, f"rows_{name}"))
    ]
    on = max(0, record.rows_valid - sum(band.leaving for band in sides))
    onward = [Band("valid", "to the sink", on, record.rows_to_sink)] if record.rows_to_sink else []
    effects = [Band("to the sink", name, rows, rows) for name in EFFECTS if (rows := getattr(record, f"rows_{name}"))]
    return [*fates, *onward, *sides, *effects]


def _drawn(columns: Sequence[Sequence[Node]], bands: Sequence[Band], width: int, kind: str) -> Html:
    boxes = dict(_placed(columns, width))
    nodes = [node for column in columns for node in column]
    height = max(box.y + max(box.height, _SLOT) for box in boxes.values()) + _TOP
    drawn = [*_band_paths(bands, boxes, {node.name: node.kind for node in nodes}, _scale(columns))]
    drawn += [_node(node, boxes[node.name]) for node in nodes]
    title = "; ".join(f"{node.rows:,} {node.name}" for node in nodes)
    return svg(width, round(height), f"Rows: {title}", "".join(drawn), kind)


def _scale(columns: Sequence[Sequence[Node]]) -> float:
    """Pixels a row: the fullest column fills the height."""
    return _HEIGHT / max(sum(node.rows for node in column) for column in columns)


def _placed(columns: Sequence[Sequence[Node]], width: int) -> Iterator[tuple[str, _Box]]:
    """Each node's bar; below a thin one there is room for its words."""
    scale, step = _scale(columns), width / max(2, len(columns))
    for index, column in enumerate(columns):
        y = float(_TOP)
        for node in column:
            height = max(_THINNEST, node.rows * scale)
            yield node.name, _Box(index * step, y, height)
            y += max(height, _SLOT) + _GAP


def _band_paths(
    bands: Sequence[Band], boxes: Mapping[str, _Box], kinds: Mapping[str, str], scale: float
) -> Iterator[str]:
    """The bands between nodes that are both drawn; those that leave one node lie below each other."""
    used: dict[str, float] = {}
    for band in bands:
        if band.start in boxes and band.end in boxes:
            start, end = boxes[band.start], boxes[band.end]
            leaving, arriving = (max(_THINNEST, rows * scale) for rows in (band.leaving, band.arriving))
            top = start.y + used.get(band.start, 0.0)
            used[band.start] = used.get(band.start, 0.0) + leaving
            left, right = start.x + _BAR, end.x
            middle = (left + right) / 2
            yield (
                f"<path class='band {kinds[band.end]}' d='M{left:.1f} {top:.1f}C{middle:.1f} {top:.1f} {middle:.1f} "
                f"{end.y:.1f} {right:.1f} {end.y:.1f}V{end.y + arriving:.1f}C{middle:.1f} {end.y + arriving:.1f} "
                f"{middle:.1f} {top + leaving:.1f} {left:.1f} {top + leaving:.1f}Z'/>"
            )


def _node(node: Node, box: _Box) -> str:
    part = f" ({share(node.rows, node.share_of)})" if node.share_of else ""
    x = box.x + _BAR + 6
    return (
        f"<rect class='{node.kind}' x='{box.x:.1f}' y='{box.y:.1f}' width='{_BAR}' height='{box.height:.1f}'/>"
        f"<text class='strong' x='{x:.1f}' y='{box.y + 12:.1f}'>{node.rows:,}</text>"
        f"<text x='{x:.1f}' y='{box.y + 27:.1f}'>{text(node.name)}<tspan class='soft'>{text(part)}</tspan></text>"
    )
