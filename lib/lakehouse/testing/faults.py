"""A run that dies at a step of its path: at the event that the pipeline logs for it, as Ctrl-C would have it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lakehouse.config.job_tests import CrashPoint
from lakehouse.log import LOGGER

_EVENTS: dict[CrashPoint, str] = {
    "begin": "batch_begun",
    "write": "targets_written",
    "quarantine": "quarantine_written",
    "progress": "progress_saved",
    "record": "batch_ended",
}


@dataclass
class Fault:
    """Whether the step was reached: a fault that never hit proves nothing."""

    hit: bool = False


class _Dies(logging.Handler):
    """Interrupts a job's run at the first event of one name."""

    def __init__(self, job: str, event: str, fault: Fault) -> None:
        super().__init__(logging.INFO)
        self._job, self._event, self._fault = job, event, fault

    def emit(self, record: logging.LogRecord) -> None:
        said = json.loads(record.getMessage())
        if said["event"] == self._event and said.get("job") == self._job and not self._fault.hit:
            self._fault.hit = True
            raise KeyboardInterrupt


@contextmanager
def crash_at(step: CrashPoint, job: str) -> Iterator[Fault]:
    """Within it the job's first run that reaches the step dies there, with nothing done behind it."""
    fault = Fault()
    handler, level = _Dies(job, _EVENTS[step], fault), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    try:
        with silent_bridge():
            yield fault
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = True


@contextmanager
def silent_bridge() -> Iterator[None]:
    """Within it Spark's bridge to Python does not log the forty lines of a failure that is told in one."""
    bridge = logging.getLogger("py4j.clientserver")
    before, bridge.disabled = bridge.disabled, True
    try:
        yield
    finally:
        bridge.disabled = before
