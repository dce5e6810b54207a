"""The gate before a batch's targets: `quality_gate` and rules that fail a run, judged by the counts."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.batches.batch_rows import Batch, Outcome, checked
from lakehouse.batches.evidence import save_evidence
from lakehouse.errors import DataError
from lakehouse.frames import FATE, REASONS, col
from lakehouse.planning.plan import Plan
from lakehouse.quality import FAILED, FATES, QUARANTINED, with_reasons

_SHOWN_REASONS = 5


class Refused(DataError):
    """A gate or a `fail` rule stopped the batch before anything reached the target; `outcome` has its counts."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


def is_gated(plan: Plan) -> bool:
    """True where a gate or a `fail` rule must know the counts before the target is touched."""
    return plan.job.config.quality_gate is not None or any(rule.settings.on_fail == "fail" for rule in plan.rules)


def require_gate(batch: Batch, raw: DataFrame, counts: dict[str, int]) -> None:
    """Raises Refused where the batch must not reach its target; its broken rows are in the quarantine then."""
    reason = _refusal(batch, raw, counts)
    if reason is None:
        return
    counts = {**counts, "rows_quarantined": counts["rows_quarantined"] + counts["rows_failed"],
              "rows_valid": counts["rows_valid"] - counts["rows_failed"]}  # fmt: skip
    broken = save_evidence(batch, raw, counts, f"evidence/{batch.run_id}")
    raise Refused(
        f"{reason}; nothing was written to the target, the broken rows are in {batch.plan.quarantine}",
        Outcome(counts, (), broken),
    )


def _refusal(batch: Batch, raw: DataFrame, counts: Mapping[str, int]) -> str | None:
    """Why the batch must not reach its target, or None."""
    config = batch.plan.job.config
    gate, read, broken = config.quality_gate, counts["rows_read"], counts["rows_quarantined"]
    if counts["rows_failed"]:
        return f"{counts['rows_failed']} of {read} rows fail the run: {_named_reasons(batch, raw, FAILED)}"
    if gate is None:
        return None
    if read == 0 and not config.allow_empty:
        return "the new input has 0 rows; set allow_empty: true where that is a result"
    if gate.min_rows is not None and read < gate.min_rows and not (read == 0 and config.allow_empty):
        return f"the input has {read} rows, quality_gate asks for {gate.min_rows}"
    if gate.max_quarantined is not None and read and broken / read > gate.max_quarantined:
        said = f"{broken} of {read} rows ({broken / read:.1%}) are broken ({_named_reasons(batch, raw, QUARANTINED)})"
        return f"{said}, quality_gate allows {gate.max_quarantined:.1%}"
    return None


def _named_reasons(batch: Batch, raw: DataFrame, fate: int) -> str:
    """The rules that gave rows this fate with how many each, the most frequent first; of other extras the number."""
    found = checked(batch, raw).where(col(FATE) == fate)
    checks = [check for _, check in batch.checks if FATES[check.on_fail] == fate]
    reasons = with_reasons(found, checks).select(F.explode(REASONS).alias("reason"))
    by_rule = reasons.groupBy("reason.rule").count().orderBy(F.desc("count"), "rule").limit(_SHOWN_REASONS).collect()
    return ", ".join(f"{row['rule']}: {row['count']}" for row in by_rule) or "taken out by the transforms"
