"""A batch in hand: its identity, its rows on their way through conform, rules and transforms, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import lake, log, rule_results
from lakehouse.batches.cdc_rows import with_refused
from lakehouse.batches.deletes import with_deletes
from lakehouse.batches.event_times import flagged_untimed, times_of
from lakehouse.batches.job_columns import shape_of
from lakehouse.batches.routes import fits
from lakehouse.batches.rule_checks import DELETES, FLAG, TRUNCATES, checks_of
from lakehouse.batches.set_rules import with_flags
from lakehouse.batches.step_errors import explained, problem_of
from lakehouse.change_data import event_log
from lakehouse.change_data.unfit import TOO_LATE
from lakehouse.commits import Commit
from lakehouse.conform import Shape, conform
from lakehouse.errors import ConfigError, Problem
from lakehouse.frames import EXTRA, FATE, REASONS, SKIPPED, col
from lakehouse.planning.plan import Plan, RuleStep, SinkStep, Step, keeps_state
from lakehouse.quality import WARNED, Check, with_fate
from lakehouse.registry import call_options
from lakehouse.rule_results import RuleResult
from lakehouse.targets import Written


@dataclass(frozen=True)
class Batch:
    """What is in hand: the job's plan, the session it runs in, and the identity of its writes."""

    plan: Plan
    spark: SparkSession
    run_id: str
    now: datetime
    checkpoint: str
    number: int
    versions: Mapping[str, int]
    origin: str
    input: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    clock: Column | None = None  # of a stream's own query: the time of each micro-batch
    upheld: frozenset[int] = frozenset()
    """The rules, by their places in the job, that an earlier pass over these rows saw no row break."""

    @cached_property
    def tables(self) -> dict[str, DataFrame]:
        """The job's inputs at their pinned versions, by name."""
        layout = self.plan.layout
        return {
            name: lake.read(self.spark, layout.table(name), version=version) for name, version in self.versions.items()
        }

    @cached_property
    def shape(self) -> Shape:
        """What conform makes of the batch's rows."""
        return shape_of(self.plan, self.run_id, self.now)

    @cached_property
    def checks(self) -> list[tuple[RuleStep, Check]]:
        """The rules that name rows as columns, each with its step; a set rule's is there once its flag is."""
        return checks_of(self.plan, self.now if self.clock is None else self.clock, self.upheld)

    def tell(self, event: str) -> None:
        """An event for a step of the batch that stays when the run dies right behind it."""
        log.event(event, run_id=self.run_id, job=self.plan.name, batch=self.number)

    def profiles(self, rule: str) -> list[Any]:
        """What a rule on the whole batch kept of earlier accepted runs, the newest first."""
        return rule_results.profiles(self.plan.layout, self.plan.name, rule, before=self.now)

    def remembered(self, sink: SinkStep) -> DataFrame | None:
        """The events that a change-data sink knew before this batch."""
        return event_log.before(self.spark, self.plan.layout, sink.target, self.commit(self.write_of(sink)))

    def write_of(self, sink: SinkStep) -> str:
        """What tells a sink's write from the batch's others."""
        return f"{sink.target}/{self.plan.sinks.index(sink)}"

    def commit(self, step: str, **note: Any) -> Commit:
        """The identity of one of this batch's writes."""
        known = {"run_id": self.run_id, "job": self.plan.name, "batch": self.number, "config": self.plan.fingerprint}
        return Commit(f"{self.plan.name}/{step}/{self.checkpoint}", self.number, {**known, "input": self.input, **note})


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: the counts by the run record's names, and what each target's write did."""

    counts: dict[str, int]
    written: tuple[Written, ...] = ()
    quarantined: Written | None = None
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    results: tuple[RuleResult, ...] = ()
    state: Mapping[str, int] = field(default_factory=dict)
    """Of a stream with state: rows `placed` in it, rows `closed` in what it gave, and by input the `latest` time of one
    that it took (microseconds)."""


Work = Callable[[], Outcome]
"""What writes a batch, and says what came of it."""


def checked(batch: Batch, raw: DataFrame) -> DataFrame:
    """The conformed frame with each row's fate: first by the row rules, then by the set rules over what those leave."""
    plan = batch.plan
    with explained(plan):
        frame = with_refused(plan, conform(raw, batch.shape))
    frame = with_deletes(plan, frame, batch.now)
    checks = [(rule, check) for rule, check in batch.checks if not rule.flags]
    try:
        judged = with_fate(frame, [check for _, check in checks])
    except (AnalysisException, ParseException):
        problems = [problem for rule, check in checks for problem in _problems(plan, rule.step, check, frame)]
        if problems:
            raise ConfigError(problems) from None
        raise
    return with_flags(plan, judged, batch.now, batch.tables, batch.upheld)


def sound(checked_rows: DataFrame) -> DataFrame:
    """The rows that no rule took out: what the transforms get."""
    flags = [name for name in checked_rows.columns if name.startswith(FLAG)]
    return checked_rows.where(col(FATE) <= WARNED).drop(FATE, REASONS, SKIPPED, DELETES, TRUNCATES, *flags)


def transformed(batch: Batch, rows: DataFrame, on_extras: Callable[[Step, str, DataFrame], DataFrame]) -> DataFrame:
    """The rows after every transform; `on_extras` sees each frame in which a step flagged the rows that it takes out,
    and the name of the reason."""
    for step in batch.plan.transforms:
        with explained(batch.plan, step):
            flagged = flagged_untimed(batch.plan, step, rows, batch.now)
            if flagged is not None:
                # as the source's: `extras` of the transform speaks of what it takes out itself
                rows = _without_extras(on_extras(batch.plan.source, step.name, flagged))
            rows = step.call(rows, now=batch.now, tables=batch.tables, event_times=times_of(batch.plan))
            if not isinstance(rows, DataFrame):
                raise ValueError("it must return a DataFrame")
            if EXTRA in rows.columns:
                rows = _without_extras(on_extras(step, step.name, rows))
    for sink in batch.plan.sinks:
        for rule, flag in _guards(batch, sink):
            with explained(batch.plan, sink.step):
                flagged = flag(rows).withColumn(EXTRA, F.when(fits(batch.plan, sink), col(EXTRA)))
            rows = _without_extras(on_extras(sink.step, rule, flagged))
    return rows


def _guards(batch: Batch, sink: SinkStep) -> list[tuple[str, Callable[[DataFrame], DataFrame]]]:
    """What flags the rows that a sink cannot take, each with the name of its reason."""
    traits, options = sink.step.entry.traits, call_options(sink.step.entry, sink.step.options)
    found: list[tuple[str, Callable[[DataFrame], DataFrame]]] = []
    if sink.step.option("state_retention"):
        found.append((TOO_LATE, lambda rows: traits["late"](rows, batch.remembered(sink), **options)))
    if sink.step.option("on_invalid") == "quarantine":
        found.append((sink.step.name, lambda rows: rows.withColumn(EXTRA, traits["guard"](rows, **options))))
    return found


def _without_extras(flagged: DataFrame) -> DataFrame:
    return flagged.where(col(EXTRA).isNull()).drop(EXTRA)


def takes_out(plan: Plan) -> bool:
    """True where rows can be taken out after the rules."""
    found = any(step.entry.traits.get("takes_out") or keeps_state(step) for step in plan.transforms)
    return found or bool(guarded(plan))


def guarded(plan: Plan) -> list[SinkStep]:
    """The sinks that quarantine what they cannot take."""
    options = ("on_invalid", "state_retention")
    return [sink for sink in plan.sinks if {sink.step.option(name) for name in options} - {None, "error"}]


def quarantines_extras(step: Step) -> bool:
    """True where the rows that a transform takes out are quarantined, not dropped."""
    return str(step.option("extras", "quarantine")) == "quarantine"


def _problems(plan: Plan, step: Step, check: Check, frame: DataFrame) -> list[Problem]:
    try:
        frame.select(check.fails)
    except (AnalysisException, ParseException) as error:
        return [problem_of(plan, step, error)]
    return []
