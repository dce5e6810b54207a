"""A stream's micro-batches: Spark's own streaming keeps what was taken, each micro-batch takes the same path as a batch."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse import lake
from lakehouse.batches.batch import prepared, process
from lakehouse.batches.batch_rows import Batch, Work
from lakehouse.batches.step_errors import explained
from lakehouse.ending import Ending
from lakehouse.errors import DataError
from lakehouse.pipeline.advance import advance
from lakehouse.pipeline.event_time import (
    catch_up_watermark,
    process_in_state,
    push_watermark,
    require_same_state,
    settle_state,
    tell_state,
    with_state,
)
from lakehouse.pipeline.reading import pinned_inputs, read_of, source_table
from lakehouse.pipeline.recovery import finish_batch
from lakehouse.pipeline.run_records import table_inputs
from lakehouse.pipeline.run_state import Run, batch_of, new_intent
from lakehouse.pipeline.stream_checkpoints import begins_empty, require_sound
from lakehouse.pipeline.stream_losses import require_nothing_lost
from lakehouse.planning.plan import Plan
from lakehouse.registry import call_options
from lakehouse.runs import Input
from lakehouse.tables import is_remote

_LOOK = 0.5  # seconds between two looks whether a query is to end
# On a local disk Hadoop asks a process of its own about each file that its newer interface renames, eight of them a file;
# and what it keeps beside each file is checksum enough.
_LOCAL = {
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
    "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
}


class _Told(Exception):
    """Stops a query before its next micro-batch."""


class _ReadAnew(_Told):
    """Its messages are read by more than the query knows: another one takes it."""


def take_stream(run: Run, ending: Ending) -> None:
    """Takes micro-batch after micro-batch: until nothing new is there, or at its interval until it is told to end."""
    found = require_sound(f"{run.folder}/stream", run.progress, run.intent)
    require_same_state(run)
    hooks = run.plan.source.entry.traits.get("stream")
    if hooks is not None:
        require_nothing_lost(run, found, hooks)
    if not _is_source_there(run, ending):
        return
    query = _last_query(run, ending)
    if run.plan.state is not None:
        settle_state(run, query)
        for is_planned in (catch_up_watermark, *([push_watermark] if ending.flush else [])):
            if ending.reason() is None and is_planned(run):
                settle_state(run, _last_query(run, ending))
        tell_state(run)
    if run.progress.stream is None and not run.progress.fresh:
        run.progress = replace(run.progress, stream=str(query.id))
        run.save()
    run.record = replace(run.record, inputs=(*_stream_inputs(run), *table_inputs(run.versions)))


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
    run.stream_pin = run.intent.pin if run.intent is not None else _stream_pin(run)
    read = read_of(run, run.stream_pin, run.versions, incremental=True)
    if "place" in source.entry.traits:
        source_table(run, read)
    with explained(run.plan, source):
        stream: DataFrame = source.call(run.spark, now=run.record.started, tables={}, read=read)
    prepared(batch_of(run, new_intent(run, 0, {})), run.spark.createDataFrame([], stream.schema))
    return stream if run.plan.state is None else with_state(run, stream)


def _stream_pin(run: Run) -> dict[str, Any]:
    """What the source's messages are read by now."""
    source = run.plan.source
    hooks = source.entry.traits.get("stream")
    if hooks is None:
        return {}
    with explained(run.plan, source):
        pin: dict[str, Any] = hooks.pin(**call_options(source.entry, source.options))
    return pin


def _is_read_anew(run: Run) -> bool:
    """True where the source's messages are read by something else now; one that does not answer holds no batch up."""
    try:
        return _stream_pin(run) != run.stream_pin
    except DataError:
        return False


def _last_query(run: Run, ending: Ending) -> StreamingQuery:
    """The query that took the last micro-batch, after it."""
    while True:
        with suppress(_ReadAnew):
            return _ended_query(run, _stream(run), ending)


def _ended_query(run: Run, stream: DataFrame, ending: Ending) -> StreamingQuery:
    """The query after its last micro-batch; raises the error that stopped it, which Spark would wrap in its own."""
    errors: list[BaseException] = []

    def take(rows: DataFrame, number: int) -> None:
        try:
            _take(run, rows, number, ending)
        except BaseException as error:
            errors.append(error)
            # Spark's bridge to Python waits for ever on anything that is no Exception, and Spark looks through all that
            # Python says of it by a pattern that takes one frame of the stack a letter
            raise RuntimeError(type(error).__name__) from None

    writer = stream.writeStream.foreachBatch(take).option("checkpointLocation", _checkpoint(run))
    query = writer.trigger(**_trigger(run, ending)).queryName(f"{run.plan.name} {run.record.run_id}").start()
    earlier = run.measured
    run.measured = lambda: [*earlier(), *(json.loads(item.json) for item in query.recentProgress)]
    try:
        _await(query, ending)
    except PySparkException as error:
        if not (errors and type(errors[-1]) is _Told):
            raise _meaning(run.plan, errors[-1] if errors else error) from None
    finally:
        if query.isActive:
            query.stop()
    return query


def _checkpoint(run: Run) -> str:
    """The folder of Spark's checkpoint; the session is told how its files are written there."""
    for key, value in ({} if is_remote(run.folder) else _LOCAL).items():
        if key not in run.plan.job.config.spark:
            run.spark.conf.set(key, value)
    return f"{run.folder}/stream"


def _trigger(run: Run, ending: Ending) -> dict[str, Any]:
    interval = _interval(run, ending)
    return {"availableNow": True} if interval is None else {"processingTime": f"{interval} seconds"}


def _await(query: StreamingQuery, ending: Ending) -> None:
    """Returns once the query has ended, or is to end and has no micro-batch in hand."""
    while not query.awaitTermination(_LOOK):  # type: ignore[arg-type] # parts of a second are fine
        if ending.reason() is not None and not query.status["isTriggerActive"]:
            return


def _meaning(plan: Plan, error: BaseException) -> BaseException:
    """What a failure of a stream is, where its source knows."""
    hooks = plan.source.entry.traits.get("stream")
    if hooks is None or not isinstance(error, PySparkException | Py4JJavaError):
        return error
    return hooks.failed(str(error), **call_options(plan.source.entry, plan.source.options)) or error


def _take(run: Run, rows: DataFrame, number: int, ending: Ending) -> None:
    """One micro-batch; one that was finished before a crash took its commit away is left alone."""
    if number <= run.progress.batch:
        _work_out(run, rows)
        return
    if ending.reason() is not None:
        raise _Told
    if begins_empty(f"{run.folder}/stream", number):
        _work_out(run, rows)
        run.progress = replace(run.progress, batch=number, fresh=False)
        run.save()
        return
    dead = run.intent if run.intent is not None and run.intent.batch == number else None
    if dead is None and _is_read_anew(run):
        raise _ReadAnew
    if run.plan.interval is not None:
        run.versions = pinned_inputs(run.plan, run.spark)
    intent = dead or new_intent(run, number, run.stream_pin)
    batch = replace(batch_of(run, intent), spark=rows.sparkSession)
    if dead is not None:
        finish_batch(run, dead, batch, _work(run, batch, rows))
        ending.batch_done()
        return
    run.begin(intent)
    batch.tell("batch_begun")
    run.record = advance(run, batch, _work(run, batch, rows), run.record, intent.pin)
    ending.batch_done()


def _work(run: Run, batch: Batch, rows: DataFrame) -> Work:
    if run.plan.state is not None:
        return partial(process_in_state, run, batch, rows)
    return lambda: process(batch, prepared(batch, rows))


def _work_out(run: Run, rows: DataFrame) -> None:
    """State is to be worked out for every batch that Spark ends, also for one of which nothing is written."""
    if run.plan.state is not None:
        rows.write.format("noop").mode("overwrite").save()


def _stream_inputs(run: Run) -> tuple[Input, ...]:
    """What a stream read: of a table from which to which version."""
    plan, found = run.plan, [report["sources"][0] for report in run.measured()]
    if not found:
        return ()
    hooks = plan.source.entry.traits.get("stream")
    if hooks is not None:
        return (Input(hooks.name(**call_options(plan.source.entry, plan.source.options))),)
    first, last = found[0]["startOffset"] or {}, found[-1]["endOffset"] or {}
    name = str(plan.source.option("table") or plan.source.option("path"))
    return (Input(name, version=last.get("reservoirVersion"), from_version=first.get("reservoirVersion")),)
