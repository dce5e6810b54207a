"""When a run is to begin no further batch: told by a signal, by `lakehouse stop`, or by a limit of time or of batches."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from lakehouse.storage import delete, read_text, write_text
from lakehouse.tables import Layout, is_remote

_STEP = 0.5  # seconds between two looks at what may have been asked for


@dataclass
class Ending:
    """Asked between two batches; the one in hand is finished always.

    `told` is set by a signal and is shared by the jobs of a program; `deadline` is on the monotonic clock; `batches`
    counts down to 0, where there is a limit. `once`: the run ends when nothing new is there, whatever its job's trigger;
    `flush`: windows that wait for more are closed then.
    """

    layout: Layout
    job: str
    told: threading.Event = field(default_factory=threading.Event)
    deadline: float | None = None
    batches: int | None = None
    once: bool = False
    flush: bool = False
    _looked: float = 0.0
    _reason: str | None = None

    def begin(self) -> None:
        """Forgets what an earlier run was asked for."""
        take_back(self.layout, self.job)

    def batch_done(self) -> None:
        """One batch more is finished."""
        if self.batches is not None:
            self.batches -= 1

    def reason(self) -> str | None:
        """Why no further batch may begin; None where one may."""
        if self._reason is None:
            self._reason = self._found()
        return self._reason

    def wait(self, seconds: float) -> bool:
        """Waits so long, or until there is a reason to end; True where there is one."""
        until = time.monotonic() + seconds
        while self.reason() is None:
            left = until - time.monotonic()
            if left <= 0:
                return False
            self.told.wait(min(_STEP, left))
        return True

    def _found(self) -> str | None:
        now = time.monotonic()
        if self.told.is_set():
            return "stopped by a signal"
        if self.deadline is not None and now >= self.deadline:
            return "stopped by its --timeout"
        if self.batches is not None and self.batches <= 0:
            return "stopped by max_batches"
        if now - self._looked < (4 * _STEP if is_remote(self.layout.root) else _STEP):
            return None
        self._looked = now
        return "stopped by `lakehouse stop`" if read_text(_request(self.layout, self.job)) is not None else None


def ask_to_end(layout: Layout, job: str) -> None:
    """Asks the running copy of a job to begin no further batch."""
    write_text(_request(layout, job), "end after the batch in hand\n")


def take_back(layout: Layout, job: str) -> None:
    """Takes such a request away."""
    delete(_request(layout, job))


def _request(layout: Layout, job: str) -> str:
    return f"{layout.checkpoint(job)}/stop"
