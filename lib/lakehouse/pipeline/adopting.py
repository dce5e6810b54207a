"""A table that others made, taken over by the job that is to keep it."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType, StructType

from lakehouse import lake, runs
from lakehouse.batches.batch import table_settings
from lakehouse.batches.job_columns import own_columns, personal_columns
from lakehouse.batches.step_errors import explained
from lakehouse.commits import Commit
from lakehouse.errors import ConfigError, DataError
from lakehouse.frames import FILE, col
from lakehouse.planning.plan import KEEP_EVENTS, Plan, SinkStep, Step
from lakehouse.session import job_session
from lakehouse.targets import Write, Written


def adopt(plan: Plan, table: str, spark: SparkSession) -> Written:
    """Makes the rows of the table what the job's sink remembers of it; the table itself stays as it is.

    Raises ConfigError where the sink remembers nothing, DataError where there is no table or it is none of that kind.
    """
    sink = sink_of(plan, table)
    session = job_session(spark, plan.job.config.spark)
    before = lake.snapshot(session, plan.layout.table(table))
    if before is None:
        raise DataError(f"there is no table {table} at {plan.layout.table(table)}")
    commit = Commit(f"adopt/{table}", 0, {"adopted": before.version})
    write = Write(
        session, plan.layout, commit, table_settings(plan, sink, before.schema.names), runs.now(),
        masked=personal_columns(plan), adopts=True,
    )  # fmt: skip
    with explained(plan, sink.step):
        rows = _no_rows(lake.read(session, before.path, version=before.version), sink.step)
        done: Written = sink.step.call(rows, write, now=write.now)
    return done


def sink_of(plan: Plan, table: str) -> SinkStep:
    """The sink through which the job keeps the table; raises ConfigError where that remembers nothing."""
    sink = next(sink for sink in plan.sinks if sink.target == table)
    if sink.step.name not in KEEP_EVENTS:
        raise ConfigError(sink.step.problem(f"it keeps no events; only {', '.join(KEEP_EVENTS)} do"))
    return sink


def _no_rows(rows: DataFrame, step: Step) -> DataFrame:
    """A frame as the sink would get it: the table's columns without the sink's own, and those that its options name."""
    start, own = str(step.option("start_column")), own_columns(step)
    kept = [name for name in rows.columns if name not in own]
    bound = rows.schema[start].dataType if start in rows.columns else StringType()
    order = [*(step.option("sequence_by") or []), *filter(None, [step.option("version_column")])]
    asked = {name: _part(bound, name) for name in order} | {
        name: StringType() for name in step.option("except_column_list") or [] if name not in order
    }
    added = [F.lit(None).cast(kind).alias(name) for name, kind in asked.items() if name not in kept]
    return rows.where("false").select(*map(col, kept), *added, F.lit(None).cast("string").alias(FILE))


def _part(bound: DataType, name: str) -> DataType:
    """The type of a sequence column: that of the bounds, or of its field where they have several."""
    if not isinstance(bound, StructType):
        return bound
    return next((field.dataType for field in bound if field.name == name), StringType())
