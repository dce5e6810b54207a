"""One batch through a job's path: conform, validate, transform, write, quarantine. Batch and stream call the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, reduce
from typing import Any

from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse import lake, quarantine
from lakehouse.conform import Shape, conform, ignored_columns, with_evidence
from lakehouse.errors import ConfigError, DataError, LakehouseError, Problem
from lakehouse.frames import (
    BRONZE_COLUMNS,
    EXTRA,
    FATE,
    KAFKA_COLUMNS,
    ORIGIN,
    REASON_TYPE,
    REASONS,
    ROW,
    attempt,
    col,
    require_columns,
    visible,
)
from lakehouse.plan import Plan, SinkStep, Step
from lakehouse.quality import FAILED, FATES, QUARANTINED, WARNED, Check, counters, with_fate, with_reasons
from lakehouse.sql_text import mentions
from lakehouse.tables import resolved
from lakehouse.targets import Settings, Write, Written

_SHOWN_REASONS = 5
_PATIENCE = 10.0  # seconds until a count that does not come is taken by reading again


@dataclass(frozen=True)
class Batch:
    """What is in hand: the job's plan, the session it runs in, and the identity of its writes."""

    plan: Plan
    spark: SparkSession
    run_id: str
    now: datetime
    checkpoint: str
    number: int
    versions: Mapping[str, int]
    origin: str
    input: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def tables(self) -> dict[str, DataFrame]:
        """The job's inputs at their pinned versions, by name."""
        layout = self.plan.layout
        return {
            name: lake.read(self.spark, layout.table(name), version=version) for name, version in self.versions.items()
        }

    @cached_property
    def shape(self) -> Shape:
        """What conform makes of the batch's rows."""
        return _shape(self)

    @cached_property
    def checks(self) -> list[tuple[Step, Check]]:
        """The rules as columns, each with its step."""
        return _checks(self)

    def commit(self, step: str, **note: Any) -> lake.Commit:
        """The identity of one of this batch's writes."""
        known = {"run_id": self.run_id, "job": self.plan.name, "batch": self.number, "config": self.plan.fingerprint}
        return lake.Commit(
            f"{self.plan.name}/{step}/{self.checkpoint}", self.number, {**known, "input": self.input, **note}
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: the counts by the run record's names, and what each target's write did."""

    counts: dict[str, int]
    written: tuple[Written, ...] = ()
    quarantined: Written | None = None
    ignored: tuple[str, ...] = ()


class Refused(DataError):
    """A gate or a `fail` rule stopped the batch before anything reached the target; `outcome` has its counts."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class _Pass:
    """The frame that reaches the sinks, and what is counted while it is read."""

    rows: DataFrame
    fates: Observation
    taken_out: Sequence[tuple[Step, Observation]]
    routes: Observation | None

    def counts(self) -> dict[str, int] | None:
        """The counts, or None where no action has read the frame (a write that was in already)."""
        found = _observed(self.fates)
        if found is None:
            return None
        extras = [(step, (_observed(seen) or {}).get("extras", 0)) for step, seen in self.taken_out]
        quarantined = sum(count for step, count in extras if _is_quarantined(step))
        dropped = sum(count for step, count in extras if not _is_quarantined(step))
        unrouted = (_observed(self.routes) or {}).get("unrouted", 0) if self.routes is not None else 0
        return _balanced(found, quarantined, dropped) | {"rows_unrouted": unrouted, "extras_quarantined": quarantined}


def process(batch: Batch, raw: DataFrame) -> Outcome:
    """Writes one batch to every sink and its broken rows to the quarantine; each write once, however often it is called.

    Raises Refused where a gate or a `fail` rule stops it: the evidence is in the quarantine then, the targets untouched.
    """
    one = _one_pass(batch, raw)
    _require_sink_columns(batch.plan, one.rows)
    held = _is_held(batch.plan)
    if held:
        one = replace(one, rows=one.rows.localCheckpoint())
    counted = one.counts() if held else _counted_first(batch, raw) if _needs_counts(batch.plan) else None
    if counted is not None and _needs_counts(batch.plan):
        _require_gate(batch, raw, counted)
    written = [_write(batch, raw, one, sink, counted) for sink in batch.plan.sinks]
    was_read = any(not item.repeated for item in written)
    counts = counted or (one.counts() if was_read else None) or _count(batch, raw)
    broken = None
    if counts["rows_quarantined"]:
        broken = quarantine.write(
            _broken(batch, raw, counts), batch.spark, batch.plan, batch.commit("quarantine"), batch.run_id, batch.now
        )
    totals = {
        f"rows_{what}": sum(getattr(item, what) for item in written)
        for what in ("inserted", "updated", "deleted", "unchanged")
    }
    totals["rows_to_sink"] = sum(item.rows for item in written)
    ignored = (*ignored_columns(raw, batch.shape), *(name for item in written for name in item.ignored))
    return Outcome({**counts, **totals}, tuple(written), broken, tuple(dict.fromkeys(ignored)))


def check(batch: Batch, raw: DataFrame) -> None:
    """Resolves every column and expression of the job against a frame; raises ConfigError; no action."""
    _require_sink_columns(batch.plan, _one_pass(batch, raw).rows)


@contextmanager
def explained(plan: Plan, step: Step | None = None) -> Iterator[None]:
    """Turns what Spark or a registered function says of a wrong column or expression into a ConfigError with its line."""
    try:
        yield
    except LakehouseError:
        raise
    except (AnalysisException, ParseException, ValueError) as error:
        if "[DELTA_" in str(error):  # the table refuses the data: no mistake in the YAML
            raise
        raise ConfigError(_problem(plan, step, error)) from error


def _problem(plan: Plan, step: Step | None, error: Exception) -> Problem:
    text = str(error).strip().split("\n")[0]
    if isinstance(error, PySparkException) and "TABLE_OR_VIEW_NOT_FOUND" in text:
        text = f"{text.split('The table or view ')[-1].split(' cannot be found')[0]} is not among the job's inputs; add it under 'inputs:'"
    return step.problem(text) if step is not None else plan.job.source.problem((), text)


def _one_pass(batch: Batch, raw: DataFrame) -> _Pass:
    """The batch as one lazy frame: every count is taken by the action that writes it."""
    fates = Observation()
    checked = _checked(batch, raw)
    seen = checked.observe(fates, *counters(_dispositions(batch.plan)))
    rows = seen.where(col(FATE) <= WARNED).drop(FATE, REASONS)
    taken_out: list[tuple[Step, Observation]] = []

    def count(step: Step, flagged: DataFrame) -> DataFrame:
        observation = Observation()
        taken_out.append((step, observation))
        observed = flagged.observe(observation, F.count_if(col(EXTRA).isNotNull()).alias("extras"))
        return observed.where(col(EXTRA).isNull()).drop(EXTRA)

    rows = _without_bronze_columns(batch.plan, _transformed(batch, rows, count))
    routes = Observation() if batch.plan.job.config.sinks else None
    if routes is not None:
        fits = [_fits(batch, rows, sink) for sink in batch.plan.sinks]
        rows = rows.observe(routes, F.count_if(~reduce(Column.__or__, fits)).alias("unrouted"))
    return _Pass(rows, fates, taken_out, routes)


def _dispositions(plan: Plan) -> set[str]:
    return {rule.settings.on_fail for rule in plan.rules}


def _checked(batch: Batch, raw: DataFrame) -> DataFrame:
    """The conformed frame with each row's fate."""
    checks = batch.checks
    with explained(batch.plan):
        frame = conform(raw, batch.shape)
    try:
        return with_fate(frame, [item for _, item in checks])
    except (AnalysisException, ParseException):
        problems = [problem for step, item in checks for problem in _rule_problems(batch.plan, step, item, frame)]
        if problems:
            raise ConfigError(problems) from None
        raise


def _rule_problems(plan: Plan, step: Step, item: Check, frame: DataFrame) -> list[Problem]:
    try:
        frame.select(item.fails)
    except (AnalysisException, ParseException) as error:
        return [_problem(plan, step, error)]
    return []


def _checks(batch: Batch) -> list[tuple[Step, Check]]:
    found = []
    for rule in batch.plan.rules:
        with explained(batch.plan, rule.step):
            holds = rule.step.call(now=batch.now)
        options = ", ".join(f"{name}: {value}" for name, value in rule.step.given.items() if name != "column")
        said = f"{rule.step.name} does not hold" + (f" ({options})" if options else "")
        settings = type(rule.settings).model_validate(
            rule.settings.model_dump(exclude_unset=True), context={"now": batch.now}
        )
        check = Check(rule.name, rule.step.option("column"), said, settings.on_fail, holds, settings.where,
                      total=bool(rule.step.entry.traits.get("total")))  # fmt: skip
        found.append((rule.step, check))
    return found


def _shape(batch: Batch) -> Shape:
    plan = batch.plan
    fields = contract_fields(plan)
    named = {name for name in (*BRONZE_COLUMNS, *KAFKA_COLUMNS) if _is_named(plan, name)}
    rescue = plan.source.option("rescued_data_column") or (
        "_rescued_data" if plan.job.config.layer == "bronze" else None
    )
    return Shape(fields, plan.job.config.layer == "bronze", rescue, frozenset(named), batch.run_id, batch.now)


def contract_fields(plan: Plan) -> StructType | None:
    """The columns that the contract or the schema asks for, in Spark's types; None where there is neither."""
    config, found = plan.job.config, StructType()
    if plan.contract is None and config.schema_ is None:
        return None
    if plan.contract is None:
        with explained(plan, None):
            return _fields(config.schema_ or "")
    for field_ in plan.contract.fields:
        try:
            found.add(field_.name, _fields(f"x {field_.type}")[0].dataType)
        except Exception as error:
            raise ConfigError(
                f"contract {plan.contract.name}: field '{field_.name}' has no Spark type '{field_.type}'"
            ) from error
    return found


def _fields(ddl: str) -> StructType:
    found = StructType.fromDDL(ddl)
    if not isinstance(found, StructType):
        raise ValueError(f"'{ddl}' is no list of columns")
    return found


def _is_named(plan: Plan, column: str) -> bool:
    """A transform names the column, or a rule does."""
    return any(
        column in str(step.given) and _mentioned(step.given, column)
        for step in (*plan.transforms, *(rule.step for rule in plan.rules))
    )


def _mentioned(value: Any, column: str) -> bool:
    if isinstance(value, dict):
        return any(_mentioned(item, column) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(_mentioned(item, column) for item in value)
    return isinstance(value, str) and mentions(value, column)


def _without_bronze_columns(plan: Plan, rows: DataFrame) -> DataFrame:
    """Silver and gold carry bronze's own columns only where a transform or the contract names them."""
    if plan.job.config.layer == "bronze":
        return rows
    asked = {field_.name for field_ in plan.contract.fields} if plan.contract else set()
    if plan.source.option("rescued_data_column"):
        asked.add(plan.source.option("rescued_data_column"))
    by_transform = {
        name for step in plan.transforms for name in BRONZE_COLUMNS + KAFKA_COLUMNS if _mentioned(step.given, name)
    }
    return rows.drop(*[name for name in BRONZE_COLUMNS + KAFKA_COLUMNS if name not in asked | by_transform])


def _transformed(batch: Batch, rows: DataFrame, on_extras: Callable[[Step, DataFrame], DataFrame]) -> DataFrame:
    for step in batch.plan.transforms:
        with explained(batch.plan, step):
            rows = step.call(rows, now=batch.now, tables=batch.tables)
            if not isinstance(rows, DataFrame):
                raise ValueError("it must return a DataFrame")
            if EXTRA in rows.columns:
                rows = on_extras(step, rows)
    return rows


def _is_quarantined(step: Step) -> bool:
    return str(step.option("extras", "quarantine")) == "quarantine"


def _fits(batch: Batch, rows: DataFrame, sink: SinkStep) -> Column:
    """True where a sink takes the row; with `exclusive` only where no earlier one does."""
    sinks = batch.plan.sinks
    own = _condition(sink)
    if not batch.plan.job.config.exclusive:
        return own
    for earlier in sinks[: sinks.index(sink)]:
        own = own & ~_condition(earlier)
    return own


def _condition(sink: SinkStep) -> Column:
    return (
        F.lit(True) if sink.where is None else F.coalesce(attempt(F.expr(sink.where)).getField("value"), F.lit(False))
    )


def _write(batch: Batch, raw: DataFrame, one: _Pass, sink: SinkStep, counted: Mapping[str, int] | None) -> Written:
    plan = batch.plan
    rows = one.rows
    with explained(plan, sink.step):
        if plan.job.config.sinks:
            rows = rows.where(_fits(batch, rows, sink))
        commit = batch.commit(f"{sink.target}/{plan.sinks.index(sink)}", counts=dict(counted or {}))
        broken = lambda keys: _broken_keys(batch, raw, keys)  # noqa: E731 (a closure over the batch, called at most once)
        write = Write(batch.spark, plan.layout, commit, _settings(plan, sink), batch.now, quarantined=broken)
        if sink.step.option("path"):
            write = replace(write, place=resolved(str(sink.step.option("path")), plan.job.root))
        written: Written = sink.step.call(rows, write, now=batch.now)
        return written


def _settings(plan: Plan, sink: SinkStep) -> Settings:
    given = sink.settings
    is_open = plan.job.config.layer == "bronze" or plan.contract is None or plan.source.name in ("sql", "rows")
    evolve = (given.schema_evolution or ("add_new_columns" if is_open else "none")) == "add_new_columns"
    comments = (
        {item.name: item.description for item in plan.contract.fields if item.description} if plan.contract else {}
    )
    return Settings(
        given.partition_by, given.cluster_by, given.table_properties, given.comment, evolve,
        given.type_widening, given.constraints, comments,
    )  # fmt: skip


def _require_sink_columns(plan: Plan, rows: DataFrame) -> None:
    problems = []
    for sink in plan.sinks:
        for option in ("keys", "sequence_by", "update_columns"):
            problems += _missing(rows, sink, sink.step.option(option) or [])
        problems += _missing(rows, sink, [*sink.settings.partition_by, *sink.settings.cluster_by])
        try:
            rows.where(_condition(sink))
        except (AnalysisException, ParseException) as error:
            problems.append(_problem(plan, sink.step, error))
    if problems:
        raise ConfigError(problems)


def _missing(rows: DataFrame, sink: SinkStep, names: Sequence[str]) -> list[Problem]:
    try:
        require_columns(rows, names)
    except ValueError as error:
        return [sink.step.problem(str(error))]
    return []


def _is_held(plan: Plan) -> bool:
    """True where the frame is read several times and costs more than a scan: then it is worked out once and held."""
    several = len(plan.sinks) > 1 or _needs_counts(plan)
    return several and not all(step.entry.traits.get("row_wise") for step in plan.transforms)


def _needs_counts(plan: Plan) -> bool:
    """A gate or a `fail` rule must know the counts before the target is touched."""
    return plan.job.config.quality_gate is not None or any(rule.settings.on_fail == "fail" for rule in plan.rules)


def _counted_first(batch: Batch, raw: DataFrame) -> dict[str, int]:
    """The counts without a write: of the rules alone where no transform quarantines rows."""
    if any(step.entry.traits.get("takes_out") for step in batch.plan.transforms):
        return _count(batch, raw)
    checked = _checked(batch, raw)
    found = checked.agg(*counters(_dispositions(batch.plan))).first()
    return _balanced(found.asDict() if found else {}, 0, 0) | {"rows_unrouted": 0, "extras_quarantined": 0}


def _count(batch: Batch, raw: DataFrame) -> dict[str, int]:
    """The counts by reading everything and writing nothing."""
    one = _one_pass(batch, raw)
    one.rows.write.format("noop").mode("overwrite").save()
    return one.counts() or _balanced({}, 0, 0) | {"rows_unrouted": 0, "extras_quarantined": 0}


def _balanced(found: Mapping[str, int], extras_quarantined: int, extras_dropped: int) -> dict[str, int]:
    counts = {
        name: int(found.get(name) or 0)
        for name in ("rows_read", "rows_dropped", "rows_quarantined", "rows_failed", "rows_warned")
    }
    counts["rows_quarantined"] += extras_quarantined
    counts["rows_dropped"] += extras_dropped
    counts["rows_valid"] = counts["rows_read"] - counts["rows_quarantined"] - counts["rows_dropped"]
    return counts


def _observed(observation: Observation) -> dict[str, int] | None:
    """What was counted, or None where Spark read nothing; `Observation.get` alone would wait for ever then."""
    seen: Any = observation._jo
    deadline = time.monotonic() + _PATIENCE
    while seen is None or not seen.future().isCompleted():
        if seen is None or time.monotonic() > deadline:
            return None
        time.sleep(0.005)  # the counts come by Spark's listener, a moment after the action
    return {str(name): int(value) for name, value in observation.get.items() if value is not None}


def _require_gate(batch: Batch, raw: DataFrame, counts: dict[str, int]) -> None:
    reason = _refusal(batch, raw, counts)
    if reason is None:
        return
    counts = {**counts, "rows_quarantined": counts["rows_quarantined"] + counts["rows_failed"],
              "rows_valid": counts["rows_valid"] - counts["rows_failed"]}  # fmt: skip
    broken = None
    if counts["rows_quarantined"]:
        commit = batch.commit(f"evidence/{batch.run_id}")
        broken = quarantine.write(_broken(batch, raw, counts), batch.spark, batch.plan, commit, batch.run_id, batch.now)
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
    found = _checked(batch, raw).where(col(FATE) == fate)
    checks = [item for _, item in batch.checks if FATES[item.on_fail] == fate]
    reasons = with_reasons(found, checks).select(F.explode(REASONS).alias("reason"))
    by_rule = reasons.groupBy("reason.rule").count().orderBy(F.desc("count"), "rule").limit(_SHOWN_REASONS).collect()
    return ", ".join(f"{row['rule']}: {row['count']}" for row in by_rule) or "taken out by the transforms"


def _broken(batch: Batch, raw: DataFrame, counts: Mapping[str, int]) -> DataFrame:
    """One row per broken row: as it came, where from, and all reasons."""
    checks = [item for _, item in batch.checks]
    checked = _checked(batch, with_evidence(raw, batch.origin))
    lowest = QUARANTINED  # with the failed ones, where the run was refused
    parts = [with_reasons(checked.where(col(FATE) >= lowest), checks).select(ROW, ORIGIN, REASONS)]
    if counts.get("extras_quarantined"):
        parts += [_extra_reasons(step, extras) for step, extras in _extras(batch, checked)]
    return reduce(DataFrame.unionByName, parts)


def _extras(batch: Batch, checked: DataFrame) -> list[tuple[Step, DataFrame]]:
    """The rows that each quarantining transform takes out, with all the columns that they have there."""
    found: list[tuple[Step, DataFrame]] = []

    def collect(step: Step, flagged: DataFrame) -> DataFrame:
        if _is_quarantined(step):
            found.append((step, flagged.where(col(EXTRA).isNotNull())))
        return flagged.where(col(EXTRA).isNull()).drop(EXTRA)

    _transformed(batch, checked.where(col(FATE) <= WARNED).drop(FATE, REASONS), collect)
    return found


def _extra_reasons(step: Step, extras: DataFrame) -> DataFrame:
    reason = F.array(
        F.struct(
            F.lit(step.name).alias("rule"), F.lit(None).cast("string").alias("column"), col(EXTRA).alias("message")
        )
    )
    row = col(ROW) if ROW in extras.columns else F.to_json(F.struct(*map(col, visible(extras.drop(EXTRA)))))
    origin = col(ORIGIN) if ORIGIN in extras.columns else F.lit(None).cast("string")
    return extras.select(row.alias(ROW), origin.alias(ORIGIN), reason.cast(REASON_TYPE).alias(REASONS))


def _broken_keys(batch: Batch, raw: DataFrame, keys: Sequence[str]) -> DataFrame | None:
    """The key columns of the batch's broken rows."""
    checked = _checked(batch, raw)
    parts = [checked.where(col(FATE) == QUARANTINED), *(extras for _, extras in _extras(batch, checked))]
    for part in parts:
        unknown = [key for key in keys if key not in part.columns]
        if unknown:
            raise DataError(
                f"broken rows have no {', '.join(unknown)} yet where they are taken out: missing keys cannot be told"
            )
    return reduce(DataFrame.union, [part.select(*map(col, keys)) for part in parts])
