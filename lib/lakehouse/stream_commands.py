"""The commands for jobs that run on: stop one, see what its micro-batches did."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from lakehouse import api, batch_log, reports
from lakehouse.config.project_files import find_job
from lakehouse.ending import ask_to_end, take_back
from lakehouse.errors import BusyError
from lakehouse.lease import is_held
from lakehouse.pipeline import progress
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


def batches(options: argparse.Namespace) -> int:
    """Shows a job's last micro-batches, those of a run under way too; needs no Spark."""
    file = find_job(options.job, Path.cwd())
    layout, job = Layout(api.lake_root(file)), file.stem
    kept = progress.load(layout.checkpoint(job))[0].batches
    newest = [batch_log.row_of(batch_log.from_value(value)) for value in reversed(kept)]
    told = {(row["run_id"], row["batch"]) for row in newest}
    rows = [*newest, *(row for row in batch_log.read(layout, job) if (row["run_id"], row["batch"]) not in told)]
    if options.json:
        for row in rows[: options.limit]:
            print(json.dumps(row, default=str))
    else:
        print(reports.batches_table(rows[: options.limit]) if rows else f"no batches of {job} yet")
    return 0


def _await_end(layout: Layout, job: str, until: float) -> None:
    while is_held(layout, f"job-{job}"):
        if time.monotonic() > until:
            raise BusyError(f"{job} still has its batch in hand; it ends after that")
        time.sleep(_STEP)
