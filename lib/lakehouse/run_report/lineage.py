"""What a run read and wrote, as a graph: inputs, the job, outputs and the quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.errors import counted
from lakehouse.html_pages.charts import svg
from lakehouse.html_pages.figures import size
from lakehouse.html_pages.markup import Html, text
from lakehouse.runs import Input, Output, RunRecord

_BOX, _HIGH, _GAP = 240, 46, 12
_WIDE, _NARROW, _RAIL = 840, 316, 22
_MOST = 8  # boxes a side; a table below names all
_LETTERS = 32


@dataclass(frozen=True)
class Box:
    """A thing with a line about it; `kind` is table, job or broken."""

    name: str
    said: str
    kind: str = "table"


@dataclass(frozen=True)
class _Placed:
    box: Box
    x: float
    y: float

    @property
    def middle(self) -> float:
        return self.y + _HIGH / 2


def input_text(item: Input) -> str:
    """Of a table the versions that were read, of files how many and how large."""
    parts = []
    if item.version is not None:
        since = f", what changed after {item.from_version}" if item.from_version is not None else ""
        parts.append(f"version {item.version}{since}")
    if item.files is not None:
        parts.append(counted(item.files, "file"))
    if item.bytes is not None:
        parts.append(size(item.bytes))
    return ", ".join(parts)


def output_text(item: Output) -> str:
    """The version that was made and the rows that changed in it."""
    if item.version is None and not item.rows:
        return "nothing to write"
    signs = {"+": item.target_rows_inserted, "~": item.target_rows_updated, "-": item.target_rows_deleted}
    changes = " ".join(f"{sign}{rows:,}" for sign, rows in signs.items() if rows)
    return ", ".join(filter(None, ["" if item.version is None else f"version {item.version}", changes]))


def graph(record: RunRecord, quarantine: str | None) -> Html:
    """The graph, once for a wide screen and once for a narrow one."""
    before = _few([Box(item.name, input_text(item)) for item in record.inputs])
    tables = [Box(item.name, output_text(item)) for item in record.outputs if item.name != quarantine]
    broken = [Box(item.name, output_text(item), "broken") for item in record.outputs if item.name == quarantine]
    if record.rows_quarantined and not broken:
        broken = [Box(quarantine or "quarantine", counted(record.rows_quarantined, "row"), "broken")]
    after = [*_few(tables), *broken]
    job = Box(record.job, f"{record.state}, {record.rows_read:,} rows in", "job")
    title = f"{record.job} reads {_named(before)} and writes {_named(after)}"
    return Html(_across(before, job, after, title) + _down(before, job, after, title))


def _few(boxes: list[Box]) -> list[Box]:
    return boxes if len(boxes) <= _MOST else [*boxes[: _MOST - 1], Box(f"and {len(boxes) - _MOST + 1:,} more", "")]


def _named(boxes: Sequence[Box]) -> str:
    return ", ".join(box.name for box in boxes) or "nothing"


def _across(before: Sequence[Box], job: Box, after: Sequence[Box], title: str) -> Html:
    """From left to right, each side in the middle of the height."""
    height = max(1, len(before), len(after)) * (_HIGH + _GAP) - _GAP
    columns = [_stack(side, x, height) for side, x in ((before, 0), ([job], 300), (after, 600))]
    centre = columns[1][0]
    lines = [_curve(one.x + _BOX, one.middle, centre.x, centre.middle) for one in columns[0]]
    lines += [_curve(centre.x + _BOX, centre.middle, one.x, one.middle) for one in columns[2]]
    boxes = [_box(one, _BOX) for column in columns for one in column]
    return svg(_WIDE, height + 2, title, "".join([*lines, *boxes]), "wide graph")


def _stack(boxes: Sequence[Box], x: float, height: float) -> list[_Placed]:
    own = len(boxes) * (_HIGH + _GAP) - _GAP
    return [_Placed(box, x, 1 + (height - own) / 2 + index * (_HIGH + _GAP)) for index, box in enumerate(boxes)]


def _down(before: Sequence[Box], job: Box, after: Sequence[Box], title: str) -> Html:
    """From top to bottom: what comes in along the left edge, what goes out along the right one."""
    order = [*before, job, *after]
    placed = [_Placed(box, _RAIL, 1 + index * (_HIGH + _GAP)) for index, box in enumerate(order)]
    centre, width = placed[len(before)], _NARROW - 2 * _RAIL
    right = _RAIL + width
    lines = [f"<path class='edge' d='M{_RAIL} {one.middle}H6V{centre.middle}H{_RAIL - 5}'/>" for one in placed[: len(before)]]  # fmt: skip
    lines += [
        f"<path class='edge' d='M{right} {centre.middle}H{_NARROW - 6}V{one.middle}H{right + 5}'/>{_head(right + 1, one.middle, -1)}"
        for one in placed[len(before) + 1 :]
    ]
    if before:
        lines.append(_head(_RAIL - 1, centre.middle, 1))
    boxes = [_box(one, width) for one in placed]
    return svg(_NARROW, len(order) * (_HIGH + _GAP) - _GAP + 2, title, "".join([*lines, *boxes]), "narrow graph")


def _curve(x: float, y: float, end: float, end_y: float) -> str:
    middle = (x + end) / 2
    path = f"M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {end_y:.1f} {end - 6:.1f} {end_y:.1f}"
    return f"<path class='edge' d='{path}'/>{_head(end - 1, end_y, 1)}"


def _head(x: float, y: float, way: int) -> str:
    """An arrow's head at a place, to the right (1) or to the left (-1)."""
    return f"<path class='head' d='M{x:.1f} {y:.1f}l{-7 * way} -4v8z'/>"


def _box(placed: _Placed, width: float) -> str:
    """A box; what is wider than it is cut off at its edge."""
    box = placed.box
    return (
        f"<svg x='{placed.x:.1f}' y='{placed.y:.1f}' width='{width}' height='{_HIGH}'>"
        f"<title>{text(box.name)}: {text(box.said)}</title>"
        f"<rect class='box {box.kind}' x='1' y='1' width='{width - 2}' height='{_HIGH - 2}' rx='6'/>"
        f"<text class='strong' x='10' y='19'>{text(_cut(box.name))}</text>"
        f"<text class='soft' x='10' y='36'>{text(_cut(box.said))}</text></svg>"
    )


def _cut(said: str) -> str:
    """The text as far as a box is wide; of a long name its end, which tells more than its beginning."""
    return said if len(said) <= _LETTERS else f"…{said[1 - _LETTERS :]}"
