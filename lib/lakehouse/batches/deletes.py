"""Which rows delete or truncate: known before the rules ask, since such a row may have no more than its key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from lakehouse.batches.job_columns import written_by
from lakehouse.batches.rule_checks import DELETES, TRUNCATES, deleting, truncating
from lakehouse.batches.step_errors import explained
from lakehouse.frames import EXTRA, HIDDEN_PREFIX, col, visible
from lakehouse.planning.plan import Plan, Step
from lakehouse.sql_text import mentions

_GIVEN = f"{HIDDEN_PREFIX}given_"
_ROW_FOR_ROW = frozenset(
    ("cast", "derive", "drop", "fill_nulls", "mask", "rename", "select", "standardise", "surrogate_key", "trim")
)
"""The transforms that make of each row one row, of its own values alone."""


def with_deletes(plan: Plan, frame: DataFrame, now: datetime) -> DataFrame:
    """The frame with a flag for the rows that delete or truncate, and one for those that truncate, where a sink asks.

    The sinks' conditions are of the columns that reach them, which the job's transforms may write.
    """
    asked = {flag: found for flag, found in ((DELETES, deleting(plan)), (TRUNCATES, truncating(plan))) if found}
    if not asked:
        return frame
    steps = [step for step in plan.transforms if step.name in _ROW_FOR_ROW]
    written = {name for step in steps for pair in _written(step, frame).items() for name in pair}
    if not any(mentions(sql.lower(), name) for conditions in asked.values() for sql in conditions for name in written):
        return frame.withColumns({flag: _is_any(conditions, frame) for flag, conditions in asked.items()})
    kept = {name: f"{_GIVEN}{place}" for place, name in enumerate(visible(frame)) if name.lower() in written}
    rows = frame.withColumns({hidden: col(name) for name, hidden in kept.items()})
    for step in steps:
        with explained(plan, step):
            rows = step.call(rows, now=now).drop(EXTRA)
    flags = [_is_any(conditions, rows).alias(flag) for flag, conditions in asked.items()]
    return rows.select(*[col(kept.get(name, name)).alias(name) for name in frame.columns], *flags)


def _written(step: Step, frame: DataFrame) -> dict[str, str]:
    """The columns that the transform writes or takes away, in small letters; of `rename` the new name by the old one."""
    if step.name == "select":
        chosen = {name.lower() for name in step.option("columns")}
        return {name.lower(): name.lower() for name in visible(frame) if name.lower() not in chosen}
    return written_by(step, [field.name for field in frame.schema if isinstance(field.dataType, StringType)])


def _is_any(conditions: Sequence[str], frame: DataFrame) -> Column:
    """True for a row that one of the conditions holds for. False where a condition names a column that is not there."""
    found = F.expr(" OR ".join(f"coalesce({condition}, false)" for condition in conditions))
    try:
        frame.select(found)
    except (AnalysisException, ParseException):
        return F.lit(False)
    return found
