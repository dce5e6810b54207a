"""The frame of a page: one file that asks no server for anything, readable on a phone, in the dark and on paper."""

from __future__ import annotations

from lakehouse.html_pages.markup import Html, text

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #59626c; --paper: #ffffff; --card: #f5f7f9; --line: #dde2e7;
  --bar: #2f6fd0; --gap: #ab4a12; --good: #1b7a48; --bad: #b3261e; --plain: #68727d; --late: #7d4fc4; --teal: #0f7f8c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a3adb8; --paper: #15181c; --card: #1e2329;
  --line: #39424c; --bar: #6ea3f0; --gap: #e58a4e; --good: #55bd86; --bad: #f28b82; --plain: #8d98a4; --late: #b08cf0;
  --teal: #4db9c6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .7rem; overflow-wrap: anywhere; }
h3 { font-size: .95rem; margin: 1rem 0 .4rem; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; margin: 1rem 0;
  min-width: 0; }
p { margin: .4rem 0; overflow-wrap: anywhere; }
.note, dt, footer { color: var(--soft); }
code, pre { font: .87em/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.badge { display: inline-block; border-radius: 1rem; padding: .05rem .65rem; font-size: .85rem; font-weight: 600;
  color: var(--paper); background: var(--plain); white-space: nowrap; }
.badge.good { background: var(--good); } .badge.bad { background: var(--bad); } .badge.warn { background: var(--gap); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); gap: .7rem 1.5rem;
  margin: 1rem 0; }
dt { font-size: .8rem; } dd { margin: 0; overflow-wrap: anywhere; unicode-bidi: isolate; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .8rem; margin: 1rem 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .6rem .9rem; }
.tiles dd { font-size: 1.45rem; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .9rem; margin-top: .4rem; }
caption { text-align: left; font-weight: 600; padding: .4rem 0 .1rem; white-space: nowrap; }
th, td { text-align: left; vertical-align: top; padding: .35rem 1.6rem .35rem 0; border-bottom: 1px solid var(--line);
  unicode-bidi: isolate; }
thead th { color: var(--soft); font-size: .8rem; font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 600; min-width: 4rem; max-width: 22rem; } td { min-width: 3rem; max-width: 26rem; }
tbody :is(th, td) { overflow-wrap: break-word; } tbody tr:last-child > * { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
time { white-space: nowrap; }
svg[role] { display: block; max-width: 100%; height: auto; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); } svg .strong { font-weight: 600; }
svg.narrow { display: none; } svg.wide { width: 100%; max-width: 64rem; }
footer { font-size: .8rem; margin-top: 1.5rem; overflow-wrap: anywhere; }
@media (max-width: 700px) { body { padding: .8rem; } section { padding: .8rem; } h1 { font-size: 1.3rem; }
  svg.wide { display: none; } svg.narrow { display: block; } tbody th { max-width: 11rem; }
  .facts { grid-template-columns: repeat(auto-fill, minmax(min(9rem, 100%), 1fr)); gap: .5rem 1rem; } }
@media print { body { max-width: none; } section { break-inside: avoid; } .scroll { overflow: visible; } }
"""

# a browser that is told so fetches nothing and runs nothing, whatever a value of the data may look like
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(title: str, body: Html, style: str = "") -> str:
    """The whole file; `style` is added to what all pages share."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
