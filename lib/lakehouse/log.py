"""Events as JSON lines on the logger `lakehouse`; never a row's contents, never a secret."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from lakehouse.redaction import hidden

LOGGER = logging.getLogger("lakehouse")
LOGGER.addHandler(logging.NullHandler())


def event(name: str, *, run_id: str | None = None, **facts: object) -> None:
    """Writes one event; without a handler (the default) this costs nothing."""
    if LOGGER.isEnabledFor(logging.INFO):
        line = {"time": datetime.now(UTC).isoformat(), "event": name, "run_id": run_id, **facts}
        LOGGER.info(hidden(json.dumps(line, default=str)))


def to_stderr() -> None:
    """Sends the events to standard error, one JSON line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
