"""What a look at one thing has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `bad` stops jobs or makes them wrong, `warn` costs time or may bite later."""

    what: str
    state: Literal["ok", "warn", "bad"] = "ok"
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """True for what is as it should be."""
        return self.state == "ok"


def found(what: str, good: bool, remedy: str, *, warns: bool = False) -> Finding:
    """The finding of a look that is good or not."""
    return Finding(what, "ok" if good else "warn" if warns else "bad", "" if good else remedy)
