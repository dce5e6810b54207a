"""Versions of contracts, compared as numbers: 1.10.0 is newer than 1.9.0."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import dropwhile

_VERSION = re.compile(r"v?(?P<numbers>\d+(?:\.\d+)*)(?P<more>[-+.]?.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, order=True)
class Version:
    """A version's numbers without zeros at the end; what precedes a release (`2.0.0-rc1`) is older than it."""

    numbers: tuple[int, ...]
    released: bool = True

    @property
    def major(self) -> int:
        """The first number."""
        return self.numbers[0] if self.numbers else 0


def version_of(value: str | int | float) -> Version:
    """The version that a contract names; raises ValueError where it begins with no number."""
    match = _VERSION.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"'{value}' is no version; it is numbers with dots, such as 1.2.0")
    numbers = [int(number) for number in match["numbers"].split(".")]
    shortened = tuple(dropwhile(lambda number: number == 0, reversed(numbers)))[::-1]
    return Version(shortened, not match["more"].startswith("-"))
