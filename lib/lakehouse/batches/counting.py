"""A batch's counts: taken while its rows are written, or by reading them where they must be known without a write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse.batches.batch_rows import Batch, checked, quarantines_extras, sound, takes_out, transformed
from lakehouse.batches.job_columns import without_bronze_columns
from lakehouse.batches.measuring import Asked, Figures, Judged, asked_of, judged, taken
from lakehouse.batches.routes import fits_none
from lakehouse.batches.rule_checks import FLAG
from lakehouse.frames import EXTRA, FATE, col
from lakehouse.observations import observed
from lakehouse.planning.plan import Plan, Step
from lakehouse.quality import VALID, any_fails, counters

_DIMENSION = "dimension_"
_BROKEN = "broken_rules"  # a bit for each row rule that some row breaks
_BITS = 63


@dataclass(frozen=True)
class Taken:
    """What is known of a batch once it was read: the counts by the run record's names, and the rules on the whole of it."""

    counts: dict[str, int]
    dimensions: Mapping[str, int] = field(default_factory=dict)  # rows that break a rule of a dimension with a limit
    asked: Sequence[Asked] = ()
    figures: Figures = field(default_factory=dict)
    upheld: frozenset[int] = frozenset()  # the places of the rules that no row breaks

    @property
    def verdicts(self) -> tuple[Judged, ...]:
        """What the rules on the whole batch say, those whose figures were taken."""
        return judged(self.asked, self.figures)


@dataclass(frozen=True)
class Pass:
    """From a batch's rows as they came to the frame that reaches the sinks, and what is counted while that is read, once."""

    plan: Plan
    raw: DataFrame
    rows: DataFrame
    fates: Observation
    taken_out: Sequence[tuple[Step, Observation]]
    routes: Observation | None
    asked: Sequence[Asked] = ()
    measured: Observation | None = None

    def taken(self) -> Taken | None:
        """What was counted, or None where no action has read the frame (a write that was in already)."""
        found = observed(self.fates)
        if found is None:
            return None
        extras = [(step, (_counted(seen) or {}).get("extras", 0)) for step, seen in self.taken_out]
        quarantined = sum(count for step, count in extras if quarantines_extras(step))
        dropped = sum(count for step, count in extras if not quarantines_extras(step))
        unrouted = (_counted(self.routes) or {}).get("unrouted", 0) if self.routes is not None else 0
        seen = observed(self.measured) if self.measured is not None else None
        figures = {item.place: item.figures(seen) for item in self.asked if item.in_passing} if seen is not None else {}
        counts = _balanced(found, quarantined, dropped, unrouted)
        return Taken(counts, _limited(found), self.asked, figures, _upheld(self.plan, found))


def one_pass(batch: Batch, raw: DataFrame, *, measures: bool = True) -> Pass:
    """The batch as one lazy frame: every count is taken by the action that writes it, and what it can of the rules on the
    whole batch, unless `measures` is false."""
    plan, fates = batch.plan, Observation()
    judged_rows = checked(batch, raw)
    left = sound(judged_rows.observe(fates, *_counters(batch)))
    asked = asked_of(batch, judged_rows, left)
    passing = [column for item in asked if item.in_passing for column in item.aggregates]
    measured = Observation() if passing and measures else None
    if measured is not None:
        left = left.observe(measured, *passing)
    taken_out: list[tuple[Step, Observation]] = []

    def count(step: Step, _: str, flagged: DataFrame) -> DataFrame:
        observation = Observation()
        taken_out.append((step, observation))
        return flagged.observe(observation, F.count_if(col(EXTRA).isNotNull()).alias("extras"))

    rows = without_bronze_columns(plan, transformed(batch, left, count))
    routes = Observation() if plan.job.config.sinks else None
    if routes is not None:
        rows = rows.observe(routes, F.count_if(fits_none(plan)).alias("unrouted"))
    return Pass(plan, raw, rows, fates, taken_out, routes, asked, measured)


def taken_without_write(batch: Batch, raw: DataFrame, asked: Sequence[Asked]) -> Taken:
    """The counts and figures without a write: of the rules alone where no transform quarantines rows."""
    if takes_out(batch.plan):
        return taken_from_everything(batch, raw)
    counts, figures = taken(batch, checked(batch, raw), _counters(batch), asked)
    return Taken(_balanced(counts), _limited(counts), asked, figures, _upheld(batch.plan, counts))


def taken_from_everything(batch: Batch, raw: DataFrame) -> Taken:
    """The counts, and what figures come with them, by reading everything and writing nothing."""
    one = one_pass(batch, raw)
    one.rows.write.format("noop").mode("overwrite").save()
    return one.taken() or Taken(_balanced({}), asked=one.asked)


def completed(batch: Batch, raw: DataFrame, known: Taken) -> Taken:
    """The same with the figures that no pass could take along, by one more."""
    missing = [item for item in known.asked if item.place not in known.figures]
    if not missing:
        return known
    _, figures = taken(batch, checked(batch, raw), [F.count(F.lit(1))], missing)
    return replace(known, figures={**known.figures, **figures})


def _counters(batch: Batch) -> list[Column]:
    """What is counted of a frame with fates: rows by fate, those that break a set rule, which row rules are broken at all,
    and rows by dimension where the gate has a limit for it."""
    gate = batch.plan.job.config.quality_gate
    found = counters(_dispositions(batch.plan))
    flags = [f"{FLAG}{place}" for place, rule in enumerate(batch.plan.rules) if rule.flags]
    found += [F.count(F.when(~col(flag), 1)).alias(flag) for flag in flags]
    row_checks = [check for rule, check in batch.checks if not rule.flags]
    bits = [
        F.when(check.fails, F.lit(1 << place)).otherwise(0).cast("long")
        for place, check in zip(_row_rules(batch.plan), row_checks, strict=False)  # no bits for the last of very many
    ]
    if bits:  # of a valid row no rule is asked again
        broken_rules = reduce(Column.bitwiseOR, bits)
        found.append(F.bit_or(F.when(col(FATE) > VALID, broken_rules)).alias(_BROKEN))
    for dimension in gate.dimensions if gate is not None else ():
        checks = [check for rule, check in batch.checks if rule.dimension == dimension]
        broken = any_fails(checks) if checks else F.lit(False)
        found.append(F.count(F.when(broken, 1)).alias(f"{_DIMENSION}{dimension}"))
    return found


def _limited(found: Mapping[str, Any]) -> dict[str, int]:
    """The rows that break a rule of a dimension, by dimension."""
    return {name.removeprefix(_DIMENSION): int(count) for name, count in found.items() if name.startswith(_DIMENSION)}


def _row_rules(plan: Plan) -> list[int]:
    """The places of the row rules, of as many as there are bits."""
    return [place for place, rule in enumerate(plan.rules[:_BITS]) if not (rule.measures or rule.flags)]


def _upheld(plan: Plan, found: Mapping[str, Any]) -> frozenset[int]:
    """The places of the rules that were asked and that no row breaks."""
    flags = {int(name.removeprefix(FLAG)) for name, count in found.items() if name.startswith(FLAG) and count == 0}
    rows = _row_rules(plan)
    broken = int(found[_BROKEN] or 0) if rows else 0
    return frozenset(flags.union(place for place in rows if not broken >> place & 1))


def _dispositions(plan: Plan) -> set[str]:
    skips = {"drop"} if plan.source.option("cdc_format") else set()
    return skips | {rule.settings.on_fail for rule in plan.rules if not rule.measures}


def _balanced(
    found: Mapping[str, int], extras_quarantined: int = 0, extras_dropped: int = 0, unrouted: int = 0
) -> dict[str, int]:
    counts = {
        name: int(found.get(name) or 0)
        for name in ("rows_read", "rows_dropped", "rows_quarantined", "rows_failed", "rows_warned")
    }
    counts["rows_quarantined"] += extras_quarantined
    counts["rows_dropped"] += extras_dropped
    counts["rows_valid"] = counts["rows_read"] - counts["rows_quarantined"] - counts["rows_dropped"]
    return counts | {"rows_unrouted": unrouted, "extras_quarantined": extras_quarantined}


def _counted(observation: Observation) -> dict[str, int] | None:
    """The counts of an observation."""
    found = observed(observation)
    return None if found is None else {name: int(value) for name, value in found.items() if value is not None}
