"""Which rows each sink of a job takes, and whether they have the columns that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.batches.step_errors import problem_of
from lakehouse.cdc_formats import ORDER_UNKNOWN, SEQUENCE
from lakehouse.errors import ConfigError, Problem
from lakehouse.frames import attempt, require_columns
from lakehouse.planning.plan import Plan, SinkStep


def fits(plan: Plan, sink: SinkStep) -> Column:
    """True where a sink takes the row; with `exclusive` only where no earlier one does."""
    own = _condition(sink)
    if not plan.job.config.exclusive:
        return own
    for earlier in plan.sinks[: plan.sinks.index(sink)]:
        own = own & ~_condition(earlier)
    return own


def fits_none(plan: Plan) -> Column:
    """True where no sink takes the row."""
    return ~reduce(Column.__or__, [fits(plan, sink) for sink in plan.sinks])


def require_sink_columns(plan: Plan, rows: DataFrame) -> None:
    """Raises ConfigError with every column that a sink names and the rows do not have."""
    problems = [problem for sink in plan.sinks for problem in _sink_problems(plan, sink, rows)]
    if problems:
        raise ConfigError(problems)


def _sink_problems(plan: Plan, sink: SinkStep, rows: DataFrame) -> list[Problem]:
    problems = []
    for option in ("keys", "sequence_by", "update_columns"):
        names = sink.step.option(option) or []
        if SEQUENCE in names and SEQUENCE not in rows.columns and (said := _unordered(plan)):
            problems.append(sink.step.problem(said))
        else:
            problems += _missing(rows, sink, names)
    problems += _missing(rows, sink, [*sink.settings.partition_by, *sink.settings.cluster_by])
    try:
        rows.where(_condition(sink))
    except (AnalysisException, ParseException) as error:
        problems.append(problem_of(plan, sink.step, error))
    return problems


def _unordered(plan: Plan) -> str:
    """What to do where the records of a `cdc_format` have nothing that orders them."""
    return ORDER_UNKNOWN.get(str(plan.source.option("cdc_format")), "")


def _missing(rows: DataFrame, sink: SinkStep, names: Sequence[str]) -> list[Problem]:
    try:
        require_columns(rows, names)
    except ValueError as error:
        return [sink.step.problem(str(error))]
    return []


def _condition(sink: SinkStep) -> Column:
    if sink.where is None:
        return F.lit(True)
    return F.coalesce(attempt(F.expr(sink.where)).getField("value"), F.lit(False))
