"""The page of a run, from its head to its foot."""

from __future__ import annotations

from lakehouse.html_pages.figures import moment
from lakehouse.html_pages.markup import Html, joined, text
from lakehouse.html_pages.page import page
from lakehouse.run_report import sections
from lakehouse.run_report.reading import RunReport

_STYLE = """
.tiles small { font-size: .85rem; font-weight: 400; color: var(--soft); }
h1 .badge { vertical-align: middle; margin-left: .3rem; }
.error { border-left: 4px solid var(--bad); background: var(--card); padding: .6rem .8rem; border-radius: .3rem; }
.sum .badge { margin-right: .4rem; font-size: .75rem; }
.flow { margin-bottom: .8rem; } .graph { margin-bottom: 1rem; }
.band { fill-opacity: .28; }
rect.read, .band.read { fill: var(--plain); } .valid, .sink, .inserted { fill: var(--bar); } .quarantined { fill: var(--gap); }
.dropped, .unchanged { fill: var(--plain); } .late, .open { fill: var(--late); } .updated { fill: var(--teal); }
.deleted { fill: var(--bad); }
.box { fill: var(--paper); stroke: var(--plain); } .box.job { stroke: var(--bar); stroke-width: 2; }
.box.broken { stroke: var(--gap); stroke-dasharray: 4 3; }
.edge { fill: none; stroke: var(--plain); stroke-width: 1.5; } .head { fill: var(--plain); }
.line { fill: none; stroke: var(--bar); stroke-width: 1.8; stroke-linejoin: round; } .point { fill: var(--bar); }
.point.odd { fill: var(--paper); stroke: var(--bad); stroke-width: 2; } .axis { stroke: var(--line); }
.spark .line { stroke-width: 1.4; } .spark { min-width: 110px; }
.broken { color: var(--gap); }
td code { white-space: pre-wrap; background: var(--paper); border-radius: .25rem; padding: .05rem .3rem; }
article { border-top: 1px solid var(--line); padding: .7rem 0; }
article ul { list-style: none; margin: 0; padding: 0; } article li { overflow-wrap: anywhere; }
article .note { font-size: .8rem; }
.row { display: flex; flex-wrap: wrap; gap: .3rem .4rem; margin: .4rem 0 0; }
.row div { background: var(--paper); border: 1px solid var(--line); border-radius: .35rem; padding: .1rem .5rem;
  max-width: 100%; min-width: 0; }
.row .odd { border-color: var(--gap); border-width: 2px; } .row code { white-space: pre-wrap; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem 2rem; }
.plots > p { grid-column: 1 / -1; margin: 0; }
svg.plot { width: 100%; max-width: 30rem; } @media (max-width: 700px) { svg.plot text { font-size: 15px; } }
figure { margin: 0; min-width: 0; } figcaption { font-weight: 600; font-size: .9rem; }
"""


def document(report: RunReport, place: str, written_at: str) -> str:
    """The whole file: no script, nothing from a network; `place` is the lake, `written_at` when the file was made."""
    run = report.record
    foot = f"Written {written_at} by `lakehouse report` from {place}. {sections.limits()}"
    body = joined([
        sections.head(report),
        Html(f"<main>{joined(_main(report))}</main>"),
        Html(f"<footer>{text(foot, 1000)}</footer>"),
    ])  # fmt: skip
    return page(f"{run.job}, {run.state}, {moment(run.started)}", body, _STYLE)


def _main(report: RunReport) -> list[Html]:
    """A run that was skipped has moved no row, and says so in its head."""
    if report.record.state == "skipped":
        return [sections.trends(report)]
    return [
        sections.ways(report), sections.rows(report.record), sections.rules(report), sections.broken_rows(report),
        sections.trends(report), sections.histories(report),
    ]  # fmt: skip
