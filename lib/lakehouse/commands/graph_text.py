"""The flow through jobs as text: a tree for a terminal, and a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.planning.flow import Flow, Node
from lakehouse.terminal import painted

_COLOURS = {"bronze": "yellow", "silver": "bold", "gold": "green"}
_SHAPES = {"job": ('(["', '"])'), "table": ('[("', '")]'), "outside": ('["', '"]')}
_CLASSES = (
    "classDef bronze stroke:#b06a2c,stroke-width:2px", "classDef silver stroke:#7a8794,stroke-width:2px",
    "classDef gold stroke:#c79a00,stroke-width:2px",
)  # fmt: skip


def tree(flow: Flow, *, colours: bool) -> str:
    """Each job with what it writes below what it reads; one that is reached twice is told once, and named after that."""
    told: set[int] = set()
    roots = [place for place, _ in enumerate(flow.nodes) if not flow.before(place)]
    return "\n".join(line for root in roots for line in _branch(flow, root, told, colours=colours))


def _branch(flow: Flow, place: int, told: set[int], *, colours: bool) -> Iterator[str]:
    """A node's own line, and those of what it goes to."""
    ends = flow.after(place)
    again = place in told and bool(ends)
    yield _said(flow.nodes[place], colours=colours) + (" ..." if again else "")
    if again:
        return
    told.add(place)
    for end in ends:
        first, further = ("└─ ", "   ") if end == ends[-1] else ("├─ ", "│  ")
        lines = _branch(flow, end, told, colours=colours)
        yield f"{first}{next(lines)}"
        yield from (f"{further}{line}" for line in lines)


def _said(node: Node, *, colours: bool) -> str:
    """A job in brackets, in its layer's colour; a table or a place by its name."""
    return painted(f"[{node.name}]", _COLOURS.get(node.layer, "dim"), on=colours) if node.kind == "job" else node.name


def mermaid(flow: Flow) -> str:
    """A flowchart from left to right, as GitHub and others draw it inside Markdown."""
    lines = ["flowchart LR"]
    for place, node in enumerate(flow.nodes):
        opening, closing = _SHAPES[node.kind]
        mark = f":::{node.layer}" if node.layer in ("bronze", "silver", "gold") else ""
        lines.append(f"  n{place}{opening}{_escaped(node.name)}{closing}{mark}")
    lines += [f"  n{start} --> n{end}" for start, end in flow.edges]
    return "\n".join([*lines, *(f"  {line}" for line in _CLASSES)])


def _escaped(text: str) -> str:
    """The text inside Mermaid's quotes: signs that it would read are entities."""
    return "".join(letter if letter.isalnum() or letter in " ._-/:,*=" else f"#{ord(letter)};" for letter in text)
