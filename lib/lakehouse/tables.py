"""Names and places: `silver.orders` means `$LAKE/silver/orders`, here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")

QUARANTINE_SUFFIX = "__quarantine"


def is_table_name(name: str) -> bool:
    """True for `layer.table`: two parts of letters, digits and underscores."""
    return _NAME.fullmatch(name) is not None


def is_remote(path: str) -> bool:
    """True for a place with a scheme (`s3a://...`), but `file://`."""
    return _SCHEME.match(path) is not None and not path.startswith("file:")


def resolved(path: str, root: Path) -> str:
    """`path` as Spark reads it: remote as it stands, local absolute, a relative one from the project's root."""
    if is_remote(path):
        return path.rstrip("/")
    local = path.removeprefix("file://").removeprefix("file:")
    return str((root / Path(local).expanduser()).absolute())


@dataclass(frozen=True)
class Layout:
    """Where everything of one lake lies; `root` is a local folder or an `s3a://` prefix.

    A run that must not be seen yet has the tables of `moved`, and all that is kept of it, `aside` instead.
    """

    root: str
    aside: str | None = None
    moved: frozenset[str] = frozenset()

    def table(self, name: str) -> str:
        """The place of the table `layer.name`."""
        return self._below(self._own if name in self.moved else self.root, *name.split(".", 1))

    def checkpoint(self, job: str) -> str:
        """The folder of a job's progress."""
        return self._below(self._own, "_checkpoints", job)

    def state(self, name: str) -> str:
        """The place of what the table `layer.name` is made from, out of its readers' sight."""
        return self._below(self._own if name in self.moved else self.root, "_state", *name.split(".", 1))

    @property
    def runs(self) -> str:
        """The table of the run records."""
        return self._below(self._own, "_runs")

    @property
    def batches(self) -> str:
        """The table of the streams' micro-batches."""
        return self._below(self._own, "_batches")

    @property
    def quality(self) -> str:
        """The table of what each rule said in each run."""
        return self._below(self._own, "_quality")

    def expectations(self, job: str | None = None) -> str:
        """The folder of what Great Expectations suites said, of all jobs or of one."""
        return self._below(self._own, "_expectations", *([job] if job else []))

    def join(self, *parts: str) -> str:
        """A place below the root."""
        return self._below(self.root, *parts)

    def rebuilding(self, name: str, moved: Iterable[str]) -> Layout:
        """The same lake, with these tables and all that a run keeps in a folder of their own."""
        return replace(self, aside=self.join("_rebuild", name), moved=frozenset(moved))

    @property
    def _own(self) -> str:
        return self.aside or self.root

    @staticmethod
    def _below(root: str, *parts: str) -> str:
        return "/".join((root.rstrip("/"), *parts))


def quarantine_table(name: str | None, layer: str, job: str, targets: list[str]) -> str:
    """The quarantine's table: as named, else beside the only target, else the job's own."""
    if name:
        return name
    return f"{targets[0] if len(targets) == 1 else f'{layer}.{job}'}{QUARANTINE_SUFFIX}"
