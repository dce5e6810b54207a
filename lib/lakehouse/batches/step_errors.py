"""What Spark or a registered function says of a wrong column or expression, as a ConfigError at its line of the YAML."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.errors import AnalysisException, ParseException, PySparkException

from lakehouse.errors import ConfigError, LakehouseError, Problem
from lakehouse.planning.plan import Plan, Step


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


def problem_of(plan: Plan, step: Step | None, error: Exception) -> Problem:
    """The error as a problem of the step, or of the job as a whole."""
    text = str(error).strip().split("\n")[0]
    if isinstance(error, PySparkException) and "TABLE_OR_VIEW_NOT_FOUND" in text:
        text = f"{text.split('The table or view ')[-1].split(' cannot be found')[0]} is not among the job's inputs; add it under 'inputs:'"
    return step.problem(text) if step is not None else plan.job.source.problem((), text)
