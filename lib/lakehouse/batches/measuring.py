"""Rules on a whole batch: what they measure is taken in the pass that writes, or in the one that counts, then judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.batches.batch_rows import Batch
from lakehouse.batches.rule_checks import asked_where
from lakehouse.batches.step_errors import explained
from lakehouse.frames import FATE, col, filtered
from lakehouse.measures import Measure, Verdict
from lakehouse.planning.plan import RuleStep
from lakehouse.quality import WARNED
from lakehouse.spark_errors import readable

Figures = Mapping[int, Mapping[str, Any] | str]
"""What each rule's aggregates came to, by the rule's place in the job; a text says why they could not be worked out."""


@dataclass(frozen=True)
class Asked:
    """A rule on the whole batch with its measure, and the condition of the rows that it asks."""

    place: int
    rule: RuleStep
    measure: Measure
    where: str | None

    @property
    def is_sure(self) -> bool:
        """True where working it out can never raise."""
        return self.measure.total and self.where is None

    @property
    def in_passing(self) -> bool:
        """True where the pass that writes may take it: it cannot raise there, and asks every row that the rules leave."""
        return self.is_sure and self.measure.table is None

    @property
    def aggregates(self) -> list[Column]:
        """Those over all rows of a frame, under names of their own."""
        return [column.alias(self._named(name)) for name, column in self.measure.aggregates.items()]

    def over_checked(self) -> list[Column]:
        """The same over a frame with fates: of the rows that the row rules and `where` leave."""
        asked = col(FATE) <= WARNED
        asked = asked if self.where is None else asked & F.expr(self.where)
        return [filtered(column, asked).alias(self._named(name)) for name, column in self.measure.aggregates.items()]

    def of_table(self) -> list[Column]:
        """The aggregates over the table beside the batch."""
        return [column.alias(self._named(name)) for name, column in self.measure.table_aggregates.items()]

    def figures(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Its own among all figures, under the names that it gave them."""
        names = [*self.measure.aggregates, *self.measure.table_aggregates]
        return {name: found.get(self._named(name)) for name in names}

    def _named(self, name: str) -> str:
        return f"rule_{self.place}_{name}"


def asked_of(batch: Batch, checked_rows: DataFrame, rows: DataFrame) -> list[Asked]:
    """The rules on the whole batch over the rows that the row rules leave, each resolved against them."""
    found = []
    for place, (rule, name) in enumerate(zip(batch.plan.rules, batch.plan.rule_names, strict=True)):
        if rule.measures:
            with explained(batch.plan, rule.step):
                profiles = batch.profiles(name) if "profiles" in rule.step.entry.given else []
                measure = rule.step.call(rows, now=batch.now, tables=batch.tables, profiles=profiles)
                if not isinstance(measure, Measure):
                    raise ValueError("a @set_rule(measures=True) must return a Measure")
                asked = Asked(place, rule, measure, asked_where(batch.plan, rule, batch.now))
                checked_rows.agg(F.count(F.lit(1)), *asked.over_checked())
                if measure.table is not None:
                    batch.tables[measure.table].agg(*asked.of_table())
            found.append(asked)
    return found


def taken(
    batch: Batch, checked_rows: DataFrame, counters: Sequence[Column], asked: Sequence[Asked]
) -> tuple[dict[str, Any], Figures]:
    """The counters and the figures by one pass over a frame with fates.

    Where an aggregate raises, each that can is asked alone: it is that rule which does not hold, not the run that fails.
    """
    try:
        found = _one_row(batch, checked_rows, counters, asked)
    except PySparkException:
        sure = [item for item in asked if item.is_sure]
        found = _one_row(batch, checked_rows, counters, sure)
        return found, {**_figures(sure, found), **{
            item.place: _alone(batch, checked_rows, counters, item) for item in asked if not item.is_sure
        }}  # fmt: skip
    return found, _figures(asked, found)


def _figures(asked: Iterable[Asked], found: Mapping[str, Any]) -> dict[int, Mapping[str, Any] | str]:
    return {item.place: item.figures(found) for item in asked}


def _alone(batch: Batch, checked_rows: DataFrame, counters: Sequence[Column], asked: Asked) -> dict[str, Any] | str:
    try:
        return asked.figures(_one_row(batch, checked_rows, counters, [asked]))
    except PySparkException as error:
        return f"it cannot be worked out: {readable(error)}"


def _one_row(
    batch: Batch, checked_rows: DataFrame, counters: Sequence[Column], asked: Sequence[Asked]
) -> dict[str, Any]:
    one = checked_rows.agg(*counters, *[column for item in asked for column in item.over_checked()])
    for table in dict.fromkeys(item.measure.table for item in asked if item.measure.table is not None):
        theirs = [column for item in asked if item.measure.table == table for column in item.of_table()]
        one = one.crossJoin(batch.tables[table].agg(*theirs))
    row = one.first()
    return row.asDict() if row is not None else {}


@dataclass(frozen=True)
class Judged:
    """A rule on the whole batch and what it says."""

    rule: RuleStep
    verdict: Verdict

    @property
    def said(self) -> str:
        """What is wrong, with the rule's name."""
        return f"{self.rule.name}: {self.verdict.broken}"


def judged(asked: Sequence[Asked], figures: Figures) -> tuple[Judged, ...]:
    """The verdict of each rule whose figures are there."""

    def verdict(judge: Callable[[Mapping[str, Any]], Verdict], seen: Mapping[str, Any] | str) -> Verdict:
        return Verdict(None, broken=seen) if isinstance(seen, str) else judge(seen)

    return tuple(
        Judged(item.rule, verdict(item.measure.judge, figures[item.place])) for item in asked if item.place in figures
    )
