"""A batch's counts: taken while its rows are written, or by reading them where they must be known without a write."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse.batches.batch_rows import Batch, checked, quarantines_extras, sound, takes_out, transformed
from lakehouse.batches.job_columns import without_bronze_columns
from lakehouse.batches.routes import fits_none
from lakehouse.frames import EXTRA, col
from lakehouse.planning.plan import Plan, Step
from lakehouse.quality import counters

_PATIENCE = 10.0  # seconds until a count that does not come is taken by reading again


@dataclass(frozen=True)
class Pass:
    """The frame that reaches the sinks, and what is counted while it is read."""

    rows: DataFrame
    fates: Observation
    taken_out: Sequence[tuple[Step, Observation]]
    routes: Observation | None

    def counts(self) -> dict[str, int] | None:
        """The counts, or None where no action has read the frame (a write that was in already)."""
        found = _observed(self.fates)
        if found is None:
            return None
        extras = [(step, (_observed(seen) or {}).get("extras", 0)) for step, seen in self.taken_out]
        quarantined = sum(count for step, count in extras if quarantines_extras(step))
        dropped = sum(count for step, count in extras if not quarantines_extras(step))
        unrouted = (_observed(self.routes) or {}).get("unrouted", 0) if self.routes is not None else 0
        return _balanced(found, quarantined, dropped, unrouted)


def one_pass(batch: Batch, raw: DataFrame) -> Pass:
    """The batch as one lazy frame: every count is taken by the action that writes it."""
    plan, fates = batch.plan, Observation()
    seen = checked(batch, raw).observe(fates, *counters(_dispositions(plan)))
    taken_out: list[tuple[Step, Observation]] = []

    def count(step: Step, _: str, flagged: DataFrame) -> DataFrame:
        observation = Observation()
        taken_out.append((step, observation))
        return flagged.observe(observation, F.count_if(col(EXTRA).isNotNull()).alias("extras"))

    rows = without_bronze_columns(plan, transformed(batch, sound(seen), count))
    routes = Observation() if plan.job.config.sinks else None
    if routes is not None:
        rows = rows.observe(routes, F.count_if(fits_none(plan)).alias("unrouted"))
    return Pass(rows, fates, taken_out, routes)


def counts_without_write(batch: Batch, raw: DataFrame) -> dict[str, int]:
    """The counts without a write: of the rules alone where no transform quarantines rows."""
    if takes_out(batch.plan):
        return counts_of_everything(batch, raw)
    found = checked(batch, raw).agg(*counters(_dispositions(batch.plan))).first()
    return _balanced(found.asDict() if found else {})


def counts_of_everything(batch: Batch, raw: DataFrame) -> dict[str, int]:
    """The counts by reading everything and writing nothing."""
    one = one_pass(batch, raw)
    one.rows.write.format("noop").mode("overwrite").save()
    return one.counts() or _balanced({})


def _dispositions(plan: Plan) -> set[str]:
    skips = {"drop"} if plan.source.option("cdc_format") else set()
    return skips | {rule.settings.on_fail for rule in plan.rules}


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


def _observed(observation: Observation) -> dict[str, int] | None:
    """What was counted, or None where Spark read nothing; `Observation.get` alone would wait for ever then."""
    seen: Any = observation._jo
    deadline = time.monotonic() + _PATIENCE
    while seen is None or not seen.future().isCompleted():
        if seen is None or time.monotonic() > deadline:
            return None
        time.sleep(0.005)  # the counts come by Spark's listener, a moment after the action
    return {str(name): int(value) for name, value in observation.get.items() if value is not None}
