"""A stream with state around Spark's own: its settings, its frame, the watermark of each micro-batch, and its flush.

The job's progress keeps of the state what Spark's checkpoint does not tell: `shape` (what it is the state of),
`partitions`, `open` (rows in it that are in nothing finished yet) and `latest` (by input the latest event time, in microseconds).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse import lake
from lakehouse.batches.batch_rows import Batch, Outcome
from lakehouse.batches.event_rows import streamed
from lakehouse.batches.event_times import state_of, times_of
from lakehouse.batches.stateful import Seen, process_stateful
from lakehouse.errors import ConfigError, counted
from lakehouse.event_time import last_end, micros
from lakehouse.pipeline.run_state import Run, batch_of, new_intent
from lakehouse.pipeline.stream_checkpoints import last_watermark, plan_empty_batch, watermark_of
from lakehouse.planning.plan import Plan
from lakehouse.raw_rows import schema_of
from lakehouse.registry import length_of

_PARTITIONS = "spark.sql.shuffle.partitions"
_STORE = {
    "spark.sql.streaming.stateStore.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
}
_COUNTS = "spark.sql.streaming.stateStore.rocksdb.trackTotalNumberOfRows"


def require_same_state(run: Run) -> None:
    """Raises ConfigError where the state that the job holds is not that of its transform: Spark would mix the two."""
    plan = run.plan
    before, now = run.progress.state.get("shape"), _shape(plan) if plan.state is not None else None
    if before == now or run.progress.batch < 0:
        return
    said = (
        f"the state that {run.folder} holds was begun by other options of it; put them back, or run with --full-refresh"
    )
    if plan.state is None or before is None:
        said = (
            f"{run.folder} was begun {'with' if before else 'without'} state; put that back, or run with --full-refresh"
        )
    raise ConfigError(
        plan.state.problem(said) if plan.state is not None else plan.job.source.problem(("transforms",), said)
    )


def with_state(run: Run, stream: DataFrame) -> DataFrame:
    """The frame of the query for a source's stream."""
    plan = run.plan
    state = run.progress.state or {"shape": _shape(plan), "partitions": _partitions(run), "open": 0, "latest": {}}
    # each row is another key there: to count them would be to look for each twice
    counts = str(state_of(plan).name != "deduplicate").lower()
    for key, value in {**_STORE, _COUNTS: counts, _PARTITIONS: str(state["partitions"])}.items():
        if key not in plan.job.config.spark:
            run.spark.conf.set(key, value)
    if not run.progress.state:
        note = f"state: RocksDB, {counted(state['partitions'], 'partition')}, fixed from now on"
        run.record = replace(run.record, notes=(*run.record.notes, note))
    run.progress = replace(run.progress, state=state)
    run.schema = schema_of(stream)
    joined = {name: lake.stream(run.spark, plan.layout.table(name)) for name in plan.watermarks if name}
    return streamed(batch_of(run, new_intent(run, 0, {})), stream, joined, state["partitions"])


def process_in_state(run: Run, batch: Batch, rows: DataFrame) -> Outcome:
    """Writes one micro-batch of the query; what its state holds afterwards is in the progress."""
    seen = Seen(watermark_of(f"{run.folder}/stream", batch.number - 1), run.schema)
    return process_stateful(batch, rows, seen)


def state_after(state: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """What the progress tells of the state after a micro-batch."""
    found, latest = outcome.state, dict(state["latest"])
    for name, value in found.items():
        kind, _, source = name.partition(":")
        if kind == "latest":
            latest[source] = max(value, latest.get(source, value))
    return {**state, "latest": latest, "open": state["open"] + found.get("placed", 0) - found.get("closed", 0)}


def settle_state(run: Run, query: StreamingQuery) -> None:
    """After a query's last micro-batch: what is open by what only Spark knows of its state."""
    name = state_of(run.plan).name
    if name == "deduplicate":  # which gives a row at once, and remembers its key alone
        run.progress = replace(run.progress, state={**run.progress.state, "open": 0})
    worked = [item.stateOperators for item in query.recentProgress if item.stateOperators]
    if name == "stream_join" and worked:  # a query that found nothing to do tells of no state
        held = sum(item.numRowsTotal for item in worked[-1])
        run.progress = replace(run.progress, state={**run.progress.state, "open": held})
    run.record = replace(run.record, rows_open=run.progress.state["open"])
    if not run.progress.fresh:
        run.save()


def catch_up_watermark(run: Run) -> bool:
    """Plans a micro-batch of no rows where a join's watermark is behind its inputs; False where it is not.

    Spark forgets at each start how far each input was, so that two that bring rows by turns would never move it.
    """
    latest, marks = run.progress.state["latest"], run.plan.watermarks
    if len(marks) < 2 or latest.keys() != marks.keys():
        return False
    reached = min(latest[name] - micros(length_of(mark.delay)) for name, mark in marks.items()) // 1000
    if reached <= last_watermark(f"{run.folder}/stream"):
        return False
    plan_empty_batch(f"{run.folder}/stream", reached, int(time.time() * 1000))
    return True


def tell_state(run: Run) -> None:
    """At a run's end: which input of a join holds the watermark back."""
    if len(run.plan.watermarks) > 1:
        run.record = replace(run.record, notes=(*run.record.notes, _waiting(run)))


def push_watermark(run: Run) -> bool:
    """Plans a micro-batch of no rows whose watermark closes all that is open; False where nothing is.

    The watermark is that of the latest row that the state took: a row that comes for such a window later is late.
    """
    if not run.progress.state.get("open"):
        return False
    closing = max(_closed_after(run.plan, name, latest) for name, latest in run.progress.state["latest"].items())
    plan_empty_batch(f"{run.folder}/stream", -(-closing // 1000), int(time.time() * 1000))
    return True


def _shape(plan: Plan) -> str:
    step = state_of(plan)
    options = {name: value for name, value in step.given.items() if name != "extras"}
    return json.dumps([step.name, options, times_of(plan)], sort_keys=True, default=str)


def _partitions(run: Run) -> int:
    """As many as the machine, or the cluster, works on at once, unless the job says otherwise."""
    asked = run.plan.job.config.spark.get(_PARTITIONS)
    return int(asked if asked is not None else run.spark.sparkContext.defaultParallelism)


def _closed_after(plan: Plan, name: str, latest: int) -> int:
    """The first watermark (microseconds) that leaves nothing open of an input whose latest row is of this time."""
    step = state_of(plan)
    if step.name == "window":
        size = length_of(step.option("size"))
        return last_end(latest, size, length_of(step.option("slide") or step.option("size")))
    if step.name == "session_window":
        return latest + micros(length_of(step.option("gap")))
    # a row of the source waits for what may come `within`; one of the other side for those up to its own time
    return latest + (0 if name else micros(length_of(step.option("within")))) + 1_000


def _waiting(run: Run) -> str:
    """Which input holds the watermark back: an idle one lets no row without a partner out."""
    marks = run.plan.watermarks
    source = str(run.plan.source.option("table") or run.plan.source.name)
    silent = [name or source for name in marks if name not in run.progress.state["latest"]]
    if silent:
        return f"the watermark has not begun: {', '.join(silent)} has brought no row yet"
    ends = {
        name: latest - micros(length_of(marks[name].delay)) for name, latest in run.progress.state["latest"].items()
    }
    name = min(ends, key=lambda name: ends[name])
    latest = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=run.progress.state["latest"][name])
    return f"the watermark waits for {name or source}, whose latest row is of {latest:%Y-%m-%d %H:%M:%S}"
