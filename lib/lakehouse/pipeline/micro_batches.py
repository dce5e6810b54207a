"""A stream's micro-batches: Spark's own streaming keeps what was taken, each micro-batch takes the same path as a batch."""

from __future__ import annotations

import json
from dataclasses import replace

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.batches.batch import check
from lakehouse.batches.step_errors import explained
from lakehouse.pipeline import progress
from lakehouse.pipeline.advance import advance
from lakehouse.pipeline.event_time import (
    catch_up_watermark,
    push_watermark,
    require_same_state,
    settle_state,
    tell_state,
    with_state,
)
from lakehouse.pipeline.reading import read_of, source_table
from lakehouse.pipeline.recovery import finish_batch
from lakehouse.pipeline.run_records import table_inputs
from lakehouse.pipeline.run_state import Run, batch_of, new_intent
from lakehouse.pipeline.stream_checkpoints import require_sound
from lakehouse.planning.plan import Plan
from lakehouse.runs import Input


def take_stream(run: Run, *, flush: bool = False) -> None:
    """Takes micro-batch after micro-batch, until nothing new is there; `flush`: then what its state holds open is closed."""
    require_sound(f"{run.folder}/stream", run.progress, run.intent)
    require_same_state(run)
    query = _ended_query(run, _stream(run))
    if run.plan.state is not None:
        settle_state(run, query)
        for is_planned in (catch_up_watermark, *([push_watermark] if flush else [])):
            if is_planned(run):
                settle_state(run, _ended_query(run, _stream(run)))
        tell_state(run)
    if run.progress.stream is None and not run.progress.fresh:
        run.progress = replace(run.progress, stream=str(query.id))
        progress.save(run.folder, run.progress)
    run.record = replace(run.record, inputs=(*_stream_inputs(run.plan, query), *table_inputs(run.versions)))


def _stream(run: Run) -> DataFrame:
    """The source as a stream, and every column and expression of the job resolved against it; nothing is started yet."""
    source = run.plan.source
    read = read_of(run, {}, run.versions, incremental=True)
    source_table(run, read)
    with explained(run.plan, source):
        stream: DataFrame = source.call(run.spark, now=run.record.started, tables={}, read=read)
    check(batch_of(run, new_intent(run, 0, {})), run.spark.createDataFrame([], stream.schema))
    return stream if run.plan.state is None else with_state(run, stream)


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
    except PySparkException:
        if errors:
            raise errors[-1] from None
        raise
    finally:
        if query.isActive:
            query.stop()
    return query


def _take(run: Run, rows: DataFrame, number: int) -> None:
    """One micro-batch; one that was finished before a crash took its commit away is left alone."""
    if number <= run.progress.batch:
        if run.plan.state is not None:  # which Spark wants to see worked out for every batch that it ends
            rows.write.format("noop").mode("overwrite").save()
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
    """From which to which version of its table a stream read."""
    found = [json.loads(item.json)["sources"][0] for item in query.recentProgress or []]
    if not found:
        return ()
    first, last = found[0]["startOffset"] or {}, found[-1]["endOffset"] or {}
    name = str(plan.source.option("table") or plan.source.option("path"))
    return (Input(name, version=last.get("reservoirVersion"), from_version=first.get("reservoirVersion")),)
