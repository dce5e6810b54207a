"""Quarantined rows through their job's own path again, each once: a batch of its own, with an intent, a number and a record.

It is never a whole copy of a source: nothing is missing because it is not in it, and no newer row is beaten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import lake, quarantine, runs
from lakehouse.batches.batch import prepared, process
from lakehouse.batches.batch_rows import Batch, Work
from lakehouse.batches.job_columns import contract_fields
from lakehouse.batches.step_errors import explained
from lakehouse.cdc_formats import flattened
from lakehouse.errors import ConfigError, DataError
from lakehouse.frames import FILE, REPLAYED, col
from lakehouse.holding import held
from lakehouse.pipeline import progress
from lakehouse.pipeline.advance import advance
from lakehouse.pipeline.quarantined_rows import TEXT, Part, by_schema, matching
from lakehouse.pipeline.reading import load, pinned_inputs, read_of
from lakehouse.pipeline.recovery import finish_batch, settle_dead_run
from lakehouse.pipeline.replayed_files import know_files, replay_files
from lakehouse.pipeline.run_records import begun, recorded, recorded_failure
from lakehouse.pipeline.run_state import Run, Watch, batch_of, new_intent
from lakehouse.planning.plan import Plan, RuleStep, SinkStep
from lakehouse.quarantine import FILE_SCHEMA, OPEN
from lakehouse.raw_rows import as_rows
from lakehouse.registry import call_options
from lakehouse.runs import RunRecord
from lakehouse.session import job_session

_IS_ROW = f"schema <> '{FILE_SCHEMA}'"  # and no whole file

FOLDER = "replay"
"""Below a job's progress: that of its replays."""


@dataclass(frozen=True)
class Selection:
    """Which open rows: these ids (none: all), those with a reason of this rule, those for which the SQL is true; and who
    decided so, when and why."""

    by: str
    at: datetime
    ids: Sequence[str] = ()
    rule: str | None = None
    where: str | None = None
    why: str | None = None


def replay(plan: Plan, spark: SparkSession, selection: Selection, *, watch: Watch = lambda _: None) -> RunRecord | None:
    """Sends the rows through the job's path and records that as a run; None where no open row is meant.

    Raises ConfigError where the job's target is no place for single rows, DataError where its last run is unfinished.
    """
    if plan.state is not None:
        said = "its window may have closed meanwhile: append the mended row to the table that the job reads, and discard this one"
        raise ConfigError(plan.state.problem(said))
    started = runs.now()
    record = begun(plan, runs.new_run_id(started), started)
    try:
        session = job_session(spark, plan.job.config.spark)
        _require_settled(plan)
        finish_dead_replay(plan, session)
        return _replayed(_begun(plan, session, record, watch), selection)
    except BaseException as error:
        raise recorded_failure(plan, record, error, _folder(plan)) from error


def finish_dead_replay(plan: Plan, spark: SparkSession) -> None:
    """Rolls a replay forward that a dead process had begun to write, and records it; one of which nothing is in is forgotten."""
    state, intent = progress.load(_folder(plan))
    if state.fresh and intent is None:
        return
    now = runs.now()
    record = begun(plan, runs.new_run_id(now), now)
    run = Run(
        _as_replay(plan), spark, record, state, intent, lambda _: None, intent.versions if intent else {}, part=FOLDER
    )
    settle_dead_run(run)
    if run.intent is not None:
        intent, batch = run.intent, batch_of(run, run.intent)
        if "files" in intent.pin:
            work = load(batch, read_of(run, intent.pin, intent.versions))
        else:
            work = _loaded(_chosen(run, intent.pin).where(_IS_ROW), run, batch)
        finish_batch(run, intent, batch, work)
        if "files" in intent.pin:
            know_files(plan, intent.pin)
        if run.record.batches:  # its own run is on record as failed
            recorded(run, run.record)


def _folder(plan: Plan) -> str:
    return f"{plan.layout.checkpoint(plan.name)}/{FOLDER}"


def _begun(plan: Plan, spark: SparkSession, record: RunRecord, watch: Watch) -> Run:
    state, _ = progress.load(_folder(plan))
    run = Run(_as_replay(plan), spark, record, state, None, watch, part=FOLDER)
    run.versions = pinned_inputs(run.plan, spark)
    return run


def _require_settled(plan: Plan) -> None:
    """Raises DataError where the job itself died amid a batch: its rows may be among those to replay."""
    _, intent = progress.load(plan.layout.checkpoint(plan.name))
    if intent is not None:
        raise DataError(f"{plan.name} has a run to finish first: lakehouse run {plan.name}")


def _replayed(run: Run, selection: Selection) -> RunRecord | None:
    table = lake.snapshot(run.spark, run.plan.layout.table(run.plan.quarantine))
    if table is None:
        return None
    pin = {
        "quarantine": table.version, "ids": list(selection.ids), "rule": selection.rule, "where": selection.where,
        "by": selection.by, "at": selection.at.isoformat(), "why": selection.why,
    }  # fmt: skip
    chosen = _chosen(run, pin)
    rows, files = chosen.where(_IS_ROW), chosen.where(f"NOT ({_IS_ROW})")
    if not rows.isEmpty():
        intent = new_intent(run, run.progress.batch + 1, pin)
        batch = batch_of(run, intent)
        work = _loaded(rows, run, batch)
        run.begin(intent)
        run.record = advance(run, batch, work, run.record, pin)
    ids: dict[str, list[str]] = {}
    for row in files.select("id", "source").collect():
        ids.setdefault(row["source"], []).append(row["id"])
    if ids:
        replay_files(run, pin, ids)
    return recorded(run, run.record) if run.record.batches else None


def _chosen(run: Run, pin: Mapping[str, Any]) -> DataFrame:
    """The open rows of the job that are meant, as the quarantine was at the pinned version.

    Rows of a run that was refused are not: its input is read again by the next run.
    """
    plan = run.plan
    rows = lake.read(run.spark, plan.layout.table(plan.quarantine), version=pin["quarantine"])
    missing = [name for name in ("job", "schema", *quarantine.DECISIONS) if name not in rows.columns]
    if missing:
        raise DataError(f"{plan.quarantine} has no column {', '.join(missing)}: its rows cannot be replayed")
    refused = progress.load(plan.layout.checkpoint(plan.name))[0].evidence
    rows = rows.where((col("status") == OPEN) & (col("job") == plan.name) & ~col("run_id").isin(*refused, ""))
    if pin["ids"]:
        rows = rows.where(col("id").isin(*pin["ids"]))
    if pin["rule"]:
        rows = rows.where(F.exists("reasons", lambda reason: reason.getField("rule") == pin["rule"]))
    return matching(rows, pin["where"]) if pin["where"] else rows


def _loaded(rows: DataFrame, run: Run, batch: Batch) -> Work:
    """What writes the rows as the source gave them, each with its id; every column and expression of the job is resolved."""
    parts = [_raw(part, run) for part in by_schema(held(rows)[0])]
    raw = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), parts)
    return partial(process, batch, prepared(batch, raw))


def _raw(part: Part, run: Run) -> DataFrame:
    source = run.plan.source
    file = [col("source").alias(FILE)] if source.name == "files" else []
    found = as_rows(part.rows.select(col("id").alias(REPLAYED), *file, col(TEXT)), TEXT, part.schema)
    again = source.entry.traits.get("replayed")
    if again is not None:
        with explained(run.plan, source):
            return again(found, read_of(run, {}, {}), **call_options(source.entry, source.options))  # type: ignore[no-any-return]
    return flattened(found, source.option("cdc_format"), source.option("cdc_columns"), contract_fields(run.plan))


def _as_replay(plan: Plan) -> Plan:
    """The job for rows that are no whole batch: no gate, suite or rule on the batch, what would fail the run stays in the
    quarantine, and no sink takes a key for missing or an unordered row for the newer one."""
    config = plan.job.config.model_copy(update={"quality_gate": None, "allow_empty": True})
    return replace(plan, job=replace(plan.job, config=config), read="incremental", suite=None,
                   rules=tuple(_mild(rule) for rule in plan.rules if not rule.measures), sinks=tuple(map(_for_single_rows, plan.sinks)))  # fmt: skip


def _mild(rule: RuleStep) -> RuleStep:
    if rule.settings.on_fail != "fail":
        return rule
    return replace(rule, settings=rule.settings.model_copy(update={"on_fail": "quarantine"}))


def _for_single_rows(sink: SinkStep) -> SinkStep:
    """The sink as it takes single rows; raises ConfigError for one that takes a whole copy alone."""
    step = sink.step
    why = None
    if step.name == "overwrite":
        why = f"each run brings {sink.target} anew from the whole source"
    elif step.name == "snapshot" and step.option("strategy") == "check":
        why = "strategy check does not tell which of two rows is newer"
    if why is not None:
        said = "so single rows are not replayed into it; correct the rule or the source and run the job, and discard what is settled"
        raise ConfigError(step.problem(f"{why}, {said}"))
    if step.name != "merge":
        return sink
    changed = {"when_missing": "keep"} if step.option("sequence_by") else {"when_missing": "keep", "insert_only": True}
    given = {**step.given, **changed}
    return replace(sink, step=replace(step, given=given, options=step.entry.options.model_validate(given)))
