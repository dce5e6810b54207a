"""A stream's micro-batches: Spark's own streaming keeps what was taken, each micro-batch takes the same path as a batch."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse import lake
from lakehouse.batches.batch import check
from lakehouse.batches.step_errors import explained
from lakehouse.ending import Ending
from lakehouse.pipeline import progress
from lakehouse.pipeline.advance import advance
from lakehouse.pipeline.reading import pinned_inputs, read_of, source_table
from lakehouse.pipeline.recovery import finish_batch
from lakehouse.pipeline.run_records import table_inputs
from lakehouse.pipeline.run_state import Run, batch_of, new_intent
from lakehouse.pipeline.stream_checkpoints import require_sound
from lakehouse.planning.plan import Plan
from lakehouse.runs import Input

_LOOK = 0.5  # seconds between two looks whether a query is to end


class _Told(Exception):
    """Stops a query before its next micro-batch."""


def take_stream(run: Run, ending: Ending) -> None:
    """Takes micro-batch after micro-batch: until nothing new is there, or at its interval until it is told to end."""
    require_sound(f"{run.folder}/stream", run.progress, run.intent)
    if not _is_source_there(run, ending):
        return
    query = _ended_query(run, _stream(run), ending)
    if run.progress.stream is None and not run.progress.fresh:
        run.progress = replace(run.progress, stream=str(query.id))
        progress.save(run.folder, run.progress)
    run.record = replace(run.record, inputs=(*_stream_inputs(run.plan, query), *table_inputs(run.versions)))


def _is_source_there(run: Run, ending: Ending) -> bool:
    """Waits for the first batch of the job upstream where both go on side by side; False where told to end first."""
    interval, plan = _interval(run, ending), run.plan
    table = plan.source.option("table")
    while interval is not None and table and lake.snapshot(run.spark, plan.layout.table(table)) is None:
        run.watch(f"waits for {table}")
        if ending.wait(interval):
            return False
    return True


def _interval(run: Run, ending: Ending) -> float | None:
    return None if ending.once else run.plan.interval


def _stream(run: Run) -> DataFrame:
    """The source as a stream, and every column and expression of the job resolved against it; nothing is started yet."""
    source = run.plan.source
    read = read_of(run, {}, run.versions, incremental=True)
    source_table(run, read)
    with explained(run.plan, source):
        stream: DataFrame = source.call(run.spark, now=run.record.started, tables={}, read=read)
    check(batch_of(run, new_intent(run, 0, {})), run.spark.createDataFrame([], stream.schema))
    return stream


def _ended_query(run: Run, stream: DataFrame, ending: Ending) -> StreamingQuery:
    """The query after its last micro-batch; raises the error that stopped it, which Spark would wrap in its own."""
    errors: list[BaseException] = []

    def take(rows: DataFrame, number: int) -> None:
        try:
            _take(run, rows, number, ending)
        except BaseException as error:
            errors.append(error)
            # Spark's bridge to Python waits for ever on anything that is no Exception
            raise RuntimeError(type(error).__name__) from error

    writer = stream.writeStream.foreachBatch(take).option("checkpointLocation", f"{run.folder}/stream")
    query = writer.trigger(**_trigger(run, ending)).queryName(f"{run.plan.name} {run.record.run_id}").start()
    run.measured = lambda: [json.loads(item.json) for item in query.recentProgress]
    try:
        _await(query, ending)
    except PySparkException:
        if not errors:
            raise
        if not isinstance(errors[-1], _Told):
            raise errors[-1] from None
    finally:
        if query.isActive:
            query.stop()
    return query


def _trigger(run: Run, ending: Ending) -> dict[str, Any]:
    interval = _interval(run, ending)
    return {"availableNow": True} if interval is None else {"processingTime": f"{interval} seconds"}


def _await(query: StreamingQuery, ending: Ending) -> None:
    """Returns once the query has ended, or is to end and has no micro-batch in hand."""
    while not query.awaitTermination(_LOOK):  # type: ignore[arg-type] # parts of a second are fine
        if ending.reason() is not None and not query.status["isTriggerActive"]:
            return


def _take(run: Run, rows: DataFrame, number: int, ending: Ending) -> None:
    """One micro-batch; one that was finished before a crash took its commit away is left alone."""
    if number <= run.progress.batch:
        return
    if ending.reason() is not None:
        raise _Told
    dead = run.intent if run.intent is not None and run.intent.batch == number else None
    if run.plan.interval is not None:
        run.versions = pinned_inputs(run.plan, run.spark)
    intent = dead or new_intent(run, number, {})
    batch = replace(batch_of(run, intent), spark=rows.sparkSession)
    if dead is not None:
        finish_batch(run, dead, batch, rows)
        ending.batch_done()
        return
    progress.begin(run.folder, run.progress, intent)
    run.record = advance(run, batch, rows, run.record, {})
    ending.batch_done()


def _stream_inputs(plan: Plan, query: StreamingQuery) -> tuple[Input, ...]:
    """From which to which version of its table a stream read."""
    found = [json.loads(item.json)["sources"][0] for item in query.recentProgress or []]
    if not found:
        return ()
    first, last = found[0]["startOffset"] or {}, found[-1]["endOffset"] or {}
    name = str(plan.source.option("table") or plan.source.option("path"))
    return (Input(name, version=last.get("reservoirVersion"), from_version=first.get("reservoirVersion")),)
