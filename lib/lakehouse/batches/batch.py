"""One batch through a job's path: conform, validate, transform, write, quarantine. Batch and stream call the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from pyspark.sql import DataFrame, Observation

from lakehouse import lake
from lakehouse.batches.batch_rows import Batch, Outcome
from lakehouse.batches.cdc_rows import fitted
from lakehouse.batches.counting import (
    Pass,
    Taken,
    completed,
    one_pass,
    taken_from_everything,
    taken_without_write,
)
from lakehouse.batches.evidence import broken_keys, save_evidence
from lakehouse.batches.gate import is_gated, require_gate, warnings
from lakehouse.batches.job_columns import contract_constraints, personal_columns
from lakehouse.batches.reach import bytes_at_most
from lakehouse.batches.routes import fits, require_sink_columns
from lakehouse.batches.step_errors import constraints_named, explained
from lakehouse.batches.suite_gate import has_suite, judged_by_suite, require_suite_fits
from lakehouse.batches.tally import results_of
from lakehouse.conform import ignored_columns
from lakehouse.contracts.constraints import OF_CONTRACT
from lakehouse.frames import REPLAYED
from lakehouse.holding import interpreted, kept
from lakehouse.planning.plan import Plan, SinkStep
from lakehouse.registry import call_options
from lakehouse.tables import resolved
from lakehouse.targets import Settings, Write, Written, constrained


def prepared(batch: Batch, raw: DataFrame) -> Pass:
    """The one pass over a batch's rows, every column and expression of the job resolved against them; nothing is read yet.

    Raises ConfigError with what does not resolve.
    """
    one = one_pass(batch, raw, measures=_is_held(batch.plan) or not is_gated(batch.plan))
    require_sink_columns(batch.plan, one.rows)
    require_suite_fits(batch.plan, one.rows)
    return one


def process(batch: Batch, one: Pass) -> Outcome:
    """Writes one batch to every sink and its broken rows to the quarantine; each write once, however often it is done.

    Raises Refused where a gate or a `fail` rule stops it: the evidence is in the quarantine then, the targets untouched.
    """
    with interpreted(batch.spark, bytes_at_most(batch, one.raw)):
        return _processed(batch, one)


def _processed(batch: Batch, one: Pass) -> Outcome:
    raw, held, gated = one.raw, _is_held(batch.plan), is_gated(batch.plan)
    if held:
        one = replace(one, rows=kept(one.rows))
    known = _taken_before(batch, raw, one)
    batch = _informed(batch, known)
    if known is not None and gated:
        known = completed(batch, raw, known)
        require_gate(batch, raw, known)
    said = judged_by_suite(batch, raw, one.rows, known) if known is not None else []
    written = [write_to(batch, raw, one.rows, sink, known) for sink in batch.plan.sinks]
    batch.tell("targets_written")
    known = known or _taken_by(written, one) or taken_from_everything(batch, raw)
    batch = _informed(batch, known)
    known = completed(batch, raw, known)
    tally = Observation()
    broken = save_evidence(batch, raw, known.counts, "quarantine", tally)
    # a few rows that are replayed say nothing of what the source is like
    results = () if REPLAYED in raw.columns else results_of(batch, raw, known, tally if broken is not None else None)
    ignored = (*ignored_columns(raw, batch.shape), *(name for item in written for name in item.ignored))
    notes = [note for item in written for note in item.notes] + said + warnings(known.verdicts)
    counts = known.counts | totals(written)
    return Outcome(counts, tuple(written), broken, tuple(dict.fromkeys(ignored)), tuple(notes), results)


def _is_held(plan: Plan) -> bool:
    """True where the frame is read several times and costs more than a scan: then it is worked out once and held."""
    if has_suite(plan):  # which is asked in many a job of Spark's own
        return True
    several = len(plan.sinks) > 1 or is_gated(plan)
    return several and not all(step.entry.traits.get("row_wise") for step in plan.transforms)


def _informed(batch: Batch, known: Taken | None) -> Batch:
    """The batch for the passes that follow: what no row broke is not asked again."""
    return batch if known is None else replace(batch, upheld=known.upheld)


def _taken_before(batch: Batch, raw: DataFrame, one: Pass) -> Taken | None:
    """The counts where they are known before the first write, or must be; None where the write takes them."""
    if _is_held(batch.plan):
        return one.taken() or taken_from_everything(batch, raw)
    return taken_without_write(batch, raw, one.asked) if is_gated(batch.plan) else None


def _taken_by(written: Sequence[Written], one: Pass) -> Taken | None:
    """The counts that a write took; None where each was in already, so that nothing was read."""
    return one.taken() if any(not item.repeated for item in written) else None


def totals(written: Sequence[Written]) -> dict[str, int]:
    """What became of the rows that reached the sinks."""
    totals = {
        f"rows_{what}": sum(getattr(item, what) for item in written)
        for what in ("inserted", "updated", "deleted", "unchanged")
    }
    return totals | {"rows_to_sink": sum(item.rows for item in written)}


def write_to(batch: Batch, raw: DataFrame, rows: DataFrame, sink: SinkStep, known: Taken | None) -> Written:
    """Writes to one sink those of the rows that it takes, once for this batch."""
    plan = batch.plan
    with constraints_named(sink.target, personal_columns(plan)), explained(plan, sink.step):
        if plan.job.config.sinks:
            rows = rows.where(fits(plan, sink))
        commit = batch.commit(batch.write_of(sink), counts=known.counts if known else {})
        path = sink.step.option("path")
        place = resolved(str(path), plan.job.root) if path else None
        keys = partial(broken_keys, batch, raw)
        write = Write(
            batch.spark, plan.layout, commit, table_settings(plan, sink, rows.columns), batch.now, batch.files, place, keys,
            personal_columns(plan), single=REPLAYED in raw.columns,
        )  # fmt: skip
        step, rows = fitted(plan, sink.step, rows)
        if step.option("table"):
            constrained(write, sink.target)
        written: Written = step.call(rows, write, now=batch.now)
        if plan.contract is not None and sink.step.option("table"):
            lake.require_properties(batch.spark, plan.layout.table(sink.target), contract_properties(plan))
        return written


def write_nothing(batch: Batch, sink: SinkStep) -> Written:
    """No commit for a batch that has nothing for a sink; one that counts its batches elsewhere is told of it."""
    noted = sink.step.entry.traits.get("without_rows")
    if noted is not None:
        with explained(batch.plan, sink.step):
            noted(batch.commit(batch.write_of(sink)), **call_options(sink.step.entry, sink.step.options))
    return Written(sink.target, None, 0)


def contract_properties(plan: Plan) -> dict[str, str]:
    """What a table says of the contract that its rows came in by; jobs under several contracts may write one table."""
    told = plan.contract_identity
    prefix = f"lakehouse.contract.{told['contract']}"
    return {f"{prefix}.version": told["contract_version"], f"{prefix}.fingerprint": told["contract_fingerprint"]}


def table_settings(plan: Plan, sink: SinkStep, columns: Collection[str]) -> Settings:
    """What the job says of a sink's table, which gets these columns."""
    given = sink.settings
    is_open = plan.job.config.layer == "bronze" or plan.contract is None or plan.source.name in ("sql", "rows")
    evolve = (given.schema_evolution or ("add_new_columns" if is_open else "none")) == "add_new_columns"
    comments = (
        {item.name: item.description for item in plan.contract.fields if item.description} if plan.contract else {}
    )
    constraints, prefix = given.constraints, None
    if isinstance(constraints, str):
        constraints, prefix = contract_constraints(plan, sink, columns), OF_CONTRACT
    return Settings(
        given.partition_by, given.cluster_by, given.table_properties, given.comment, evolve,
        given.type_widening, constraints, prefix, comments,
    )  # fmt: skip
