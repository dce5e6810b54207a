"""A run's record: batch is added to batch, and it is in the run log before the run's progress lets go of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from lakehouse import log, rule_results, runs
from lakehouse.batches.batch_rows import Batch, Outcome
from lakehouse.batches.gate import Refused
from lakehouse.ending import Ending
from lakehouse.errors import Interrupted, LakehouseError, Unreachable
from lakehouse.pipeline import progress
from lakehouse.pipeline.batch_records import carry
from lakehouse.pipeline.progress import Progress
from lakehouse.pipeline.run_state import Run
from lakehouse.planning.plan import Plan
from lakehouse.rule_results import Checked, RuleResult, added
from lakehouse.runs import Input, Output, RunRecord
from lakehouse.spark_errors import readable
from lakehouse.targets import Stopped, Written


def begun(plan: Plan, run_id: str, started: datetime) -> RunRecord:
    """The record of a run that has begun."""
    return replace(RunRecord(run_id, plan.name, plan.fingerprint, started), **plan.contract_identity)


def recorded(run: Run, done: RunRecord) -> RunRecord:
    """The record of the ended run; it is in the run log before the progress lets go of it."""
    ended = replace(done, state="succeeded", ended=runs.now())
    if run.progress.record is not None:
        run.progress = replace(run.progress, record=runs.to_json(ended))
        run.save()
    put_on_record(run, ended)
    if run.progress.record is not None:
        let_go_of_record(run)
    return ended


def with_reason(record: RunRecord, ending: Ending) -> RunRecord:
    """The record with a note of why the run ended before all was taken, where it did."""
    reason = ending.reason()
    return record if reason is None else replace(record, notes=(*record.notes, reason))


def put_on_record(run: Run, ended: RunRecord, *, once: bool = False) -> None:
    """What the run's rules said, then the run itself; `once`: where a dead run may have put the first there already."""
    _append_results(run.plan, ended, results_so_far(run.progress, ended.run_id), once=once)
    runs.append(run.plan.layout, ended)


def results_so_far(state: Progress, run_id: str) -> tuple[RuleResult, ...]:
    """What the rules said of the batches that a run has finished."""
    known = state.record is not None and runs.from_json(state.record).run_id == run_id
    return rule_results.from_values(state.results) if known else ()


def _append_results(plan: Plan, ended: RunRecord, results: Sequence[RuleResult], *, once: bool = False) -> None:
    """Nothing for a run that read nothing, unless a rule says that this is wrong."""
    table = ", ".join(plan.outputs) or f"{plan.job.config.layer}.{plan.name}"
    of_run = Checked(ended.run_id, plan.name, table, ended.started, ended.state == "succeeded")
    if ended.rows_read or any(item.failed for item in results):
        rule_results.append(plan.layout, of_run, results, once=once)


def let_go_of_record(run: Run) -> None:
    """The record is in the run log: the progress needs it no more, nor its batches once they are in theirs."""
    carry(run, run.progress)
    run.progress = replace(run.progress, record=None, results=(), batches=())
    run.save()


def recorded_failure(plan: Plan, record: RunRecord, error: BaseException, folder: str | None = None) -> BaseException:
    """The error as the user meets it, its run on record; `folder` is where its progress lies, if not where the job's does."""
    if isinstance(error, KeyboardInterrupt):
        error = Interrupted(f"{plan.name} was interrupted; the next run finishes it")
    cause = error.error if isinstance(error, Stopped) else error
    known = cause if isinstance(cause, LakehouseError) else readable(cause)
    said = str(known).split("\n")[0][:1000]
    try:
        _record_failure(plan, record, error, said, folder or plan.layout.checkpoint(plan.name))
    except LakehouseError as unwritten:  # the lake is away: the first error says so better than this one
        log.event("run_not_recorded", run_id=record.run_id, error=str(unwritten))
    log.event("run_ended", run_id=record.run_id, job=plan.name, state="failed", error=said)
    return known


def _record_failure(plan: Plan, record: RunRecord, error: BaseException, said: str, folder: str) -> None:
    """Puts a failed run on record, unless it is there: it may have failed for an answer that was lost."""
    so_far, results = _so_far(folder, record)
    failed = replace(so_far, state="failed", ended=runs.now(), error=said)
    cause = error.error if isinstance(error, Stopped) else error
    if isinstance(cause, Refused):
        failed, results = with_outcome(failed, cause.outcome, ()), added(results, cause.outcome.results)
    if isinstance(error, Stopped):
        failed = with_outcome(failed, _outcome_of(error.written), ())
    if not runs.is_recorded(plan.layout, record.run_id):
        _append_results(plan, failed, results, once=True)
        runs.append(plan.layout, failed)


def _outcome_of(written: Written) -> Outcome:
    """A failed batch as far as it got in: the rows of the commits before the failure."""
    caused = {f"rows_{what}": getattr(written, what) for what in ("inserted", "updated", "deleted", "unchanged")}
    taken = dict.fromkeys(("rows_read", "rows_valid", "rows_to_sink"), written.rows)
    return Outcome(taken | caused, (written,), notes=written.notes)


def with_outcome(record: RunRecord, outcome: Outcome, inputs: tuple[Input, ...]) -> RunRecord:
    """The record with a further batch in it."""
    counts = {name: getattr(record, name) + outcome.counts.get(name, 0) for name in runs.COUNTS}
    outputs = {item.name: item for item in record.outputs}
    for written in (*outcome.written, *((outcome.quarantined,) if outcome.quarantined else ())):
        outputs[written.target] = _with_write(outputs.get(written.target, Output(written.target)), written)
    ignored = tuple(dict.fromkeys((*record.ignored_columns, *outcome.ignored)))
    return replace(record, **counts, outputs=tuple(outputs.values()), inputs=_summed(record.inputs, inputs),
                   batches=record.batches + 1, ignored_columns=ignored, notes=(*record.notes, *outcome.notes))  # fmt: skip


def batch_inputs(batch: Batch, pin: Mapping[str, Any]) -> tuple[Input, ...]:
    """What a batch read: its pinned source and the tables that it looked things up in."""
    tables = table_inputs(batch.versions)
    files = pin.get("files")
    if files is not None:
        return (Input(batch.origin, files=len(files), bytes=sum(size for _, size, *_ in files)), *tables)
    if "version" in pin:
        return (Input(batch.origin, version=pin["version"]), *tables)
    if "_copy" in pin:
        return (Input(batch.origin), *tables)
    return tables


def table_inputs(versions: Mapping[str, int]) -> tuple[Input, ...]:
    """The tables under `inputs` at the versions that were read."""
    return tuple(Input(name, version=version) for name, version in versions.items())


def _so_far(folder: str, record: RunRecord) -> tuple[RunRecord, tuple[RuleResult, ...]]:
    """The record with the batches that were finished before a failure, and what the rules said of those.

    Raises Unreachable where nobody can tell: the next run finds them with the progress, and puts them on record.
    """
    try:
        state = progress.load(folder)[0]
    except Unreachable:
        raise
    except LakehouseError:  # a damaged checkpoint is the failure itself
        return record, ()
    known = runs.from_json(state.record) if state.record else record
    return (known, results_so_far(state, known.run_id)) if known.run_id == record.run_id else (record, ())


def _with_write(before: Output, written: Written) -> Output:
    return Output(
        before.name,
        max((version for version in (before.version, written.version) if version is not None), default=None),
        before.rows + written.rows,
        before.target_rows_inserted + written.target_inserted,
        before.target_rows_updated + written.target_updated,
        before.target_rows_deleted + written.target_deleted,
    )


def _summed(before: tuple[Input, ...], more: tuple[Input, ...]) -> tuple[Input, ...]:
    """Inputs of several batches of one run: files add up, a table's version is the last."""
    known = {item.name: item for item in before}
    for item in more:
        earlier = known.get(item.name)
        if earlier is not None and item.files is not None and earlier.files is not None:
            item = replace(item, files=earlier.files + item.files, bytes=(earlier.bytes or 0) + (item.bytes or 0))
        known[item.name] = item
    return tuple(known.values())
