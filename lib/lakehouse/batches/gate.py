"""The gate before a batch's targets: `quality_gate` and rules that fail a run, judged by the counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse.batches.batch_rows import Batch, Outcome, checked
from lakehouse.batches.counting import Taken
from lakehouse.batches.evidence import save_evidence
from lakehouse.batches.measuring import Judged
from lakehouse.batches.tally import results_of
from lakehouse.config.job_config import QualityGate
from lakehouse.errors import DataError
from lakehouse.frames import FATE, col
from lakehouse.planning.plan import Plan
from lakehouse.quality import FAILED, FATES, QUARANTINED, reasons_of

_SHOWN_REASONS = 5


class Refused(DataError):
    """A gate or a `fail` rule stopped the batch before anything reached the target; `outcome` has its counts."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


def is_gated(plan: Plan) -> bool:
    """True where a gate or a `fail` rule must know the counts before the target is touched."""
    return plan.job.config.quality_gate is not None or any(rule.settings.on_fail == "fail" for rule in plan.rules)


def require_gate(batch: Batch, raw: DataFrame, known: Taken) -> None:
    """Raises Refused where the batch must not reach its target; its broken rows are in the quarantine then."""
    reason = refusal(batch.plan, known, partial(_named_reasons, batch, raw))
    if reason is None:
        return
    counts = refused_counts(known.counts)
    tally = Observation()
    broken = save_evidence(batch, raw, counts, f"evidence/{batch.run_id}", tally)
    results = results_of(batch, raw, known, tally if broken is not None else None)
    raise refused(batch.plan, reason, Outcome(counts, (), broken, results=results))


def refused(plan: Plan, reason: str, outcome: Outcome) -> Refused:
    """The refusal as it is told, with where its evidence is."""
    kept = f", the broken rows are in {plan.quarantine}" if outcome.counts["rows_quarantined"] else ""
    return Refused(f"{reason}; nothing was written to the target{kept}", outcome)


def refused_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts where nothing reaches the target: the rows that fail the run are in the quarantine too."""
    failed = counts["rows_failed"]
    moved = {"rows_quarantined": counts["rows_quarantined"] + failed, "rows_valid": counts["rows_valid"] - failed}
    return {**counts, **moved}


def warnings(verdicts: Sequence[Judged]) -> list[str]:
    """What the rules on the whole batch have to say beside their verdict, and what those that only warn found wrong."""
    notes = [f"{item.rule.name}: {item.verdict.note}" for item in verdicts if item.verdict.note]
    return notes + [item.said for item in verdicts if item.verdict.broken and item.rule.settings.on_fail == "warn"]


def refusal(plan: Plan, known: Taken, named: Callable[[int], str]) -> str | None:
    """Why a batch must not reach its target, or None; `named` tells the reasons of the rows of a fate."""
    counts = known.counts
    read, broken = counts["rows_read"], counts["rows_quarantined"]
    if counts["rows_failed"]:
        return f"{counts['rows_failed']} of {read} rows fail the run: {named(FAILED)}"
    failed = [item.said for item in known.verdicts if item.verdict.broken and item.rule.settings.on_fail == "fail"]
    if failed:
        return "; ".join(failed)
    gate = plan.job.config.quality_gate
    if gate is None:
        return None
    short = _too_few(plan, gate, read)
    if short is not None or not read:
        return short
    allowed = _too_many(gate, broken, read)
    if allowed is not None:
        said = f"{broken} of {read} rows ({broken / read:.1%}) are broken ({named(QUARANTINED)})"
        return f"{said}, quality_gate allows {allowed}"
    return _too_bad(gate, known.dimensions, read)


def _too_many(gate: QualityGate, broken: int, read: int) -> str | None:
    """What the gate allows, where more rows are broken."""
    if gate.max_quarantined is not None and broken / read > gate.max_quarantined:
        return f"{gate.max_quarantined:.1%}"
    most = gate.max_quarantined_rows
    return str(most) if most is not None and broken > most else None


def _too_bad(gate: QualityGate, dimensions: Mapping[str, int], read: int) -> str | None:
    """The dimensions of which more rows break a rule than the gate allows."""
    found = [(name, dimensions.get(name, 0), limit) for name, limit in gate.dimensions.items()]
    said = [
        f"{broken} of {read} rows ({broken / read:.1%}) break a rule on {name}, quality_gate allows {limit:.1%}"
        for name, broken, limit in found if broken / read > limit
    ]  # fmt: skip
    return "; ".join(said) or None


def _too_few(plan: Plan, gate: QualityGate, read: int) -> str | None:
    if read == 0:
        return (
            None
            if plan.job.config.allow_empty
            else "the new input has 0 rows; set allow_empty: true where that is a result"
        )
    if gate.min_rows is not None and read < gate.min_rows:
        return f"the input has {read} rows, quality_gate asks for {gate.min_rows}"
    return None


def _named_reasons(batch: Batch, raw: DataFrame, fate: int) -> str:
    """The rules that gave rows this fate with how many each, the most frequent first; of other extras the number."""
    found = checked(batch, raw).where(col(FATE) == fate)
    checks = [check for _, check in batch.checks if FATES[check.on_fail] == fate]
    reasons = found.select(F.explode(reasons_of(checks)).alias("reason"))
    by_rule = reasons.groupBy("reason.rule").count().orderBy(F.desc("count"), "rule").limit(_SHOWN_REASONS).collect()
    return ", ".join(f"{row['rule']}: {row['count']}" for row in by_rule) or "taken out by the transforms"
