"""All that is looked at, in the order in which a run would miss it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lakehouse.diagnosis.finding import Finding
from lakehouse.diagnosis.machine import disks, limits
from lakehouse.diagnosis.packages import jars, packages
from lakehouse.diagnosis.programs import java, pythons
from lakehouse.diagnosis.spark_settings import archive, settings_files, submit
from lakehouse.diagnosis.store import store


def diagnose(lake: str) -> list[Finding]:
    """Everything that a run needs, for a lake at this place."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        pythons, java, packages, jars, settings_files, submit, archive, limits, lambda: disks(lake), lambda: store(lake),
    )  # fmt: skip
    return [finding for check in checks for finding in check()]
