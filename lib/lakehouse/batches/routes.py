"""Which rows each sink of a job takes, and whether they have the columns that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, NullType

from lakehouse.batches.job_columns import own_columns
from lakehouse.batches.step_errors import problem_of
from lakehouse.cdc_formats import ORDER_UNKNOWN, SEQUENCE
from lakehouse.errors import ConfigError, Problem
from lakehouse.frames import attempt, require_columns
from lakehouse.history.shape import CURRENT
from lakehouse.history.snapshots import IS_DELETED
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
    own = added_columns(sink)
    laid_out = [name for name in (*sink.settings.partition_by, *sink.settings.cluster_by) if name.lower() not in own]
    problems += _missing(rows, sink, laid_out)
    problems += [*_keys_without_equality(rows, sink), *_not_boolean(rows, sink)]
    try:
        rows.where(_condition(sink))
    except (AnalysisException, ParseException) as error:
        problems.append(problem_of(plan, sink.step, error))
    return problems


def added_columns(sink: SinkStep) -> set[str]:
    """The columns, in lower case, that this very sink adds to its table."""
    step = sink.step
    absent = {
        *([] if step.option("current_flag") else [CURRENT]),
        *([] if step.option("hard_deletes") == "new_record" else [IS_DELETED]),
        *([step.option("start_column"), step.option("end_column")] if step.option("stored_as") == 1 else []),
    }
    return {name.lower() for name in own_columns(step) - absent}


def _keys_without_equality(rows: DataFrame, sink: SinkStep) -> list[Problem]:
    kinds = {field.name.lower(): field.dataType.simpleString() for field in rows.schema}
    keys = {name: kinds.get(name.lower(), "") for name in sink.step.option("keys") or ()}
    said = "which Spark cannot compare; name columns that can be, or derive one from it"
    return [sink.step.problem(f"the key '{name}' is {kind}, {said}") for name, kind in keys.items() if "map<" in kind]


def _not_boolean(rows: DataFrame, sink: SinkStep) -> list[Problem]:
    """The conditions that are neither true nor false; one whose columns are missing is the sink's business."""
    problems = []
    for option in ("apply_as_deletes", "apply_as_truncates", "delete_when"):
        condition = sink.step.option(option)
        try:
            kind = rows.select(F.expr(condition)).schema[0].dataType if condition else BooleanType()
        except AnalysisException:
            continue
        except ParseException as error:
            problems.append(sink.step.problem(f"'{option}: {condition}': {str(error).strip().splitlines()[0]}"))
            continue
        if not isinstance(kind, BooleanType | NullType):
            said = f"'{option}: {condition}' is {kind.simpleString()}, not true or false; compare it, or cast it to boolean"
            problems.append(sink.step.problem(said))
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
