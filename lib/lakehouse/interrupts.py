"""Ctrl-C and SIGTERM: a batch job ends at once, a stream after the micro-batch in hand.

Nothing is tidied up where a program ends at once, for the next run finishes whatever was begun.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Any

from lakehouse.errors import Interrupted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ONE = 1.0  # seconds in which signals are one: a starter may pass on what a terminal sends to all


def end_on_signals() -> None:
    """Ends this process on Ctrl-C and SIGTERM with exit code 130; for a program's main thread."""
    for number in _SIGNALS:
        signal.signal(number, _end)


def tell_on_signals(told: Event) -> Handler:
    """The first Ctrl-C or SIGTERM is told, a second ends this process; for a program's main thread."""
    handler = Handler(told)
    for number in _SIGNALS:
        signal.signal(number, handler)
    return handler


def restore() -> None:
    """Takes Ctrl-C back from Spark, whose handler calls the JVM amid other calls to it and hangs."""
    ours = signal.getsignal(signal.SIGTERM)
    if ours is _end or isinstance(ours, Handler):
        signal.signal(signal.SIGINT, ours)


@dataclass
class Handler:
    """Tells of the first signal, and ends the process at the second; for Python and, as Java's interface, for the JVM.

    A terminal sends Ctrl-C to both, and where the machine is busy the second hears of it much later.
    """

    told: Event
    _heard: dict[str, float] = field(default_factory=dict)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self._hear("python")

    def handle(self, _signal: Any) -> None:
        """What the JVM calls."""
        self._hear("jvm")

    def _hear(self, who: str) -> None:
        now, is_first = time.monotonic(), not self._heard
        if now - self._heard.setdefault(who, now) > _ONE:
            _end(0, None)
        if is_first:
            self.told.set()
            os.write(2, b"ending after the micro-batch in hand; once more ends at once\n")

    class Java:
        """How py4j knows the interface."""

        implements = ("sun.misc.SignalHandler",)


def share_with_jvm(spark: SparkSession, handler: Handler) -> None:
    """The JVM ends no stream either: under spark-submit it is who gets the signals, and in a terminal it gets them too."""
    from pyspark.java_gateway import ensure_callback_server_started

    gateway: Any = spark.sparkContext._gateway
    ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
    for number in _SIGNALS:
        gateway.jvm.sun.misc.Signal.handle(gateway.jvm.sun.misc.Signal(number.name.removeprefix("SIG")), handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"interrupted; the next run finishes what was begun\n")
    os._exit(Interrupted.exit_code)
