"""The gate of a Great Expectations suite: the frame about to be written is judged by it, and what it says is kept."""

from __future__ import annotations

from pyspark.sql import DataFrame, Observation

from lakehouse.batches.batch_rows import Batch, Outcome
from lakehouse.batches.counting import Taken, completed
from lakehouse.batches.evidence import save_evidence
from lakehouse.batches.gate import Refused
from lakehouse.batches.job_columns import personal_columns
from lakehouse.batches.tally import results_of
from lakehouse.errors import ConfigError
from lakehouse.expectations import judge, kept_result, suite_problems
from lakehouse.frames import col, visible
from lakehouse.planning.plan import Plan
from lakehouse.storage import write_text


def has_suite(plan: Plan) -> bool:
    """True where a suite is asked before the target is touched."""
    return plan.suite is not None


def require_suite_fits(plan: Plan, rows: DataFrame) -> None:
    """Raises ConfigError with every expectation that cannot be asked of these rows, at its line of the suite."""
    problems = suite_problems(plan.suite, visible(rows)) if plan.suite is not None else []
    if problems:
        raise ConfigError(problems)


def judged_by_suite(batch: Batch, raw: DataFrame, rows: DataFrame, known: Taken) -> list[str]:
    """What the suite says of the rows about to be written, as notes for the run record; its results are kept.

    Raises Refused where an expectation of the severity `critical` does not hold, unless the job only warns; the job's
    own broken rows are in the quarantine then, the target untouched.
    """
    plan, config = batch.plan, batch.plan.job.config.expectations
    if plan.suite is None or config is None:
        return []
    judged = judge(rows.select(*map(col, visible(rows))), plan.suite, personal_columns(plan))
    kept = kept_result(judged, plan.suite, plan.name, batch.run_id, batch.number, batch.now)
    write_text(f"{plan.layout.expectations(plan.name)}/{batch.run_id}-{batch.number}.json", kept)
    note = f"expectations: {judged.asked - len(judged.unmet)} of {judged.asked} of {plan.suite.name} hold"
    notes = [note, *(f"expectations: {item.said} does not hold" for item in judged.unmet)]
    grave = [item.said for item in judged.unmet if item.expectation.severity == "critical"]
    if not grave or config.on_fail == "warn":
        return notes
    known, tally = completed(batch, raw, known), Observation()
    broken = save_evidence(batch, raw, known.counts, f"evidence/{batch.run_id}", tally)
    results = results_of(batch, raw, known, tally if broken is not None else None)
    said = f"{len(grave)} of {judged.asked} expectations of {plan.suite.file} do not hold: {', '.join(grave)}"
    raise Refused(f"{said}; nothing was written to the target",
                  Outcome(known.counts, (), broken, notes=tuple(notes), results=results))  # fmt: skip
