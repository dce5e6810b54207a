"""What a run of a job would do, as values: what it would read, and what would become of its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["added", "widened", "narrowed", "dropped"]
Action = Literal["create", "write", "alter", "none"]


@dataclass(frozen=True)
class Reading:
    """One input as the next run would read it; `rows` are estimated, None where nothing tells them.

    A table is read at `version`, incrementally from `from_version` on. `new` is False for what the last run has read too.
    """

    name: str
    new: bool
    rows: int | None = None
    files: int | None = None
    bytes: int | None = None
    from_version: int | None = None
    version: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class ColumnChange:
    """A column that a table would get, lose, or have in another type; `before` or `after` is None where it is not there."""

    name: str
    kind: Kind
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class TableChange:
    """What would become of one target: `action` is create, write (rows alone), alter (columns or settings too), or none.

    `columns` and `settings` of an action none come with the next rows. `refused` says why a run would not write the
    table, `ignored` names columns that it does not take.
    """

    table: str
    sink: str
    action: Action
    version: int | None = None
    columns: tuple[ColumnChange, ...] = ()
    settings: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def breaking(self) -> tuple[ColumnChange, ...]:
        """What readers of the table would miss: columns dropped, or of a type that holds less."""
        return tuple(change for change in self.columns if change.kind in ("dropped", "narrowed"))


@dataclass(frozen=True)
class Changes:
    """What the next run of a job would do; `downstream` are the jobs that read what it writes, in run order."""

    job: str
    reads: tuple[Reading, ...]
    tables: tuple[TableChange, ...]
    downstream: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """True where a run would find nothing new to read."""
        return bool(self.reads) and not any(read.new for read in self.reads)
