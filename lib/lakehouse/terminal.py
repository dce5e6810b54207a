"""What a terminal can show: its width, and colours where they are wanted."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

_CODES = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


def is_coloured(stream: TextIO | None = None) -> bool:
    """True for a terminal that shows colours, unless NO_COLOR says otherwise (https://no-color.org: any value but none)."""
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def is_live(stream: TextIO) -> bool:
    """True for a terminal that somebody looks at, whose lines may be drawn anew; a CI that pretends to be one is none."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


def painted(text: str, colour: str, *, on: bool) -> str:
    """The text in a colour (green, yellow, red, dim, bold) where colours are `on`."""
    return f"\033[{_CODES[colour]}m{text}\033[0m" if on and text else text


def width(stream: TextIO | None = None) -> int | None:
    """The columns of a terminal's window; None for a pipe or a file, which take lines of any length."""
    stream = sys.stdout if stream is None else stream
    return shutil.get_terminal_size().columns if stream.isatty() else None


def fitted(widths: Sequence[int], most: int | None, *, gap: int = 2, least: int = 6) -> list[int]:
    """How wide each column of a table may be: the widest are cut alike until all fit; none below `least` for that."""
    found = list(widths)
    while most is not None and sum(found) + gap * (len(found) - 1) > most and max(found, default=0) > least:
        found[found.index(max(found))] -= 1
    return found


def cut(text: str, most: int) -> str:
    """The text in one line of at most so many letters; the last is an ellipsis where some are left out."""
    line = " ".join(text.split("\n"))
    return line if len(line) <= most else f"{line[: most - 1]}…"
