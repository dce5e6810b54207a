"""The commands for jobs that run on: stop one."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from lakehouse import api
from lakehouse.config.project_files import find_job
from lakehouse.ending import ask_to_end, take_back
from lakehouse.errors import BusyError
from lakehouse.lease import is_held
from lakehouse.tables import Layout

_STEP = 0.5  # seconds between two looks


def stop(options: argparse.Namespace) -> int:
    """Asks the running copies of jobs to end after the batch in hand, and waits until they have."""
    files = [find_job(name, Path.cwd()) for name in options.jobs]
    running = []
    for file in files:
        layout, job = Layout(api.lake_root(file)), file.stem
        if is_held(layout, f"job-{job}"):
            ask_to_end(layout, job)
            running.append((layout, job))
        else:
            print(f"{job} is not running")
    until = time.monotonic() + options.timeout
    for layout, job in running:
        _await_end(layout, job, until)
        take_back(layout, job)
        print(f"{job} has ended")
    return 0


def _await_end(layout: Layout, job: str, until: float) -> None:
    while is_held(layout, f"job-{job}"):
        if time.monotonic() > until:
            raise BusyError(f"{job} still has its batch in hand; it ends after that")
        time.sleep(_STEP)
