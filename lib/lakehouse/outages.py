"""What delta-rs says of a store that does not answer: asked again for some seconds, then one line that names the table."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TypeVar

from lakehouse.errors import LakehouseError, Unreachable

T = TypeVar("T")
STORAGE_OPTIONS = {"max_retries": "4", "retry_timeout": "30s", "connect_timeout": "4s"}
"""For delta-rs, which would try for three minutes by itself."""
_PATIENCE = 10.0  # seconds; a lost answer to a commit and a cut one are not asked for again by delta-rs
_PAUSE = 0.5
_SIGN = "Generic S3 error"
_COLOUR = re.compile(r"\x1b\[\d*m")


def answered(path: str, done: str, call: Callable[[], T]) -> T:
    """What a call of delta-rs on a table returns; raises Unreachable, saying what could not be `done`, after some tries."""
    began = time.monotonic()
    while True:
        try:
            return call()
        except Exception as error:  # delta-rs raises all kinds of them
            if isinstance(error, LakehouseError) or _SIGN not in str(error):
                raise
            if time.monotonic() - began > _PATIENCE:
                raise Unreachable(f"{path} cannot be {done}: {one_line(error)}") from error
        time.sleep(_PAUSE)


def one_line(error: Exception) -> str:
    """What delta-rs says, without its colours: the first line of its own names no more than the kind of store."""
    lines = (line.strip().removeprefix("↳").strip() for line in _COLOUR.sub("", str(error)).splitlines())
    return ": ".join(line for line in lines if line)[:400]
