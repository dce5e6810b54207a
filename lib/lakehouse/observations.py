"""What was counted of rows while an action read them."""

from __future__ import annotations

import time
from typing import Any

from pyspark.sql import Observation

PATIENCE = 10.0
"""Seconds until a count that does not come is taken by reading again."""


def observed(observation: Observation, patience: float = PATIENCE) -> dict[str, Any] | None:
    """What was seen, or None where Spark read nothing; `Observation.get` alone would wait for ever then."""
    seen: Any = observation._jo
    deadline = time.monotonic() + patience
    while seen is None or not seen.future().isCompleted():
        if seen is None or time.monotonic() > deadline:
            return None
        time.sleep(0.005)  # the counts come by Spark's listener, a moment after the action
    return {str(name): value for name, value in observation.get.items()}
