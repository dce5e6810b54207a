"""Several jobs: selected by name, neighbour or tag, ordered by what they read and write, run side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise

from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.planning.plan import Plan
from lakehouse.runs import RunRecord

_SELECTOR = re.compile(r"(?P<up>\+?)(?P<name>[^+]+)(?P<down>\+?)")


@dataclass(frozen=True)
class Result:
    """How one job of several ended: its record, its error, or the failed job that it was skipped for."""

    job: str
    record: RunRecord | None = None
    error: BaseException | None = None
    skipped_for: str | None = None


def edges(plans: Sequence[Plan]) -> dict[str, set[str]]:
    """For each job the jobs that it reads from; jobs that write one table follow each other."""
    writers: dict[str, list[str]] = {}
    for plan in plans:
        for table in plan.outputs:
            writers.setdefault(table, []).append(plan.name)
    before: dict[str, set[str]] = {plan.name: set() for plan in plans}
    for plan in plans:
        for table in plan.inputs:
            before[plan.name] |= set(writers.get(table, [])) - {plan.name}
    for names in writers.values():
        for earlier, later in pairwise(names):
            if later not in _reachable(before, earlier):
                before[later].add(earlier)
    return before


def ordered(plans: Sequence[Plan]) -> list[Plan]:
    """The plans in run order; raises ConfigError naming the path of a cycle."""
    before, done, by_name = edges(plans), [], {plan.name: plan for plan in plans}
    for plan in plans:
        if by_name[plan.name].job.file != plan.job.file:
            raise ConfigError(plan.job.source.problem((), f"{by_name[plan.name].job.file} is a job of that name too"))

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " -> ".join((*path[path.index(name) :], name)[::-1])
            raise ConfigError(by_name[name].job.source.problem(("source",), f"the jobs form a cycle: {circle}"))
        if name not in done:
            for earlier in sorted(before[name]):
                visit(earlier, (*path, name))
            done.append(name)

    for plan in plans:
        visit(plan.name, ())
    return [by_name[name] for name in done]


def selected(plans: Sequence[Plan], selectors: Iterable[str]) -> list[Plan]:
    """The plans of `name`, `+name` (and all before it), `name+` (and all after it), `tag:x`, `layer` names as `layer:x`."""
    before, names = edges(plans), {plan.name: plan for plan in plans}
    after: dict[str, set[str]] = {name: {other for other in names if name in before[other]} for name in names}
    chosen: set[str] = set()
    for selector in selectors:
        match = _SELECTOR.fullmatch(selector.strip())
        start = _named(plans, match["name"] if match else selector)
        if not match or not start:
            tags = sorted({f"tag:{tag}" for plan in plans for tag in plan.job.config.tags})
            raise ConfigError(f"--select {selector} fits no job.{did_you_mean(selector.strip('+'), [*names, *tags])}")
        chosen |= start
        for name in start:
            chosen |= _reachable(before, name) if match["up"] else set()
            chosen |= _reachable(after, name) if match["down"] else set()
    return [plan for plan in plans if plan.name in chosen]


def run_all(
    plans: Sequence[Plan],
    run_one: Callable[[Plan], RunRecord],
    side_by_side: int,
    on_end: Callable[[Result], None],
    *,
    once: bool = False,
) -> list[Result]:
    """Runs each job once all that it reads from are done; one that fails skips what depends on it, the rest goes on.

    A job that goes on until it is stopped is never done: what reads from it runs beside it, unless all end `once`
    nothing new is there. The results stand in run order.
    """
    plans = ordered(plans)
    endless = {plan.name for plan in plans if plan.interval is not None and not once}
    before = {name: earlier - endless for name, earlier in edges(plans).items()}
    results: dict[str, Result] = {}
    running: dict[Future[RunRecord], str] = {}
    pool = ThreadPoolExecutor(max_workers=side_by_side + len(endless), thread_name_prefix="job")
    try:
        while len(results) < len(plans):
            for plan in [plan for plan in plans if plan.name not in {*results, *running.values()}]:
                blocker = _blocker(before[plan.name], results)
                if blocker is not None:
                    _keep(Result(plan.name, skipped_for=blocker), results, on_end)
                elif before[plan.name] <= results.keys():
                    running[pool.submit(run_one, plan)] = plan.name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                _keep(_result(running.pop(future), future), results, on_end)
    finally:
        # not to be waited for: on Ctrl-C the jobs under way are left to the next run, which finishes them
        pool.shutdown(wait=False, cancel_futures=True)
    return [results[plan.name] for plan in plans]


def _keep(result: Result, results: dict[str, Result], on_end: Callable[[Result], None]) -> None:
    results[result.job] = result
    on_end(result)


def _result(job: str, future: Future[RunRecord]) -> Result:
    error = future.exception()
    return Result(job, error=error) if error else Result(job, future.result())


def _blocker(before: set[str], results: Mapping[str, Result]) -> str | None:
    ended = [results[name] for name in sorted(before) if name in results]
    bad = next((result for result in ended if result.error is not None or result.skipped_for is not None), None)
    return None if bad is None else bad.skipped_for or bad.job


def _named(plans: Sequence[Plan], word: str) -> set[str]:
    kind, _, value = word.partition(":")
    if kind == "tag" and value:
        return {plan.name for plan in plans if value in plan.job.config.tags}
    if kind == "layer" and value:
        return {plan.name for plan in plans if plan.job.config.layer == value}
    return {plan.name for plan in plans if plan.name == word}


def _reachable(neighbours: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    open_ = [start]
    while open_:
        for name in neighbours[open_.pop()] - found:
            found.add(name)
            open_.append(name)
    return found
