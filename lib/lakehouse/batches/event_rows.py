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
from pyspark.sql.types import StringType

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
    RECORD,
    ROW,
    col,
    hidden,
    visible,
)
from lakehouse.planning.plan import Plan, Step
from lakehouse.quality import QUARANTINED, VALID, WARNED, reasons_of
from lakehouse.raw_rows import whole, whole_as_json
from lakehouse.registry import length_of

GIVEN = f"{HIDDEN_PREFIX}given"
"""What the state gives, as a struct; NULL in a row that passes by."""
PASSING = f"{HIDDEN_PREFIX}passing"
"""A row as it reached the state, as a struct; NULL in what the state gives."""
INPUT = f"{HIDDEN_PREFIX}input"
"""Which input a row that passes by came from: '' for the source."""

_BESIDE = f"{HIDDEN_PREFIX}beside"  # all of a row but its keys
_KEYS = 4  # more of them Spark puts in an order of its own
_EARLY = "0001-01-01"


def streamed(batch: Batch, raw: DataFrame, others: Mapping[str, DataFrame], partitions: int) -> DataFrame:
    """The frame of the query: GIVEN rows, and every row of every input as PASSING with its fate.

    `partitions` is into how many the state is divided.
    """
    plan, step = batch.plan, state_of(batch.plan)
    judged = {"": _judged(batch, raw)} | {name: _judged_time(plan, name, rows) for name, rows in others.items()}
    judged = {name: _told(rows) for name, rows in judged.items()}
    marked = {name: _marked(plan, name, _good(rows)) for name, rows in judged.items()}
    laid = _by_key(plan, judged[""], partitions) if step.name == "deduplicate" else None
    if laid is not None:
        judged[""], marked[""] = laid, _good(laid)
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
    """Each row of the source on its way to the state, with its fate, the row as it came and what is wrong with it."""
    plan, clock = batch.plan, F.current_timestamp()
    timed = replace(batch, clock=clock)
    rows = checked(timed, _with_evidence(raw, batch.origin))
    # unguarded, Spark would take them into the projection of the fate, and work them out for every row
    reasons = F.when(col(FATE) > VALID, reasons_of([check for _, check in timed.checks]))
    rows = rows.select(*map(col, (*visible(rows), FATE, ROW, ORIGIN)), reasons.alias(REASONS))
    for step in plan.transforms[: plan.transforms.index(state_of(plan))]:
        with explained(plan, step):
            rows = step.call(rows, now=clock, tables=batch.tables)
            if EXTRA in rows.columns:
                rows = _with_reason(rows, step.name, col(EXTRA)).drop(EXTRA)
    state = state_of(plan)
    with explained(plan, state):
        return without_bronze_columns(plan, _with_reason(rows, state.name, missing_time(plan, rows, "", clock)))


def _with_evidence(raw: DataFrame, origin: str) -> DataFrame:
    """The frame with each row as it came and where it came from; no text is made of a row before it is found broken."""
    rows = with_evidence(raw, origin)
    return rows if RECORD in raw.columns else rows.withColumn(ROW, whole(raw))


def _judged_time(plan: Plan, name: str, raw: DataFrame) -> DataFrame:
    """Each row of a joined stream: its own job has checked it, only its time is looked at here."""
    state = state_of(plan)
    rows = _with_evidence(raw, name).withColumns({FATE: F.lit(VALID), REASONS: F.lit(None).cast(REASON_TYPE)})
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


def _told(judged: DataFrame) -> DataFrame:
    """The rows with what was found of those that are not valid: such a row as text, and where it came from."""
    broken, is_text = col(FATE) > VALID, isinstance(judged.schema[ROW].dataType, StringType)
    text = col(ROW) if is_text else whole_as_json(judged, ROW)
    return judged.withColumns({ROW: F.when(broken, text), ORIGIN: F.when(broken, col(ORIGIN))})


def _by_key(plan: Plan, rows: DataFrame, partitions: int) -> DataFrame | None:
    """The rows of a deduplication laid as its state is, under their watermark; None where its keys cannot be told.

    Both branches read what this one shuffle brings, and not the source each. Spark shares a shuffle whose columns are the
    same: what is neither key nor time is one column there, and it must not see which parts of it are asked for above.
    """
    names = {name.lower(): name for name in rows.columns}
    keys = [names[key] for key in dict.fromkeys(key.lower() for key in state_of(plan).option("keys") or ())]
    if not 0 < len(keys) <= _KEYS:
        return None
    time = names[plan.watermarks[""].column.lower()]
    plain = [*keys, *({time} - {*keys})]
    beside = F.struct(*[col(name) for name in rows.columns if name not in plain]).alias(_BESIDE)
    # a bad row must not move the watermark
    timed = rows.withColumn(time, F.when(col(FATE) <= WARNED, col(time)).otherwise(F.lit(_EARLY).cast("timestamp")))
    laid = _marked(plan, "", timed).select(*map(col, plain), beside).repartition(partitions, *map(col, keys))
    opened = laid.withColumn(_BESIDE, F.when(F.spark_partition_id() >= 0, col(_BESIDE)))
    return opened.select(
        *[col(name) if name in plain else col(_BESIDE).getField(name).alias(name) for name in rows.columns]
    )


def _good(judged: DataFrame) -> DataFrame:
    """What is neither dropped nor broken, as the state takes it."""
    return judged.where(col(FATE) <= WARNED).drop(*hidden(judged))


def _marked(plan: Plan, name: str, rows: DataFrame) -> DataFrame:
    """The rows of an input under its watermark."""
    mark = plan.watermarks[name]
    return rows.withWatermark(mark.column, interval(length_of(mark.delay)))


def _passing(plan: Plan, name: str, judged: DataFrame) -> DataFrame:
    """The rows as they pass by."""
    return judged.select(
        F.lit(name).alias(INPUT),
        *map(col, (FATE, ROW, ORIGIN, REASONS)),
        F.struct(*map(col, visible(judged))).alias(f"{PASSING}{name}"),
    )
