"""Names and places: `silver.orders` means `$LAKE/silver/orders`, here and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    """Where everything of one lake lies; `root` is a local folder or an `s3a://` prefix."""

    root: str

    def table(self, name: str) -> str:
        """The place of the table `layer.name`."""
        layer, _, table = name.partition(".")
        return self.join(layer, table)

    def checkpoint(self, job: str) -> str:
        """The folder of a job's progress."""
        return self.join("_checkpoints", job)

    def state(self, name: str) -> str:
        """The place of what the table `layer.name` is made from, out of its readers' sight."""
        layer, _, table = name.partition(".")
        return self.join("_state", layer, table)

    @property
    def runs(self) -> str:
        """The table of the run records."""
        return self.join("_runs")

    @property
    def leases(self) -> str:
        """The folder of the leases."""
        return self.join("_leases")

    def join(self, *parts: str) -> str:
        """A place below the root."""
        return "/".join((self.root.rstrip("/"), *parts))


def quarantine_table(name: str | None, layer: str, job: str, targets: list[str]) -> str:
    """The quarantine's table: as named, else beside the only target, else the job's own."""
    if name:
        return name
    return f"{targets[0] if len(targets) == 1 else f'{layer}.{job}'}{QUARANTINE_SUFFIX}"
