"""A profile as one HTML file: no script, nothing from a network, readable on a phone and in the dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from lakehouse.profiling.table_profile import Column, Frequent, Profile
from lakehouse.profiling.words import distinct_text, length_text, nulls_text, share, value_text

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5f6872; --paper: #ffffff; --card: #f5f7f9; --line: #dde2e7;
  --bar: #2f6fd0; --gap: #c2571a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #9aa4af; --paper: #15181c; --card: #1e2329;
  --line: #333b44; --bar: #6ea3f0; --gap: #e58a4e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 80rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: .2rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p, .type, dt { color: var(--soft); }
main { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem; min-width: 0; }
.type { font-size: .85rem; overflow-wrap: anywhere; }
.filled { display: flex; height: .35rem; margin: .5rem 0; background: var(--gap); border-radius: .2rem; overflow: hidden; }
.filled i { background: var(--bar); }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; margin: 0; font-variant-numeric: tabular-nums; }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
h3 { font-size: .85rem; margin: .6rem 0 .2rem; color: var(--soft); font-weight: 600; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: 1fr auto; gap: .5rem; position: relative; padding: 0 .3rem; }
li b { position: absolute; inset: 1px auto 1px 0; background: var(--bar); opacity: .22; border-radius: .2rem; }
li span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
li code { overflow: hidden; text-overflow: ellipsis; white-space: pre; }
"""


def page(profile: Profile) -> str:
    """The file's text."""
    title = escape(profile.table)
    cards = "\n".join(_card(column) for column in profile.columns)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}, version {profile.version}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p>version {profile.version}, {profile.rows:,} rows, {len(profile.columns)} columns; ~ is an estimate</p>
<main>
{cards}
</main>
</body>
</html>
"""


def _card(column: Column) -> str:
    filled = 100 * column.present / column.rows if column.rows else 0
    figures = "".join(f"<dt>{escape(name)}</dt><dd>{escape(said)}</dd>" for name, said in _figures(column) if said)
    masked = ", personal: values are masked" if column.personal else ""
    lists = _list("most frequent", column.top[:8], column.rows, "span") + _list(
        "shapes", column.shapes, column.rows, "code"
    )
    return (
        f"<section><h2>{escape(column.name)}</h2><div class='type'>{escape(column.type)}{masked}</div>"
        f"<div class='filled' role='img' aria-label='{share(column.present, column.rows)} filled'>"
        f"<i style='width:{filled:.2f}%'></i></div><dl>{figures}</dl>{lists}</section>"
    )


def _figures(column: Column) -> Iterator[tuple[str, str]]:
    yield "nulls", nulls_text(column)
    yield "distinct", distinct_text(column)
    yield "min", value_text(column.min)
    yield "max", value_text(column.max)
    yield "mean", value_text(column.mean)
    yield "deviation", value_text(column.stddev)
    for name, value in (column.quantiles or {}).items():
        yield f"{name} below", value_text(value)
    yield ("length" if column.kind != "length" else "items"), length_text(column)
    yield "mean length", value_text(column.mean_length)


def _list(title: str, items: Sequence[Frequent], rows: int, element: str) -> str:
    if not items or (items[0].rows == 1 and rows > 1):
        return ""
    lines = "".join(
        f"<li><b style='width:{100 * item.rows / rows:.2f}%'></b><{element}>{escape(item.value)}</{element}>"
        f"<em>{share(item.rows, rows)}</em></li>"
        for item in items
    )
    return f"<h3>{title}</h3><ul>{lines}</ul>"
