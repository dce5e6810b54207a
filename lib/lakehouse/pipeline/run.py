"""A run: finish what a dead run left, then take batch after batch, each with an intent before and progress after it."""

from __future__ import annotations

from pyspark.sql import SparkSession

from lakehouse import log, runs
from lakehouse.contracts.freshness import with_broken_promises
from lakehouse.ending import Ending
from lakehouse.pipeline import progress
from lakehouse.pipeline.micro_batches import take_stream
from lakehouse.pipeline.own_targets import forget, require_own_targets
from lakehouse.pipeline.reading import pinned_inputs, pins
from lakehouse.pipeline.recovery import finish_dead_run, settle_dead_run
from lakehouse.pipeline.replaying import finish_dead_replay
from lakehouse.pipeline.retrying import Tries
from lakehouse.pipeline.run_records import begun, recorded, recorded_failure, with_reason
from lakehouse.pipeline.run_state import Run, Watch
from lakehouse.pipeline.taking import take
from lakehouse.planning.plan import Plan
from lakehouse.runs import RunRecord
from lakehouse.session import job_session


def run_plan(
    plan: Plan, spark: SparkSession, ending: Ending, *, full_refresh: bool = False, accept_loss: bool = False,
    watch: Watch = lambda _: None,
) -> RunRecord:  # fmt: skip
    """Runs a job and records it, also where it fails; what a run that died had begun is finished first.

    `accept_loss`: what a stream's source does not have any more is gone without, once, and noted in the record.
    A stream tries again after a failure that may pass; each try is a run of its own. Raises LakehouseError; the run
    record of a failed run is in `$LAKE/_runs` all the same.
    """
    ending.begin()
    session = job_session(spark, plan.job.config.spark)
    tries = Tries(plan, ending)
    while True:
        started = runs.now()
        record = begun(plan, runs.new_run_id(started), started)
        log.event("run_started", run_id=record.run_id, job=plan.name)
        try:
            if full_refresh:
                forget([plan], session)
                full_refresh = False
            done = _run(plan, session, record, ending, accept_loss, watch)
        except BaseException as error:
            known = recorded_failure(plan, record, error)
            if not tries.another(known, watch):
                raise known from error
        else:
            log.event("run_ended", run_id=done.run_id, job=plan.name, state=done.state, rows_read=done.rows_read)
            return done


def _run(
    plan: Plan, session: SparkSession, record: RunRecord, ending: Ending, accept_loss: bool, watch: Watch
) -> RunRecord:
    finish_dead_replay(plan, session)
    state, intent = progress.load(plan.layout.checkpoint(plan.name))
    run = Run(plan, session, record, state, intent, watch, accept_loss=accept_loss)
    require_own_targets(run)
    settle_dead_run(run)
    run.versions = pinned_inputs(plan, session)
    if plan.streams:  # which repeats a dead run's batch by itself
        take_stream(run, ending)
    else:
        if run.intent is not None:
            finish_dead_run(run, run.intent)
        _take_pins(run, ending)
        while not ending.once and plan.interval is not None and not ending.wait(plan.interval):
            run.versions = pinned_inputs(plan, session)
            _take_pins(run, ending)
    return recorded(run, with_broken_promises(plan, with_reason(run.record, ending)))


def _take_pins(run: Run, ending: Ending) -> None:
    """Batch after batch of pinned input, until no new input is there; one batch where all is read in full."""
    for pin in pins(run):
        if ending.reason() is not None:
            return
        if not take(run, pin):
            return
        ending.batch_done()
