"""Tables that several jobs of a project write: a full refresh takes all of their rows, so it needs all of the jobs."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.config.jobs import Job, load_job
from lakehouse.config.project_files import job_files
from lakehouse.errors import ConfigError, Problem
from lakehouse.planning.plan import KEEP_EVENTS, Plan, SinkStep


def require_all_writers(plans: Sequence[Plan], env: str | None) -> None:
    """Raises ConfigError for each table of these jobs that another job of their project writes too."""
    named = {plan.name for plan in plans}
    roots = {plan.job.root for plan in plans}
    files = [file for root in sorted(roots) for file in job_files(root / "conf") if file.stem not in named]
    others = [load_job(file, env=env, lake=plans[0].layout.root) for file in files]
    problems = [
        _problem(plan, sink, writers, [*named, *writers])
        for plan in plans
        for sink in plan.sinks
        if (writers := [job.name for job in others if sink.target in _tables(job)])
    ]
    if problems:
        raise ConfigError(problems)


def sharing(plans: Sequence[Plan]) -> list[Plan]:
    """Those of the jobs that write a table which another one of them writes too."""
    written = [table for plan in plans for table in plan.outputs]
    return [plan for plan in plans if any(written.count(table) > 1 for table in plan.outputs)]


def _tables(job: Job) -> set[str]:
    """The tables that a job writes; raises ConfigError where its sinks cannot be told."""
    words = [job.config.sink or {}, *(job.config.sinks or [])]
    options = [given for word in words for name, given in word.items() if name != "where" and isinstance(given, dict)]
    tables = {str(given["table"]) for given in options if "table" in given}
    if job.refused & {("sink",), ("sinks",)} or any("${" in table for table in tables):  # a variable that is not set
        raise ConfigError(job.problems)
    return tables


def _problem(plan: Plan, sink: SinkStep, writers: Sequence[str], together: Sequence[str]) -> Problem:
    jobs = f"job{'s' if len(writers) > 1 else ''} {', '.join(writers)}"
    anew = f", or `lakehouse rebuild {sink.target} --replace`" if sink.step.name in KEEP_EVENTS else ""
    return sink.step.problem(
        f"--full-refresh would take the rows of {jobs} out of {sink.target} too; refresh all that write it together: "
        f"`lakehouse run {' '.join(sorted(together))} --full-refresh`{anew}"
    )
