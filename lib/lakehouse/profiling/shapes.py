"""Shapes of text: `AB-1234` is `AA-9999`. A shape as SQL, as shown, and as the regular expression that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

MOST = 40
"""Letters of a text that its shape tells; of a longer one the first."""

_UPPER, _LOWER, _DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
_CLASSES = {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}


def shape_sql(text: str) -> str:
    """The shape of a text: `A` for a letter from A to Z, `a` from a to z, `9` for a digit; all else as it stands."""
    shape = "A" * len(_UPPER) + "a" * len(_LOWER) + "9" * len(_DIGITS)
    return f"translate(substr({text}, 1, {MOST}), '{_UPPER}{_LOWER}{_DIGITS}', '{shape}')"


def shown(shape: str) -> str:
    """The shape without a letter that might tell a value: those of other alphabets are `a` too."""
    return "".join(letter if letter.isascii() else "a" if letter.isalnum() else "?" for letter in shape)


def expression(shapes: Sequence[str]) -> str | None:
    """The regular expression (Java's) of texts of one structure: the same runs of letters, digits and signs in the same
    order, of any of the lengths seen. None where the structures differ, or a shape was cut or holds what is not ASCII."""
    runs = [[(letter, len(list(same))) for letter, same in groupby(shape)] for shape in shapes]
    structure = {tuple(letter for letter, _ in run) for run in runs}
    if len(structure) != 1 or any(not shape or len(shape) >= MOST or not shape.isascii() for shape in shapes):
        return None
    return f"^{''.join(_parts(runs))}$"


def _parts(runs: Sequence[Sequence[tuple[str, int]]]) -> Iterator[str]:
    for place in zip(*runs, strict=True):
        letter, lengths = place[0][0], {length for _, length in place}
        least, most = min(lengths), max(lengths)
        times = "" if most == 1 else f"{{{least}}}" if least == most else f"{{{least},{most}}}"
        yield _CLASSES.get(letter, re.escape(letter)) + times
