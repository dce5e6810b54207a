"""The exception tree: every error that a user can meet, and the exit code it ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from lakehouse.redaction import hidden


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: the file it stands in, its line (0: the file as a whole), and what to do about it."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


class LakehouseError(Exception):
    """Whatever the product refuses; its text is one line that a user can act on."""

    exit_code = 1
    passes = False
    """True where the same may work a while later: a store, a broker or a database did not answer."""

    def __str__(self) -> str:
        return hidden(super().__str__())


class ConfigError(LakehouseError):
    """The YAML, a name, an option, a column or SQL is wrong: nothing was read or written. Holds every problem found."""

    exit_code = 2

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem("", 0, problems)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataError(LakehouseError):
    """The data refuses the run: a rule that fails it, a gate, an invalid batch, a source that cannot be read."""

    exit_code = 3


class UnreadableFile(DataError):
    """A file of the source cannot be read at all."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be read: {reason}")


class SinkError(LakehouseError):
    """A write was refused, or the lake is out of reach."""

    exit_code = 4


class Unreachable(SinkError):
    """The store does not answer, or refuses for now."""

    passes = True


class BusyError(LakehouseError):
    """Another copy holds the job or one of its tables."""

    exit_code = 75


class Interrupted(LakehouseError):
    """The run was stopped by Ctrl-C or SIGTERM; the next run finishes it."""

    exit_code = 130


E = TypeVar("E", bound=LakehouseError)


def passing(error: E) -> E:
    """The error as one that may pass by itself."""
    error.passes = True
    return error


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 row`, `2,000 rows`; with a verb `1 row has`, `2 rows have`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'? Known: a, b.`: the closest known word where one is close, and all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    return f"{guess} Known: {', '.join(words)}." if words else guess
