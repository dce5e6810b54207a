"""What `lakehouse plan` does: each job's hops and problems, and what a run of it would change."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lakehouse import api, reports, session
from lakehouse.commands.plan_reports import changes_text, column_text, summary
from lakehouse.config.project_files import find_job, job_files
from lakehouse.errors import ConfigError, Problem
from lakehouse.planning import graph
from lakehouse.planning.changes import Changes
from lakehouse.planning.plan import Plan
from lakehouse.terminal import is_coloured


def plan(options: argparse.Namespace) -> int:
    """Shows each job's hops and what a run would do; raises ConfigError for what a run, or a reader, would not take."""
    plans = api.planned([find_job(name, Path.cwd()) for name in options.jobs], options.env)
    neighbours = _neighbours(plans, options.env)
    found = []
    for item in plans:
        if not options.json:
            print(reports.plan_text(item), flush=True)
        changes = replace(_preview(item, with_spark=not options.no_spark), downstream=_downstream(neighbours, item))
        print(_as_json(changes) if options.json else changes_text(changes, colours=is_coloured()))
        found.append(changes)
    if len(found) > 1 and not options.json:
        print(f"\n{summary(found)}")
    pairs = zip(plans, found, strict=True)
    problems = [
        problem for item, changes in pairs for problem in _problems(item, changes, allowed=options.allow_breaking)
    ]
    if problems:
        raise ConfigError(problems)
    return 0


def _preview(item: Plan, *, with_spark: bool) -> Changes:
    from lakehouse.pipeline.preview import preview, preview_without_spark

    return preview(item, session.get_spark(item.name, short=True)) if with_spark else preview_without_spark(item)


def _as_json(changes: Changes) -> str:
    tables = [{**asdict(table), "breaking": [column.name for column in table.breaking]} for table in changes.tables]
    return json.dumps({**asdict(changes), "tables": tables, "changes": not changes.nothing}, default=str)


def _neighbours(plans: Sequence[Plan], env: str | None) -> list[Plan]:
    """These jobs and all others of their projects that can be planned."""
    names, roots = {plan.name for plan in plans}, sorted({plan.job.root for plan in plans})
    others = [file for root in roots for file in job_files(root / "conf") if file.stem not in names]
    return sorted([*plans, *api.known_plans(others, env)], key=lambda plan: plan.name)


def _downstream(plans: Sequence[Plan], item: Plan) -> tuple[str, ...]:
    """The jobs that read what a job writes, and those that read what these write, in run order."""
    reached, tables = [], set(item.outputs)
    for other in graph.ordered(plans):
        if other.name != item.name and tables & set(other.inputs):
            reached.append(other.name)
            tables |= set(other.outputs)
    return tuple(reached)


def _problems(item: Plan, changes: Changes, *, allowed: bool) -> Iterator[Problem]:
    """What a run would refuse, and, unless it is `allowed`, what readers of a table would miss."""
    for sink, table in zip(item.sinks, changes.tables, strict=True):
        for reason in table.refused:
            yield sink.step.problem(f"a run would refuse this: {reason}; cast it, or run with --full-refresh")
        if table.breaking and not table.refused and not allowed:
            columns = ", ".join(map(column_text, table.breaking))
            readers = f" for {', '.join(changes.downstream)}" if changes.downstream else ""
            yield sink.step.problem(f"{table.table} breaks{readers}: {columns}; keep them, or say --allow-breaking")
