"""Ctrl-C and SIGTERM: a program ends at once. Nothing is tidied up, for the next run finishes whatever was begun."""

from __future__ import annotations

import os
import signal
from types import FrameType

from lakehouse.errors import Interrupted


def end_on_signals() -> None:
    """Ends this process on Ctrl-C and SIGTERM with exit code 130; for a program's main thread."""
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)


def restore() -> None:
    """Takes Ctrl-C back from Spark, whose handler calls the JVM amid other calls to it and hangs."""
    if signal.getsignal(signal.SIGTERM) is _end:
        end_on_signals()


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"interrupted; the next run finishes what was begun\n")
    os._exit(Interrupted.exit_code)
