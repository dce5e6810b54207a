"""The evidence of a batch's broken rows: each as it came, where it came from and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse import quarantine
from lakehouse.batches.batch_rows import Batch, checked, quarantines_extras, sound, transformed
from lakehouse.batches.tally import with_tally
from lakehouse.conform import with_evidence
from lakehouse.errors import DataError
from lakehouse.frames import EXTRA, FATE, ORIGIN, REASON_TYPE, REASONS, REPLAYED, ROW, col
from lakehouse.holding import held, together
from lakehouse.planning.plan import Step
from lakehouse.quality import QUARANTINED, VALID, reasons_of
from lakehouse.raw_rows import as_json, schema_of
from lakehouse.targets import Written


def save_evidence(
    batch: Batch, raw: DataFrame, counts: Mapping[str, int], step: str, tally: Observation
) -> Written | None:
    """Writes the broken rows to the quarantine, once for this step of the batch; None where no row is broken.

    Replayed rows are there already: they are marked by what became of them. What each rule found wrong is counted in
    passing, also of rows that are warned or dropped.
    """
    any_broken = counts["rows_quarantined"] > 0
    broken = _broken_rows(batch, raw, counts, tally) if any_broken else None
    if REPLAYED in raw.columns:
        ids = raw.select(col(REPLAYED).alias("id"))
        broken = held(broken)[0] if broken is not None else None  # a MERGE reads its source twice
        return quarantine.settle(ids, broken, batch.spark, batch.plan, batch.commit(step))
    if broken is None:
        return None
    schema = schema_of(raw)
    broken = together(broken, counts["rows_read"])
    return quarantine.write(broken, batch.spark, batch.plan, batch.commit(step), batch.run_id, batch.now, schema)


def broken_keys(batch: Batch, raw: DataFrame, keys: Sequence[str], beside: str | None = None) -> DataFrame | None:
    """The key columns of the batch's broken rows, and the column `beside` them: NULL where it is not there yet."""
    rows = checked(batch, raw)
    parts = [rows.where(col(FATE) == QUARANTINED), *(extras for _, extras in _extras(batch, rows))]
    for part in parts:
        unknown = [key for key in keys if key not in part.columns]
        if unknown:
            raise DataError(
                f"broken rows have no {', '.join(unknown)} yet where they are taken out: missing keys cannot be told"
            )
    return reduce(DataFrame.union, [part.select(*map(col, keys), *_beside(part, beside)) for part in parts])


def _beside(part: DataFrame, name: str | None) -> list[Column]:
    if name is None:
        return []
    return [(col(name) if name in part.columns else F.lit(None)).cast("string").alias(name)]


def _broken_rows(batch: Batch, raw: DataFrame, counts: Mapping[str, int], tally: Observation) -> DataFrame:
    """One row per broken row: as it came, where from, and all reasons."""
    rows = checked(batch, with_evidence(raw, batch.origin))
    broken = with_tally(rows.where(col(FATE) > VALID), batch, tally).where(
        col(FATE) >= QUARANTINED
    )  # with the failed ones, where the run was refused
    reasons = reasons_of([check for _, check in batch.checks])
    parts = [broken.select(ROW, ORIGIN, reasons.alias(REASONS))]
    if counts.get("extras_quarantined"):
        parts += [_with_reason(rule, extras) for rule, extras in _extras(batch, rows)]
    return reduce(DataFrame.unionByName, parts)


def _extras(batch: Batch, checked_rows: DataFrame) -> list[tuple[str, DataFrame]]:
    """The rows that each quarantining step takes out, with all the columns that they have there, and their reason's name."""
    found: list[tuple[str, DataFrame]] = []

    def collect(step: Step, rule: str, flagged: DataFrame) -> DataFrame:
        if quarantines_extras(step):
            found.append((rule, flagged.where(col(EXTRA).isNotNull())))
        return flagged

    transformed(batch, sound(checked_rows), collect)
    return found


def _with_reason(rule: str, extras: DataFrame) -> DataFrame:
    reason = F.array(
        F.struct(F.lit(rule).alias("rule"), F.lit(None).cast("string").alias("column"), col(EXTRA).alias("message"))
    )
    row = col(ROW) if ROW in extras.columns else as_json(extras.drop(EXTRA))
    origin = col(ORIGIN) if ORIGIN in extras.columns else F.lit(None).cast("string")
    return extras.select(row.alias(ROW), origin.alias(ORIGIN), reason.cast(REASON_TYPE).alias(REASONS))
