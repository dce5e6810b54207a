"""What a run that died left behind: put on record, forgotten where nothing was written, or finished as it was begun."""

from __future__ import annotations

from dataclasses import replace

from lakehouse import lake, runs
from lakehouse.batches.batch_rows import Batch, Work
from lakehouse.batches.step_errors import explained
from lakehouse.pipeline import progress
from lakehouse.pipeline.advance import advance
from lakehouse.pipeline.bad_files import has_quarantined_files, reads_any
from lakehouse.pipeline.progress import Intent
from lakehouse.pipeline.reading import load, read_of
from lakehouse.pipeline.run_records import begun, let_go_of_record, put_on_record, recorded
from lakehouse.pipeline.run_state import Run, batch_of
from lakehouse.registry import call_options
from lakehouse.runs import RunRecord


def settle_dead_run(run: Run) -> None:
    """Puts a finished but unrecorded run on record; forgets an intent of which nothing was written."""
    _record_finished_run(run)
    if run.intent is None:
        return
    if run.intent.batch > run.progress.batch:
        if anything_written(run, run.intent):
            return
        _record_lost_run(run, run.intent)
    progress.end(run.folder)
    run.intent = None


def finish_dead_run(run: Run, intent: Intent) -> None:
    """Rolls a dead run's batch forward under its own run id, start and pinned input, and records it."""
    run.watch(f"finishing run {intent.run_id}")
    batch = batch_of(run, intent)
    work = load(batch, read_of(run, intent.pin, intent.versions)) if reads_any(intent.pin) else None
    if work is None and reads_any(intent.pin):
        raise AssertionError("a batch that was begun has rows")
    finish_batch(run, intent, batch, work)


def finish_batch(run: Run, intent: Intent, batch: Batch, work: Work | None) -> None:
    """Takes the batch that a dead run had begun and records that run, or counts the batch in this one."""
    finished = advance(run, batch, work, _dead_record(run, intent), intent.pin)
    run.intent = None
    if finished.run_id == run.record.run_id:
        run.record = finished
    else:
        recorded(run, finished)


def _record_finished_run(run: Run) -> None:
    if run.progress.record is None:
        return
    record = runs.from_json(run.progress.record)
    if _has_begun_another(run, record):
        return
    ended = replace(record, state="succeeded", ended=record.ended or runs.now())
    if not runs.is_recorded(run.plan.layout, record.run_id):
        put_on_record(run, ended, once=True)
    let_go_of_record(run)


def _has_begun_another(run: Run, record: RunRecord) -> bool:
    """True where the run died within a further batch: it is on record once that batch is finished."""
    intent = run.intent
    if intent is None or intent.batch <= run.progress.batch or intent.run_id != record.run_id:
        return False
    return anything_written(run, intent)


def _record_lost_run(run: Run, intent: Intent) -> None:
    if runs.is_recorded(run.plan.layout, intent.run_id):
        return
    lost = begun(run.plan, intent.run_id, intent.started)
    said = "it died before its first write; the next run reads its input again"
    runs.append(run.plan.layout, replace(lost, ended=runs.now(), state="failed", error=said))


def anything_written(run: Run, intent: Intent) -> bool:
    """True where a write of the intent's batch is in a target already: then the batch must be finished as it was pinned."""
    batch = batch_of(run, intent)
    for index, sink in enumerate(run.plan.sinks):
        if sink.step.entry.traits.get("sends"):
            return True  # what was sent cannot be looked up: it is sent again under the same ids
        written = sink.step.entry.traits.get("written")
        if written is not None:
            with explained(run.plan, sink.step):
                if written(batch.commit(f"{sink.target}/{index}"), **call_options(sink.step.entry, sink.step.options)):
                    return True
        if sink.step.option("table"):
            found = lake.snapshot(run.spark, run.plan.layout.table(sink.target))
            if found is not None and found.has(batch.commit(f"{sink.target}/{index}")):
                return True
    if has_quarantined_files(batch, intent.pin):
        return True
    return run.plan.state is not None and _any_kept_aside(run, batch)


def _any_kept_aside(run: Run, batch: Batch) -> bool:
    """True where rows of a stream with state are kept already: of a micro-batch that gave none, those may be all."""
    steps = {run.plan.quarantine: "quarantine", run.plan.late: "late"}
    found = {step: lake.snapshot(run.spark, run.plan.layout.table(name)) for name, step in steps.items()}
    return any(table is not None and table.has(batch.commit(step)) for step, table in found.items())


def _dead_record(run: Run, intent: Intent) -> RunRecord:
    """The record that a dead run's batch counts in: its own, or this run's where it is on record as failed already."""
    if runs.is_recorded(run.plan.layout, intent.run_id):
        return run.record
    if run.progress.record is not None:
        known = runs.from_json(run.progress.record)
        if known.run_id == intent.run_id:
            return known
    return begun(run.plan, intent.run_id, intent.started)
