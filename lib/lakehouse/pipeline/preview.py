"""What a run of a job would do, found out without writing: columns and SQL are resolved, inputs and targets looked at."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession

from lakehouse import runs
from lakehouse.batches.batch import prepared
from lakehouse.errors import DataError
from lakehouse.pipeline import progress
from lakehouse.pipeline.pending_input import is_other_job, last_success, pending_input
from lakehouse.pipeline.progress import Intent
from lakehouse.pipeline.reading import pinned_inputs, pins, read_of, source_rows, source_table
from lakehouse.pipeline.run_state import Run, batch_of, new_intent
from lakehouse.pipeline.target_changes import target_change
from lakehouse.planning.changes import Action, Changes, Reading, TableChange
from lakehouse.planning.plan import Plan
from lakehouse.runs import RunRecord
from lakehouse.session import job_session
from lakehouse.table_log import opened


def preview(plan: Plan, spark: SparkSession) -> Changes:
    """Every column and expression resolved with Spark, where the inputs exist, and what a run would read and change.

    Raises ConfigError for what does not resolve; writes nothing.
    """
    session = job_session(spark, plan.job.config.spark)
    state, intent = progress.load(plan.layout.checkpoint(plan.name))
    record = RunRecord("plan", plan.name, plan.fingerprint, runs.now())
    run = Run(plan, session, record, state, None, lambda _: None, is_plan=True)
    try:
        rows, notes = _rows(run)
    except DataError as missing:
        return replace(preview_without_spark(plan), notes=(f"columns not checked: {missing}",))
    last = last_success(plan)
    reads: tuple[Reading, ...] = ()
    try:
        reads = pending_input(plan, last)
    except DataError as silent:
        notes = (*notes, str(silent))
    writes = intent is not None or not reads or any(read.new for read in reads)
    tables = tuple(target_change(plan, sink, rows, session, writes=writes) for sink in plan.sinks)
    return Changes(plan.name, reads, tables, notes=(*notes, *_notes(plan, intent, reads, last)))


def preview_without_spark(plan: Plan) -> Changes:
    """The same without a look at columns, in a second."""
    intent = progress.load(plan.layout.checkpoint(plan.name))[1]
    last = last_success(plan)
    try:
        reads = pending_input(plan, last, asks=False)
    except DataError as missing:
        tables = tuple(_table(plan, sink.target, sink.step.name, writes=True) for sink in plan.sinks)
        return Changes(plan.name, (), tables, notes=(str(missing),))
    writes = intent is not None or any(read.new for read in reads)
    tables = tuple(_table(plan, sink.target, sink.step.name, writes=writes) for sink in plan.sinks)
    return Changes(plan.name, reads, tables, notes=_notes(plan, intent, reads, last))


def _table(plan: Plan, table: str, sink: str, *, writes: bool) -> TableChange:
    if table not in plan.outputs:
        return TableChange(table, sink, "write" if writes else "none")
    found = opened(plan.layout.table(table), plan.layout.root)
    action: Action = "none" if not writes else "create" if found is None else "write"
    return TableChange(table, sink, action, found.version() if found is not None else None)


def _rows(run: Run) -> tuple[DataFrame | None, tuple[str, ...]]:
    """The rows that the sinks would get, none of them read, and what the source has to say; None where nothing is new."""
    run.versions = pinned_inputs(run.plan, run.spark)
    batch = batch_of(run, new_intent(run, 0, {}))
    if run.plan.streams:
        is_table = "place" in run.plan.source.entry.traits
        # a table's change feed has columns of its own; a topic's are known without its brokers
        read = read_of(run, {}, run.versions, incremental=is_table)
        if is_table:
            source_table(run, read)
        stream = source_rows(batch, read)
        return (None if stream is None else prepared(batch, run.spark.createDataFrame([], stream.schema)).rows), ()
    pin = next(pins(run), None)
    if pin is None:
        return None, ()
    raw = source_rows(batch, replace(read_of(run, pin, run.versions), copies=None))
    return (None if raw is None else prepared(batch, raw).rows), tuple(pin.get("_notes", ()))


def _notes(plan: Plan, intent: Intent | None, reads: tuple[Reading, ...], last: RunRecord | None) -> tuple[str, ...]:
    notes = []
    if intent is not None:
        notes.append(f"run {intent.run_id} died with a batch in hand, which the next run finishes first")
    if last is not None and is_other_job(plan, last) and plan.read == "incremental":
        notes.append(
            "the job is another one than in its last run: rows that are in stay as they are; --full-refresh makes all anew"
        )
    if plan.read == "full" and not any(read.new for read in reads):
        notes.append("a run would read it all again and write the same")
    return tuple(notes)
