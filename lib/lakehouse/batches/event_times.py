"""Event time of a job: the column that each input has it in, and the rows that have no place in it."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame

from lakehouse.event_time import require_time, untimed
from lakehouse.frames import EXTRA
from lakehouse.planning.plan import Plan, Step, keeps_state
from lakehouse.registry import length_of


def state_of(plan: Plan) -> Step:
    """The transform whose state the job's stream keeps; raises ValueError where there is none."""
    if plan.state is None:
        raise ValueError(f"{plan.name} keeps no state")
    return plan.state


def times_of(plan: Plan) -> dict[str, str]:
    """The event time's column of each input, the source's under ''."""
    return {name: item.column for name, item in plan.watermarks.items()}


def missing_time(plan: Plan, rows: DataFrame, name: str, now: datetime | Column) -> Column:
    """Why a row of an input has no place in its event time, as a column: it has none, or one that is too far ahead."""
    mark = plan.watermarks[name]
    require_time(rows, mark.column)
    return untimed(mark.column, now, length_of(mark.tolerance))


def flagged_untimed(plan: Plan, step: Step, rows: DataFrame, now: datetime) -> DataFrame | None:
    """The rows before a transform that goes by event time, those flagged that it has no place for; None for another one.

    Where the job has no watermark, nothing is too far ahead.
    """
    if not keeps_state(step):
        return None
    if "" in plan.watermarks:
        return rows.withColumn(EXTRA, missing_time(plan, rows, "", now))
    column = step.option("time_column")
    if column is None:
        return None
    require_time(rows, column)
    return rows.withColumn(EXTRA, untimed(column))
