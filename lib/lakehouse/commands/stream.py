"""The commands for jobs that run on: stop one, see what its micro-batches did, move its checkpoint."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

from lakehouse import api, batch_log, reports
from lakehouse.commands import stream_reports
from lakehouse.config.project_files import find_job
from lakehouse.ending import Ending, ask_to_end, take_back
from lakehouse.errors import BusyError, ConfigError, LakehouseError
from lakehouse.lease import held, is_held
from lakehouse.pipeline import checkpoints, progress
from lakehouse.planning.graph import Result
from lakehouse.planning.plan import Plan
from lakehouse.session import get_spark
from lakehouse.storage import require_reachable
from lakehouse.tables import Layout

_STEP = 0.5  # seconds between two looks


def stop(options: argparse.Namespace) -> int:
    """Asks the running copies of jobs to end after the batch in hand, and waits until they have."""
    running = []
    for layout, job in [_found(name) for name in options.jobs]:
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
    layout, job = _found(options.job)
    kept = progress.load(layout.checkpoint(job))[0].batches
    newest = [batch_log.row_of(batch_log.from_value(value)) for value in reversed(kept)]
    told = {(row["run_id"], row["batch"]) for row in newest}
    rows = [*newest, *(row for row in batch_log.read(layout, job) if (row["run_id"], row["batch"]) not in told)]
    if options.json:
        for row in rows[: options.limit]:
            print(json.dumps(row, default=str))
    else:
        print(stream_reports.batches_table(rows[: options.limit]) if rows else f"no batches of {job} yet")
    return 0


def checkpoint(options: argparse.Namespace) -> int:
    """Lists checkpoints, says what one holds, moves one, or copies it for a job of another name."""
    wanted = {"list": 0, "show": 1, "reset": 1, "copy": 2}[options.action]
    if len(options.names) != wanted or (options.action == "reset") != bool(options.to):
        raise ConfigError(_USAGE)
    if options.action == "reset":
        return _reset(options)
    layout = api.layout()
    if options.action in ("list", "show"):
        _tell_held(layout, options)
        return 0
    job, other = options.names
    with held(layout, [f"job-{job}", f"job-{other}"]):
        checkpoints.copied(layout, job, other)
    print(f"{other} goes on where {job} is; run only one of them from now on")
    return 0


def _tell_held(layout: Layout, options: argparse.Namespace) -> None:
    """What one job's checkpoint holds, or those of all."""
    found: Mapping[str, checkpoints.Held | LakehouseError]
    if options.action == "show":
        one = checkpoints.held_by(layout, options.names[0])
        found, said = {one.job: one}, stream_reports.checkpoint_text(one)
    else:
        found = _all_held(layout)
        said = stream_reports.checkpoints_table(found) or f"no checkpoints in {layout.root} yet"
    if options.json:
        for job, held_by in found.items():
            print(json.dumps(stream_reports.checkpoint_values(job, held_by), default=str))
    else:
        print(said)


def _found(name: str) -> tuple[Layout, str]:
    """The lake and the name of a job named on the command line."""
    file = find_job(name, Path.cwd())
    return Layout(api.lake_root(file)), file.stem


def _all_held(layout: Layout) -> dict[str, checkpoints.Held | LakehouseError]:
    """What each job's checkpoint holds, or what is wrong with it."""
    found: dict[str, checkpoints.Held | LakehouseError] = {}
    for job in checkpoints.jobs(layout):
        try:
            found[job] = checkpoints.held_by(layout, job)
        except LakehouseError as error:
            found[job] = error
    return found


_USAGE = "it is: checkpoint list | show JOB | reset JOB --to X [--yes] | copy JOB NEW_NAME"


def _reset(options: argparse.Namespace) -> int:
    """Moves a checkpoint once it is said twice: an `append` adds rows again, or never sees some."""
    plan = api.planned([find_job(options.names[0], Path.cwd())], options.env)[0]
    with held(plan.layout, [f"job-{plan.name}"]):
        state = checkpoints.moved(plan, options.to)
        if not options.yes:
            print(stream_reports.reset_text(plan, state, options.to))
            return 0
        checkpoints.save_moved(plan, state)
    print(f"{plan.name} reads on from {options.to}")
    return 0


def _await_end(layout: Layout, job: str, until: float) -> None:
    while is_held(layout, f"job-{job}"):
        if time.monotonic() > until:
            raise BusyError(f"{job} still has its batch in hand; it ends after that")
        time.sleep(_STEP)


def stream_flush(options: argparse.Namespace) -> int:
    """Runs a job to the end of what is new, then closes what its state holds open: what comes for it later is late."""
    from lakehouse.pipeline.run import run_plan

    plan = _with_state(find_job(options.job, Path.cwd()), options.env)
    require_reachable(plan.layout.root)
    with held(plan.layout, api.lease_names([plan])):
        spark = get_spark(plan.name, short=api.are_short([plan]))
        record = run_plan(plan, spark, Ending(plan.layout, plan.name, once=True, flush=True))
    print(reports.run_line(Result(plan.name, record)))
    return 0


def _with_state(file: Path, env: str | None) -> Plan:
    plan = api.planned([file], env)[0]
    if plan.state is None:
        raise ConfigError(f"{plan.name} holds nothing open: it is no stream with a window, a session or a join")
    return plan
