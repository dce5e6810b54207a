"""What cannot be of a job whose state lives in a stream: every problem is told before the start, at its line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lakehouse.config.job_config import Watermark
from lakehouse.config.validation import checked_options
from lakehouse.errors import Problem, did_you_mean
from lakehouse.planning.mergeable import merged_measures
from lakehouse.planning.plan import KEEP_EVENTS, Plan, Step, keeps_state
from lakehouse.registry import length_of

_AT = ("stream", "watermark")
# Each row in, one row out, and none fails: so also a broken row may pass, and is counted behind them.
BEFORE = frozenset(
    [
        *(
            "cast",
            "derive",
            "drop",
            "fill_nulls",
            "flatten",
            "mask",
            "rename",
            "select",
            "standardise",
            "surrogate_key",
        ),
        "trim",
    ]
)
# On the finished rows: what needs no other row of the same table.
AFTER = BEFORE | {"filter", "explode", "join", "lookup"}


def stream_problems(plan: Plan) -> Iterator[Problem]:
    """What is wrong with a job's event time: its watermark, its state, and the sinks that it ends in."""
    wrong = list(_watermark_problems(plan))
    yield from wrong
    if wrong:
        return
    yield from _time_problems(plan)
    states = [step for step in plan.transforms if keeps_state(step)]
    if plan.state is not None:
        yield from _state_problems(plan, plan.state)
        for step in states[1:]:
            yield step.problem("a job keeps one state; put it into a job that reads this one's table")
    elif plan.read == "incremental":
        for step in states:
            yield step.problem(
                f"it needs the rows of earlier runs too, and source '{plan.source.name}' gives the new ones alone: land them in a "
                "bronze table and read that with 'delta:', or set read: full"
            )
    stream = plan.job.config.stream
    if plan.state is None and stream is not None and stream.late == "merge":
        yield plan.job.source.problem(("stream", "late"), "late: merge needs a stream with a window; take it out")


def _watermark_problems(plan: Plan) -> Iterator[Problem]:
    """What is no watermark, or one of no input."""
    stream, source = plan.job.config.stream, plan.job.source
    given = stream.watermark if stream is not None else None
    if given is None:
        return
    if "column" in given or "delay" in given:
        yield from _one_watermark(plan, given, ())
        return
    inputs = [name for name in (plan.source.option("table"), *plan.job.config.inputs) if name]
    for name, item in given.items():
        if name not in inputs:
            yield source.problem((*_AT, name), f"'{name}' is no input of this job.{did_you_mean(name, inputs)}")
        else:
            yield from _one_watermark(plan, item, (name,))


def _one_watermark(plan: Plan, given: Any, path: tuple[str, ...]) -> Iterator[Problem]:
    known = [info.alias or name for name, info in Watermark.model_fields.items()]
    for key in [key for key in given if key not in known] if isinstance(given, dict) else ():
        said = f"a watermark has no option '{key}'.{did_you_mean(key, known)}"
        yield plan.job.source.problem((*_AT, *path, key), said)
    own = {key: value for key, value in given.items() if key in known} if isinstance(given, dict) else given
    yield from checked_options(Watermark, own, plan.job.source, (*_AT, *path), "a watermark")[1]


def _time_problems(plan: Plan) -> Iterator[Problem]:
    """Event time that is said twice, and differently; a join that lacks one; a watermark that nothing goes by."""
    times, source = plan.watermarks, plan.job.source
    states = [step for step in plan.transforms if keeps_state(step)]
    joins = [step for step in states if step.name == "stream_join"]
    if times and not states:
        yield source.problem(
            _AT, "no transform goes by it: use window, session_window, stream_join or deduplicate with 'within'"
        )
    for step in joins:
        for name in ("", str(step.option("with_"))):
            if name not in times:
                yield step.problem(
                    f"it needs a watermark of both inputs; add that of {name or _name(plan)} under {'.'.join(_AT)}"
                )
    for step in [step for step in states if step not in joins]:
        if "" not in times:
            if plan.streams:
                said = "without a watermark its rows would never be final; add  stream: {watermark: {column: ..., delay: 10 minutes}}"
                yield step.problem(said)
        elif step.option("time_column", times[""].column) != times[""].column:
            said = f"its time_column is {step.option('time_column')}, and the watermark is on {times[''].column}; name one column in both"
            yield step.problem(said)


def _name(plan: Plan) -> str:
    return str(plan.source.option("table") or plan.source.name)


def _state_problems(plan: Plan, state: Step) -> Iterator[Problem]:
    place = plan.transforms.index(state)
    for step in plan.transforms[:place]:
        if step.name == "filter":
            said = "before a stream's state rows are counted one by one; say it as a rule:  - expr: {sql: ..., on_fail: drop}"
            yield step.problem(said)
        elif not _is_own(step, BEFORE):
            yield step.problem(
                f"it cannot stand before '{state.name}' in a stream; put it into the job before this one"
            )
    for step in plan.transforms[place + 1 :]:
        if not keeps_state(step) and not _is_own(step, AFTER):
            yield step.problem(
                f"it cannot stand after '{state.name}' in a stream; put it into a job that reads this one's table"
            )
    for rule in plan.rules:
        if rule.flags or rule.measures:
            yield rule.step.problem(
                "it speaks of a whole batch, which a stream's state has none of; put it into the job before this one"
            )
    if plan.suite is not None:
        yield plan.job.source.problem(
            ("expectations",), "a stream with state asks no suite; put it into a job that reads the table"
        )
    yield from _sink_problems(plan, state)
    yield from _own_problems(plan, state)


def _is_own(step: Step, names: frozenset[str]) -> bool:
    """True for a transform of the product's own that has one of these names."""
    return step.name in names and step.entry.function.__module__.startswith("lakehouse.transforms.")


def _sink_problems(plan: Plan, state: Step) -> Iterator[Problem]:
    for sink in plan.sinks:
        if sink.step.name in (*KEEP_EVENTS, "overwrite"):
            yield sink.step.problem(
                f"a stream gives each row of '{state.name}' once, when it is final; use append or merge"
            )
    if not plan.merges_late:
        return
    at = ("stream", "late")
    if state.name != "window":
        yield plan.job.source.problem(at, f"a finished row of '{state.name}' cannot take a late row in; use late: keep")
        return
    if [sink.step.name for sink in plan.sinks] not in (["append"], ["merge"]) or plan.sinks[0].where:
        yield plan.job.source.problem(at, "late rows are merged into one table; give the job one sink, append or merge")
    place = plan.transforms.index(state)
    for step in plan.transforms[place + 1 :]:
        yield step.problem(
            "with late: merge the table holds the window's own columns; put it into a job that reads the table"
        )
    try:
        merged_measures(state.given["measures"])
    except ValueError as error:
        yield state.problem(f"late: merge: {error}")


def _own_problems(plan: Plan, state: Step) -> Iterator[Problem]:
    """What one of the transforms alone must not say."""
    times = plan.watermarks
    if state.name != "deduplicate":
        return
    if not state.option("keys"):
        yield state.problem("'within' needs 'keys': what a stream remembers of a row are its keys")
    if state.option("extras") == "quarantine":
        yield state.problem(
            "a stream remembers keys, not rows, and only counts the repeats; take 'extras: quarantine' out"
        )
    if "" in times and length_of(times[""].delay) != length_of(state.option("within")):
        said = f"Spark remembers a key for the watermark's delay: 'within' and 'delay' must be the same, not {state.option('within')} and {times[''].delay}"
        yield state.problem(said)
