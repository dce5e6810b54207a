"""How data flows through several jobs, as values: sources, jobs and tables, and what goes from which to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lakehouse.planning.graph import ordered
from lakehouse.planning.plan import Plan


@dataclass(frozen=True)
class Node:
    """A job, a table of the lake, or a place outside of it; `layer` is the job's or the table's own."""

    name: str
    kind: Literal["job", "table", "outside"]
    layer: str = ""


@dataclass(frozen=True)
class Flow:
    """The nodes in run order, each once, and the edges between them as places in `nodes`."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]

    def after(self, place: int) -> list[int]:
        """What a node goes to."""
        return [end for start, end in self.edges if start == place]

    def before(self, place: int) -> list[int]:
        """What comes into a node."""
        return [start for start, end in self.edges if end == place]


def flow_of(plans: Sequence[Plan]) -> Flow:
    """The flow through these jobs: what each reads, the job, what it writes; quarantines are left out."""
    places: dict[Node, int] = {}
    edges: dict[tuple[int, int], None] = {}
    for plan in ordered(plans):
        reads = [_table(name) for name in plan.inputs] or _outside(plan)
        job = Node(plan.name, "job", plan.job.config.layer)
        writes = [_target(plan, sink.target) for sink in plan.sinks]
        for node in (*reads, job, *writes):
            places.setdefault(node, len(places))
        edges |= {(places[node], places[job]): None for node in reads}
        edges |= {(places[job], places[node]): None for node in writes}
    return Flow(tuple(places), tuple(edges))


def _table(name: str) -> Node:
    return Node(name, "table", name.split(".")[0])


def _target(plan: Plan, target: str) -> Node:
    return _table(target) if target in plan.outputs else Node(target, "outside")


def _outside(plan: Plan) -> list[Node]:
    """Where a job's rows come from, where that is no table of the lake; nothing for rows that it makes itself."""
    source = plan.source
    topics = source.option("topics")
    given = ", ".join(topics) if topics else source.option("path") or source.option("table")
    if given is None:
        return [] if source.name in ("sql", "rows") else [Node(source.name, "outside")]
    return [Node(f"{source.name} {_shortened(str(given), plan)}", "outside")]


def _shortened(place: str, plan: Plan) -> str:
    """A place below the lake or the project without what all places there begin with."""
    for root in (plan.layout.root, str(plan.job.root)):
        place = place.removeprefix(f"{root.rstrip('/')}/")
    return place
