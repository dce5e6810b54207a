"""A stream's micro-batches: Spark's own streaming keeps what was taken, each micro-batch takes the same path as a batch."""

from __future__ import annotations

import json
from dataclasses import replace

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.batches.batch import check
from lakehouse.batches.step_errors import explained
from lakehouse.pipeline import progress
from lakehouse.pipeline.advance import advance
from lakehouse.pipeline.reading import read_of, source_table
from lakehouse.pipeline.recovery import finish_batch
from lakehouse.pipeline.run_records import table_inputs
from lakehouse.pipeline.run_state import Run, batch_of, new_intent
from lakehouse.pipeline.stream_checkpoints import begins_empty, require_sound
from lakehouse.pipeline.stream_losses import require_nothing_lost
from lakehouse.planning.plan import Plan
from lakehouse.registry import call_options
from lakehouse.runs import Input


def take_stream(run: Run) -> None:
    """Takes micro-batch after micro-batch, until nothing new is there."""
    found = require_sound(f"{run.folder}/stream", run.progress, run.intent)
    hooks = run.plan.source.entry.traits.get("stream")
    if hooks is not None:
        require_nothing_lost(run, found, hooks)
    query = _ended_query(run, _stream(run))
    if run.progress.stream is None and not run.progress.fresh:
        run.progress = replace(run.progress, stream=str(query.id))
        progress.save(run.folder, run.progress)
    run.record = replace(run.record, inputs=(*_stream_inputs(run.plan, query), *table_inputs(run.versions)))


def _stream(run: Run) -> DataFrame:
    """The source as a stream, and every column and expression of the job resolved against it; nothing is started yet."""
    source = run.plan.source
    read = read_of(run, {}, run.versions, incremental=True)
    if "place" in source.entry.traits:
        source_table(run, read)
    with explained(run.plan, source):
        stream: DataFrame = source.call(run.spark, now=run.record.started, tables={}, read=read)
    check(batch_of(run, new_intent(run, 0, {})), run.spark.createDataFrame([], stream.schema))
    return stream


def _ended_query(run: Run, stream: DataFrame) -> StreamingQuery:
    """The query after its last micro-batch; raises the error that stopped it, which Spark would wrap in its own."""
    errors: list[BaseException] = []

    def take(rows: DataFrame, number: int) -> None:
        try:
            _take(run, rows, number)
        except BaseException as error:
            errors.append(error)
            # Spark's bridge to Python waits for ever on anything that is no Exception
            raise RuntimeError(type(error).__name__) from error

    writer = stream.writeStream.foreachBatch(take).option("checkpointLocation", f"{run.folder}/stream")
    query = writer.trigger(availableNow=True).queryName(f"{run.plan.name} {run.record.run_id}").start()
    try:
        query.awaitTermination()
    except PySparkException as error:
        raise _meaning(run.plan, errors[-1] if errors else error) from None
    finally:
        if query.isActive:
            query.stop()
    return query


def _meaning(plan: Plan, error: BaseException) -> BaseException:
    """What a failure of a stream is, where its source knows."""
    hooks = plan.source.entry.traits.get("stream")
    if hooks is None or not isinstance(error, PySparkException | Py4JJavaError):
        return error
    return hooks.failed(str(error), **call_options(plan.source.entry, plan.source.options)) or error


def _take(run: Run, rows: DataFrame, number: int) -> None:
    """One micro-batch; one that was finished before a crash took its commit away is left alone."""
    if number <= run.progress.batch:
        return
    if begins_empty(f"{run.folder}/stream", number):
        run.progress = replace(run.progress, batch=number, fresh=False)
        progress.save(run.folder, run.progress)
        return
    dead = run.intent if run.intent is not None and run.intent.batch == number else None
    intent = dead or new_intent(run, number, {})
    batch = replace(batch_of(run, intent), spark=rows.sparkSession)
    if dead is not None:
        finish_batch(run, dead, batch, rows)
        return
    progress.begin(run.folder, run.progress, intent)
    run.record = advance(run, batch, rows, run.record, {})


def _stream_inputs(plan: Plan, query: StreamingQuery) -> tuple[Input, ...]:
    """What a stream read: of a table from which to which version."""
    found = [json.loads(item.json)["sources"][0] for item in query.recentProgress or []]
    if not found:
        return ()
    hooks = plan.source.entry.traits.get("stream")
    if hooks is not None:
        return (Input(hooks.name(**call_options(plan.source.entry, plan.source.options))),)
    first, last = found[0]["startOffset"] or {}, found[-1]["endOffset"] or {}
    name = str(plan.source.option("table") or plan.source.option("path"))
    return (Input(name, version=last.get("reservoirVersion"), from_version=first.get("reservoirVersion")),)
