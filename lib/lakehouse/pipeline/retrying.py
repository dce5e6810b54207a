"""A stream outlives a failure that may pass: it waits and tries again, a bounded number of times in a row."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import SystemRandom

from lakehouse import log
from lakehouse.ending import Ending
from lakehouse.errors import LakehouseError
from lakehouse.pipeline import progress
from lakehouse.pipeline.run_state import Watch
from lakehouse.planning.plan import Plan

_LONGEST = 60.0  # seconds between two tries


@dataclass
class Tries:
    """The failures in a row of a job; a batch that was finished in between ends the row."""

    plan: Plan
    ending: Ending
    failures: int = 0
    batch: int = -1

    def another(self, error: BaseException, watch: Watch) -> bool:
        """Waits where another try makes sense, and is True then; False where the error is to be raised.

        Raises it again, saying so, where it failed too often in a row.
        """
        stream = self.plan.job.config.stream
        if stream is None or not (isinstance(error, LakehouseError) and error.passes):
            return False
        self.failures = 1 if self._has_moved() else self.failures + 1
        if self.failures > stream.max_failures:
            if stream.max_failures == 0:
                return False
            raise type(error)(
                f"gave up after {self.failures} failures in a row (stream: max_failures): {error}"
            ) from error
        seconds = min(_LONGEST, 2.0**self.failures) * SystemRandom().uniform(0.5, 1)
        log.event("run_tried_again", job=self.plan.name, failures=self.failures, seconds=seconds)
        watch(f"failure {self.failures} of {stream.max_failures}, again in {seconds:.0f} s: {error}")
        return not self.ending.wait(seconds)

    def _has_moved(self) -> bool:
        """True where a batch was finished since the last failure."""
        try:
            batch = progress.load(self.plan.layout.checkpoint(self.plan.name))[0].batch
        except LakehouseError:  # the store is away
            return False
        moved, self.batch = batch > self.batch, batch
        return moved
