"""What the commands on a stream do."""

from __future__ import annotations

import argparse
from pathlib import Path

from lakehouse import api, reports
from lakehouse.config.project_files import find_job
from lakehouse.errors import ConfigError
from lakehouse.lease import held
from lakehouse.planning.graph import Result
from lakehouse.planning.plan import Plan
from lakehouse.session import get_spark
from lakehouse.storage import require_reachable


def stream_flush(options: argparse.Namespace) -> int:
    """Runs a job to the end of what is new, then closes what its state holds open: what comes for it later is late."""
    from lakehouse.pipeline.run import run_plan

    plan = _with_state(find_job(options.job, Path.cwd()), options.env)
    require_reachable(plan.layout.root)
    with held(plan.layout, api.lease_names([plan])):
        record = run_plan(plan, get_spark(plan.name, short=api.are_short([plan])), flush=True)
    print(reports.run_line(Result(plan.name, record)))
    return 0


def _with_state(file: Path, env: str | None) -> Plan:
    plan = api.planned([file], env)[0]
    if plan.state is None:
        raise ConfigError(f"{plan.name} holds nothing open: it is no stream with a window, a session or a join")
    return plan
