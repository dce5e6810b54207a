"""What is shown: HTML in a notebook, text on a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.html_pages.markup import Html

# the notebook's own colours, light or dark: everything else is a shade of its text
_STYLE = """<style>
.lakehouse table { border-collapse: collapse; font-size: 13px; margin: 0; }
.lakehouse caption { text-align: left; font-weight: 600; padding: 4px 0; white-space: nowrap; }
.lakehouse th, .lakehouse td { text-align: left; vertical-align: top; padding: 3px 14px 3px 0; font-weight: 400;
  border-bottom: 1px solid rgba(128, 128, 128, .35); max-width: 26em; overflow-wrap: break-word; }
.lakehouse thead th { font-weight: 600; } .lakehouse tr { background: none !important; }
.lakehouse .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.lakehouse .scroll { overflow-x: auto; } .lakehouse small { opacity: .65; font-weight: 400; }
.lakehouse svg { max-width: 100%; height: auto; } .lakehouse svg text { font: 12px sans-serif; fill: currentColor; }
.lakehouse .soft { opacity: .65; } .lakehouse .edge { fill: none; stroke: currentColor; opacity: .3; }
.lakehouse .box { fill: rgba(47, 111, 208, .16); stroke: #2f6fd0; } .lakehouse .box.bronze { fill: rgba(171, 74, 18, .14);
  stroke: #ab4a12; } .lakehouse .box.gold { fill: rgba(196, 145, 2, .18); stroke: #c49102; }
.lakehouse .box.asked { stroke-width: 3; } .lakehouse .point { fill: currentColor; }
</style>"""


@dataclass(frozen=True, repr=False)
class Shown:
    """A piece of HTML for a notebook, and the same as text for everything else."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def shown(body: Html, text: str) -> Shown:
    """The HTML in its own style, which touches nothing else of the notebook."""
    return Shown(f"{_STYLE}\n<div class='lakehouse'>{body}</div>", text)
