"""The tables of a project from left to right, each behind those that it is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lakehouse.display.shown import Shown, shown
from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.html_pages.charts import svg
from lakehouse.html_pages.markup import Html, text
from lakehouse.planning.plan import Plan

_BOX, _HIGH, _GAP, _BETWEEN = 208, 28, 10, 56
_LETTERS = 28


def table_graph(plans: Sequence[Plan], name: str | None = None) -> Shown:
    """Every table that the jobs read or write; with a name only those that it comes from, and those that come of it."""
    made_from: dict[str, set[str]] = {}
    jobs: dict[str, list[str]] = {}
    for plan in plans:
        for output in plan.outputs:
            made_from.setdefault(output, set()).update(other for other in plan.inputs if other != output)
            jobs.setdefault(output, []).append(plan.name)
        for table in plan.inputs:
            made_from.setdefault(table, set())
    if name is not None:
        made_from = _around(made_from, name)
    columns = _columns(made_from)
    lines = [
        f"{table} <- {', '.join(sorted(made_from[table])) or 'outside'} ({', '.join(jobs.get(table, ['no job']))})"
        for column in columns
        for table in column
    ]
    return shown(_drawn(columns, made_from, jobs, name), "\n".join(lines))


def _around(made_from: Mapping[str, set[str]], name: str) -> dict[str, set[str]]:
    """The part of the graph that a table has to do with."""
    if name not in made_from:
        raise ConfigError(f"no job reads or writes {name}.{did_you_mean(name, made_from)}")
    after: dict[str, set[str]] = {
        table: {other for other, of in made_from.items() if table in of} for table in made_from
    }
    kept = _reached(made_from, name) | _reached(after, name)
    return {table: made_from[table] & kept for table in made_from if table in kept}


def _reached(edges: Mapping[str, set[str]], start: str) -> set[str]:
    found, left = {start}, [start]
    while left:
        new = edges[left.pop()] - found
        found |= new
        left += new
    return found


def _columns(made_from: Mapping[str, set[str]]) -> list[list[str]]:
    """The tables by how many steps lie before them at most; a table that feeds itself through others stands where it is met."""
    depths: dict[str, int] = {}

    def depth(table: str, path: tuple[str, ...]) -> int:
        if table in path:
            return 0
        if table not in depths:
            depths[table] = max((depth(other, (*path, table)) + 1 for other in made_from[table]), default=0)
        return depths[table]

    for table in made_from:
        depth(table, ())
    return [
        sorted(table for table, steps in depths.items() if steps == place)
        for place in range(max(depths.values(), default=-1) + 1)
    ]


def _drawn(
    columns: Sequence[Sequence[str]],
    made_from: Mapping[str, set[str]],
    jobs: Mapping[str, Sequence[str]],
    asked: str | None,
) -> Html:
    places = {
        table: (index * (_BOX + _BETWEEN), row * (_HIGH + _GAP))
        for index, column in enumerate(columns)
        for row, table in enumerate(column)
    }
    edges = [_edge(places[other], places[table]) for table in places for other in sorted(made_from[table])]
    boxes = [_box(table, place, jobs.get(table, ()), is_asked=table == asked) for table, place in places.items()]
    height = max((y for _, y in places.values()), default=0) + _HIGH + 2
    return svg(len(columns) * (_BOX + _BETWEEN), height, "what is made from what", "".join([*edges, *boxes]))


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x, y, to_x, to_y = start[0] + _BOX, start[1] + _HIGH / 2, end[0], end[1] + _HIGH / 2
    middle = to_x - _BETWEEN / 2
    return f"<path class='edge' d='M{x} {y}C{x + _BETWEEN / 2} {y} {middle} {to_y} {to_x} {to_y}'/>"


def _box(table: str, place: tuple[float, float], jobs: Sequence[str], *, is_asked: bool) -> str:
    x, y = place
    kind = f"box {table.partition('.')[0]}{' asked' if is_asked else ''}"
    short = table if len(table) <= _LETTERS else f"{table[: _LETTERS - 1]}…"
    return (
        f"<g><title>{text(table)}, made by {text(', '.join(jobs) or 'no job of this project')}</title>"
        f"<rect class='{text(kind)}' x='{x + 1}' y='{y + 1}' width='{_BOX - 2}' height='{_HIGH - 2}' rx='5'/>"
        f"<text x='{x + 10}' y='{y + 19}'>{text(short)}</text></g>"
    )
