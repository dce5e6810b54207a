"""What Spark or a registered function says of a wrong column or expression, as a ConfigError at its line of the YAML."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from pyspark.errors import AnalysisException, ParseException, PySparkException

from lakehouse.errors import ConfigError, LakehouseError, Problem, SinkError, counted
from lakehouse.frames import NAMED, as_shown
from lakehouse.planning.plan import Plan, Step
from lakehouse.targets import Stopped

_CHECK = re.compile(
    r"DELTA_VIOLATE_CONSTRAINT_WITH_VALUES\] CHECK constraint (\S+) \((.*?)\) violated by row with values:", re.DOTALL
)
_VALUE = re.compile(r"^ - (.*?) : (.*)$", re.MULTILINE)
_NOT_NULL = re.compile(
    r"DELTA_NOT_NULL_CONSTRAINT_VIOLATED\] NOT NULL constraint violated for column: (.+?)\.?$", re.MULTILINE
)
_NEW_CHECK = re.compile(
    r"DELTA_NEW_CHECK_CONSTRAINT_VIOLATION\] (\d+) rows in .* violate the new CHECK constraint (.*?)\.?$", re.MULTILINE
)


@contextmanager
def explained(plan: Plan, step: Step | None = None) -> Iterator[None]:
    """Turns what Spark or a registered function says of a wrong column or expression into a ConfigError with its line."""
    try:
        yield
    except LakehouseError:
        raise
    except (AnalysisException, ParseException, ValueError) as error:
        if "[DELTA_" in str(error):  # the table refuses the data: no mistake in the YAML
            raise
        raise ConfigError(problem_of(plan, step, error)) from error


@contextmanager
def constraints_named(table: str, masked: Collection[str]) -> Iterator[None]:
    """Turns Delta's refusal of a row into a SinkError that names the table, its constraint and the row's values."""
    try:
        yield
    except Stopped as stopped:
        raise Stopped(stopped.written, _broken_constraint(stopped.error, table, masked) or stopped.error) from stopped
    except LakehouseError:
        raise
    except Exception as error:
        said = _broken_constraint(error, table, masked)
        if said is None:
            raise
        raise said from error


def _broken_constraint(error: Exception, table: str, masked: Collection[str]) -> SinkError | None:
    text = str(error)
    checked = _CHECK.search(text)
    if checked is not None:
        given = dict(_VALUE.findall(text[checked.end() :]))
        row = ", ".join(f"{name}={as_shown(name, value, masked)}" for name, value in list(given.items())[:NAMED])
        said = f"constraint '{checked[1]}' ({checked[2]}) is broken by a row with {row}"
        return SinkError(
            f"{table}: {said}; nothing was written; add the rule expr with this sql: it quarantines such rows"
        )
    null = _NOT_NULL.search(text)
    if null is not None:
        return SinkError(
            f"{table}: a row has NULL in {null[1]}, where the table allows none; add the rule not_null for it"
        )
    new = _NEW_CHECK.search(text)
    if new is not None:
        return SinkError(
            f"{table}: {counted(int(new[1]), 'row breaks', 'rows break')} the new constraint {new[2]}; mend them, or take it out"
        )
    return None


def problem_of(plan: Plan, step: Step | None, error: Exception) -> Problem:
    """The error as a problem of the step, or of the job as a whole."""
    text = str(error).strip().split("\n")[0]
    if isinstance(error, PySparkException) and "TABLE_OR_VIEW_NOT_FOUND" in text:
        text = f"{text.split('The table or view ')[-1].split(' cannot be found')[0]} is not among the job's inputs; add it under 'inputs:'"
    return step.problem(text) if step is not None else plan.job.source.problem((), text)
