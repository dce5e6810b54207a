"""Rows of a source with a `cdc_format` that a job's sinks cannot take, and the columns that each sink gets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.cdc_formats import BEFORE, COLUMNS, OPERATION, TRUNCATE, UNAVAILABLE
from lakehouse.frames import REASON_TYPE, REASONS, col, visible
from lakehouse.planning.plan import Plan, SinkStep, Step

_NULLS = "ignore_null_updates"


def with_refused(plan: Plan, frame: DataFrame) -> DataFrame:
    """The frame with a reason for each row that a sink would have to apply and cannot: silently is never.

    A truncate for a sink that has no `apply_as_truncates`; a value that the source left out, where NULL would overwrite.
    """
    sinks = [sink for sink in plan.sinks if "sequence_by" in sink.step.given]
    if plan.source.option("cdc_format") is None or not sinks:
        return frame
    found = [*_truncates(frame, sinks), *_left_out(frame, sinks)]
    reasons = col(REASONS)
    for wrong, column, message in found:
        reason = F.struct(F.lit("cdc_format"), column, F.lit(message))
        reasons = F.when(wrong, F.concat(reasons, F.array(reason).cast(REASON_TYPE))).otherwise(reasons)
    return frame.withColumn(REASONS, reasons) if found else frame


def fitted(plan: Plan, step: Step, rows: DataFrame) -> tuple[Step, DataFrame]:
    """A sink and its rows, without what the format says beside them and the sink has no use for."""
    if plan.source.option("cdc_format") is None or "sequence_by" not in step.given:
        return step, rows
    if "except_column_list" not in step.given:
        chosen = step.option("column_list") or step.option("update_columns") or []
        return step, rows.drop(*[name for name in (BEFORE, UNAVAILABLE) if name not in chosen])
    there = {name.lower() for name in rows.columns}
    listed = [name for name in step.given["except_column_list"] if name not in COLUMNS or name in there]
    return replace(step, given={**step.given, "except_column_list": listed}), rows


def _truncates(frame: DataFrame, sinks: Sequence[SinkStep]) -> list[tuple[Column, Column, str]]:
    unable = [sink.step.name for sink in sinks if not sink.step.option("apply_as_truncates")]
    if not unable or OPERATION not in frame.columns:
        return []
    message = f"a truncate, which {', '.join(unable)} cannot apply: rebuild the target with --full-refresh, or use scd1"
    return [(col(OPERATION) == TRUNCATE, F.lit(None).cast("string"), message)]


def _left_out(frame: DataFrame, sinks: Sequence[SinkStep]) -> list[tuple[Column, Column, str]]:
    if UNAVAILABLE not in frame.columns:
        return []
    touched = F.array(*[F.lit(name.lower()) for name in _overwritten(visible(frame), sinks)]).cast("array<string>")
    lost = F.array_intersect(F.transform(col(UNAVAILABLE), F.lower), touched)
    message = (
        "the source did not send the value, which did not change, and NULL would overwrite it: list the column in "
        "ignore_null_updates_column_list (scd1, scd2, scd3), or set REPLICA IDENTITY FULL at the source"
    )
    return [(F.size(lost) > 0, F.array_join(lost, ", "), message)]


def _overwritten(names: Sequence[str], sinks: Sequence[SinkStep]) -> list[str]:
    """The columns that a NULL changes in one of the sinks."""
    return [name for name in names if not all(_ignores(sink.step, name) for sink in sinks)]


def _ignores(step: Step, name: str) -> bool:
    """True where a NULL in the column changes nothing, or the sink does not keep it."""
    listed, others = step.option(f"{_NULLS}_column_list"), step.option(f"{_NULLS}_except_column_list")
    ignored = bool(step.option(_NULLS)) or name in (listed or ()) or (others is not None and name not in others)
    written = step.option("column_list") or step.option("update_columns")
    return ignored or name in (step.option("except_column_list") or ()) or bool(written and name not in written)
