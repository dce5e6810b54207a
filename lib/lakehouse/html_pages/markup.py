"""HTML as a type: only what went through `text`, or was written in the code, becomes part of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import NewType

from lakehouse.html_pages.figures import moment

Html = NewType("Html", str)
"""Markup. A plain `str` is none: mypy refuses it where a page is put together."""

LONGEST = 300
"""The characters that are shown of a text."""

NOTHING = Html("")
_JOINTS = re.compile(r"([._/(])(?=\w)")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def text(value: object, most: int = LONGEST) -> Html:
    """The value escaped, for an element or an attribute; None as nothing, a long text cut with its length beside it.

    What no page can hold (control characters, halves of surrogate pairs) becomes the replacement character.
    """
    if value is None:
        return NOTHING
    found = str(value)
    kept = found if len(found) <= most else f"{found[:most]}… ({len(found):,} characters)"
    return Html(escape(_UNPRINTABLE.sub("\ufffd", kept)))


def name(value: object, most: int = LONGEST) -> Html:
    """The text of a name, which a narrow screen may break behind its dots, underscores, slashes and brackets."""
    return Html(_JOINTS.sub(r"\1<wbr>", text(value, most)))


def when(time: datetime) -> Html:
    """A time in UTC, in one line."""
    return Html(f"<time datetime='{time.astimezone(UTC).isoformat()}'>{moment(time)}</time>")


def joined(parts: Iterable[Html], between: str = "\n") -> Html:
    """Markup after markup; what is empty is left out."""
    return Html(between.join(part for part in parts if part))


def section(title: str, body: Html) -> Html:
    """A part of the page under its heading."""
    return Html(f"<section><h2>{text(title)}</h2>\n{body}\n</section>")


def note(said: str) -> Html:
    """A sentence in the soft colour."""
    return Html(f"<p class='note'>{text(said, 2000)}</p>")


def badge(said: str, kind: str) -> Html:
    """A word on a coloured ground; `kind` is good, bad, warn or plain."""
    return Html(f"<span class='badge {text(kind)}'>{text(said)}</span>")


def facts(pairs: Iterable[tuple[str, Html]], kind: str = "facts") -> Html:
    """Names and what they hold, side by side, as `facts` or as large `tiles`; those that hold nothing are left out."""
    lines = [f"<div><dt>{text(name)}</dt><dd>{said}</dd></div>" for name, said in pairs if said]
    return Html(f"<dl class='{text(kind)}'>{''.join(lines)}</dl>") if lines else NOTHING


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Html]], numbers: Iterable[int] = ()) -> Html:
    """A table that scrolls inside its own box: the columns at `numbers` stand to the right, the first one heads its
    row, one in which no row has anything is left out.
    """
    kept = [place for place in range(len(head)) if place == 0 or any(row[place] for row in rows)]
    right = frozenset(numbers)
    top = "".join(f"<th scope='col'{_aligned(place, right)}>{text(head[place])}</th>" for place in kept)
    lines = [f"<tr>{''.join(_cell(place, row[place], right) for place in kept)}</tr>" for row in rows]
    said = text(caption)
    # a box that scrolls must be reachable by keyboard, and then needs a name
    return Html(
        f"<div class='scroll' role='region' tabindex='0' aria-label='{said}'><table><caption>{said}</caption>"
        f"<thead><tr>{top}</tr></thead>\n<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(place: int, cell: Html, right: frozenset[int]) -> str:
    if place == 0:
        return f"<th scope='row'{_aligned(place, right)}>{cell}</th>"
    return f"<td{_aligned(place, right)}>{cell}</td>"


def _aligned(place: int, right: frozenset[int]) -> str:
    return " class='number'" if place in right else ""
