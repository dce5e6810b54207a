"""What a run reads: its source, pinned so that a repeat reads the same, and its inputs at fixed versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakehouse import lake
from lakehouse.batches.batch import prepared, process
from lakehouse.batches.batch_rows import Batch, Work
from lakehouse.batches.job_columns import contract_fields, own_columns
from lakehouse.batches.step_errors import explained
from lakehouse.errors import DataError
from lakehouse.frames import BRONZE_COLUMNS
from lakehouse.pipeline.run_state import Run
from lakehouse.planning.plan import Plan
from lakehouse.registry import call_options
from lakehouse.sources import Read
from lakehouse.sources.delta import place_of


def pinned_inputs(plan: Plan, spark: SparkSession) -> dict[str, int]:
    """The versions at which this run reads the tables beside its source."""
    found = {}
    for name in plan.looked_up:
        place = plan.layout.table(name)
        found[name] = _required(plan, spark, f"input {name}", place).version
    return found


def pins(run: Run) -> Iterator[Mapping[str, Any]]:
    """What to take, pinned: all of it once, or whatever no earlier batch took."""
    while True:
        found = False
        for pin in _one_look(run):
            found = True
            yield pin
        if not found or run.plan.read == "full" or run.plan.source.entry.traits.get("one_batch"):
            return


def _one_look(run: Run) -> Iterator[Mapping[str, Any]]:
    """What one look at the source finds: a pin, or several where a listing is worth more than one."""
    source = run.plan.source
    read, options = read_of(run, {}, run.versions), call_options(source.entry, source.options)
    several, own_pin = source.entry.traits.get("pins"), source.entry.traits.get("pin")
    if several is not None:
        with explained(run.plan, source):
            yield from several(read, **options)
        return
    found = table_pin(run, read) if own_pin is None else own_pin(read, **options)
    if found is not None:
        yield found


def table_pin(run: Run, read: Read) -> dict[str, Any]:
    """What a source without a pin of its own is pinned to: its table's version."""
    return {"version": source_table(run, read).version} if "place" in run.plan.source.entry.traits else {}


def source_table(run: Run, read: Read) -> lake.Snapshot:
    """The table that the job reads; raises DataError where there is none."""
    plan = run.plan
    table, path = plan.source.option("table"), plan.source.option("path")
    with explained(plan, plan.source):
        place = place_of(table, path, read)
    return _required(plan, run.spark, f"source {table or place}", place)


def read_of(run: Run, pin: Mapping[str, Any], versions: Mapping[str, int], *, incremental: bool | None = None) -> Read:
    """What the source is told of the run; it reads as the plan says, unless `incremental` says otherwise."""
    plan, config = run.plan, run.plan.job.config
    fields = contract_fields(plan)
    known = _known_columns(run) if fields is None else None
    if incremental is None:
        incremental = plan.read == "incremental"
    rescue = config.layer == "bronze" or plan.source.option("rescued_data_column") is not None
    widens = all(sink.settings.type_widening for sink in plan.sinks)
    return Read(
        plan.layout, plan.job.root, config.layer, incremental, pin, versions, run.progress.taken, fields, known, rescue,
        widens, run.progress.start, run.progress.pin, run.copies, run.intent is not None,
        not run.is_plan and plan.layout.aside is None,
    )  # fmt: skip


def load(batch: Batch, read: Read) -> Work | None:
    """What writes the batch, every column and expression of the job resolved against the source's frame; no data is read
    yet, but by a source that copies its rows: None where it then finds none that is new."""
    raw = source_rows(batch, read)
    return None if raw is None else partial(process, batch, prepared(batch, raw))


def source_rows(batch: Batch, read: Read) -> DataFrame | None:
    """The source's frame as it stands; None as for `load`."""
    source = batch.plan.source
    with explained(batch.plan, source):
        raw: DataFrame | None = source.call(batch.spark, now=batch.now, tables=batch.tables, read=read)
    return raw


def _known_columns(run: Run) -> StructType | None:
    """The target's columns without those that its sink adds, where files go into it as they come."""
    plan = run.plan
    if plan.source.name != "files" or not plan.outputs or plan.transforms:
        return None
    target = lake.snapshot(run.spark, plan.layout.table(plan.outputs[0]))
    if target is None:
        return None
    added = {*BRONZE_COLUMNS, *own_columns(plan.sinks[0].step)}
    return StructType([column for column in target.schema if column.name not in added])


def _required(plan: Plan, spark: SparkSession, said: str, place: str) -> lake.Snapshot:
    found = lake.snapshot(spark, place)
    if found is None:
        raise DataError(f"{plan.name}: the {said} does not exist at {place}; run the job that writes it first")
    return found
