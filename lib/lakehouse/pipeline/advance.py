"""One batch forward: it is written, then the run's progress is saved, then its intent is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lakehouse import quarantine, runs
from lakehouse.batches.batch import write_nothing
from lakehouse.batches.batch_rows import Batch, Outcome, Work
from lakehouse.batches.gate import Refused
from lakehouse.pipeline import progress
from lakehouse.pipeline.bad_files import FILES, mark_replayed, taken_by, with_bad_files
from lakehouse.pipeline.batch_records import with_record
from lakehouse.pipeline.event_time import state_after
from lakehouse.pipeline.ledger import drop_old_parts, with_taken
from lakehouse.pipeline.progress import Progress
from lakehouse.pipeline.run_records import batch_inputs, results_so_far, with_outcome
from lakehouse.pipeline.run_state import Run
from lakehouse.registry import call_options
from lakehouse.row_copies import forget_rows
from lakehouse.rule_results import added, to_values
from lakehouse.runs import RunRecord
from lakehouse.targets import Stopped


def advance(run: Run, batch: Batch, work: Work | None, record: RunRecord, pin: Mapping[str, Any]) -> RunRecord:
    """The record with the batch in it; what a refused try had left in the quarantine is withdrawn first.

    `work` is None for a batch of which nothing is read: all of its files are set aside.
    """
    began, before = runs.now(), run.progress
    if run.progress.evidence:
        quarantine.withdraw(batch.spark, run.plan, run.progress.evidence)
    outcome = _done(run, batch, work) if work is not None else _of_nothing(batch)
    outcome = with_bad_files(batch, pin, replace(outcome, notes=(*pin.get("_notes", ()), *outcome.notes)))
    batch.tell("quarantine_written")
    if "replayed" in pin:
        mark_replayed(batch, pin)
    done = with_outcome(record, outcome, batch_inputs(batch, pin))
    if run.plan.state is not None:
        run.progress = replace(run.progress, state=state_after(run.progress.state, outcome))
        done = replace(done, rows_open=run.progress.state["open"])
    results = added(results_so_far(run.progress, done.run_id), outcome.results)
    so_far = replace(_with_batch(run, batch, outcome, pin), record=runs.to_json(done), results=to_values(results))
    run.progress = with_record(run, so_far, batch, outcome, began)
    run.save()
    batch.tell("progress_saved")
    progress.end(run.folder)
    batch.tell("batch_ended")
    drop_old_parts(run.folder, run.progress, before)
    _tell_source(run, pin)
    run.watch(_said(done))
    return done


def _tell_source(run: Run, pin: Mapping[str, Any]) -> None:
    """The batch is finished: what the source keeps or moves for it alone."""
    if "_copy" in pin:
        forget_rows(run.copies, pin["_copy"])
    source = run.plan.source
    finished = source.entry.traits.get("finished")
    if finished is not None and "files" in pin and run.plan.layout.aside is None:
        finished(pin, run.plan.job.root, **call_options(source.entry, source.options))


def _said(record: RunRecord) -> str:
    seconds = max((runs.now() - record.started).total_seconds(), 0.001)
    return f"{record.rows_read:,} rows, {record.rows_read / seconds:,.0f} rows/s"


def _done(run: Run, batch: Batch, work: Work) -> Outcome:
    """What came of the batch's writes; raises what stopped them, once the progress says so too."""
    try:
        return work()
    except Refused:
        run.progress = replace(run.progress, evidence=(*run.progress.evidence, batch.run_id), fresh=False)
        run.save()
        progress.end(run.folder)
        raise
    except Stopped as stopped:
        if run.plan.streams or len(run.plan.sinks) > 1:  # which must go on with this very batch
            raise stopped.error from stopped
        _let_go(run, batch, stopped)
        raise


def _of_nothing(batch: Batch) -> Outcome:
    for sink in batch.plan.sinks:
        write_nothing(batch, sink)
    return Outcome({})


def _let_go(run: Run, batch: Batch, stopped: Stopped) -> None:
    """Ends a batch of which a part got in: all of its input is read again, mended perhaps, and that part is known then."""
    targets = tuple(sorted({*run.progress.targets, stopped.written.target}))
    run.progress = replace(run.progress, batch=batch.number, targets=targets, fresh=False)
    run.save()
    progress.end(run.folder)


def _with_batch(run: Run, batch: Batch, outcome: Outcome, pin: Mapping[str, Any]) -> Progress:
    """The progress with the batch as its last finished one."""
    files = taken_by(pin) if run.plan.read == "incremental" else {}
    filled = {*run.progress.targets, *(item.target for item in outcome.written if item.version is not None)}
    return replace(
        with_taken(run.folder, run.progress, files),
        batch=batch.number,
        targets=tuple(sorted(filled & set(run.plan.outputs))),
        evidence=(),
        pin={name: value for name, value in pin.items() if name not in FILES},
        fresh=False,
    )
