"""A stream with state as one query: what its state gives, and beside it each row as it came, told apart by its fate.

A row's fate is decided once, from the row and the micro-batch's time, which Spark keeps with its offsets: the two
branches, and a repeat after a crash, decide alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.batches.batch_rows import Batch, checked
from lakehouse.batches.event_times import missing_time, state_of, times_of
from lakehouse.batches.job_columns import without_bronze_columns
from lakehouse.batches.step_errors import explained
from lakehouse.conform import with_evidence
from lakehouse.event_time import COUNTED, interval
from lakehouse.frames import (
    EXTRA,
    FATE,
    HIDDEN_PREFIX,
    ORIGIN,
    REASON_TYPE,
    REASONS,
    ROW,
    col,
    hidden,
    visible,
)
from lakehouse.planning.plan import Plan, Step
from lakehouse.quality import QUARANTINED, VALID, WARNED, with_reasons
from lakehouse.registry import length_of

GIVEN = f"{HIDDEN_PREFIX}given"
"""What the state gives, as a struct; NULL in a row that passes by."""
PASSING = f"{HIDDEN_PREFIX}passing"
"""A row as it reached the state, as a struct; NULL in what the state gives."""
INPUT = f"{HIDDEN_PREFIX}input"
"""Which input a row that passes by came from: '' for the source."""


def streamed(batch: Batch, raw: DataFrame, others: Mapping[str, DataFrame]) -> DataFrame:
    """The frame of the query: GIVEN rows, and every row of every input as PASSING with its fate."""
    plan, step = batch.plan, state_of(batch.plan)
    judged = {"": _judged(batch, raw)} | {name: _judged_time(plan, name, rows) for name, rows in others.items()}
    marked = {name: _marked(plan, name, rows) for name, rows in judged.items()}
    tables = {**batch.tables, **{name: rows for name, rows in marked.items() if name}}
    with explained(plan, step):
        given = _counting(step).call(marked[""], tables=tables, event_times=times_of(plan))
    parts: list[DataFrame] = [given.select(F.struct(*map(col, given.columns)).alias(GIVEN))]
    parts += [_passing(plan, name, rows) for name, rows in judged.items()]
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), parts)


def _counting(step: Step) -> Step:
    """The transform with one more measure, where it has any: how many rows are in what it gives."""
    if "measures" not in step.given:
        return step
    return replace(step, given={**step.given, "measures": {**step.given["measures"], COUNTED: "count(1)"}})


def _judged(batch: Batch, raw: DataFrame) -> DataFrame:
    """Each row of the source on its way to the state, with its fate and, where it is not valid, the row as it came."""
    plan, clock = batch.plan, F.current_timestamp()
    timed = replace(batch, clock=clock)
    rows = checked(timed, with_evidence(raw, batch.origin))
    told = with_reasons(rows, [check for _, check in timed.checks])
    rows = told.withColumn(REASONS, F.when(col(FATE) > VALID, col(REASONS))).select(
        *map(col, visible(rows)), *map(col, (FATE, ROW, ORIGIN, REASONS))
    )
    for step in plan.transforms[: plan.transforms.index(state_of(plan))]:
        with explained(plan, step):
            rows = step.call(rows, now=clock, tables=batch.tables)
            if EXTRA in rows.columns:
                rows = _with_reason(rows, step.name, col(EXTRA)).drop(EXTRA)
    state = state_of(plan)
    with explained(plan, state):
        return without_bronze_columns(plan, _with_reason(rows, state.name, missing_time(plan, rows, "", clock)))


def _judged_time(plan: Plan, name: str, raw: DataFrame) -> DataFrame:
    """Each row of a joined stream: its own job has checked it, only its time is looked at here."""
    state = state_of(plan)
    rows = with_evidence(raw, name).withColumns({FATE: F.lit(VALID), REASONS: F.lit(None).cast(REASON_TYPE)})
    with explained(plan, state):
        return _with_reason(rows, state.name, missing_time(plan, rows, name, F.current_timestamp()))


def _with_reason(rows: DataFrame, name: str, reason: Column) -> DataFrame:
    """The rows with a further reason, which quarantines those that no rule has taken out before."""
    said = F.array(
        F.struct(F.lit(name).alias("rule"), F.lit(None).cast("string").alias("column"), reason.alias("message"))
    )
    taken = (col(FATE) <= WARNED) & reason.isNotNull()
    reasons = F.concat(F.coalesce(col(REASONS), F.array().cast(REASON_TYPE)), said.cast(REASON_TYPE))
    return rows.withColumns(
        {
            REASONS: F.when(taken, reasons).otherwise(col(REASONS)),
            FATE: F.when(taken, QUARANTINED).otherwise(col(FATE)).cast("tinyint"),
        }
    )


def _marked(plan: Plan, name: str, judged: DataFrame) -> DataFrame:
    """The good rows of an input under its watermark: a bad one must not move it."""
    mark = plan.watermarks[name]
    good = judged.where(col(FATE) <= WARNED).drop(*hidden(judged))
    return good.withWatermark(mark.column, interval(length_of(mark.delay)))


def _passing(plan: Plan, name: str, judged: DataFrame) -> DataFrame:
    """The rows as they pass by; as text only those that are not valid."""
    broken = col(FATE) > VALID
    return judged.select(
        F.lit(name).alias(INPUT),
        col(FATE),
        F.when(broken, col(ROW)).alias(ROW),
        F.when(broken, col(ORIGIN)).alias(ORIGIN),
        col(REASONS),
        F.struct(*map(col, visible(judged))).alias(f"{PASSING}{name}"),
    )
