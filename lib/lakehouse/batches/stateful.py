"""One micro-batch of a stream with state: what its state gave is written, what came too late is kept, what is broken too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse import quarantine
from lakehouse.batches.batch import totals, write_nothing, write_to
from lakehouse.batches.batch_rows import Batch, Outcome
from lakehouse.batches.counting import Taken
from lakehouse.batches.event_rows import GIVEN, INPUT, PASSING
from lakehouse.batches.event_times import state_of
from lakehouse.batches.gate import is_gated, refusal, refused, refused_counts
from lakehouse.batches.late_rows import MISSED, save_late
from lakehouse.batches.routes import fits_none, require_sink_columns
from lakehouse.batches.step_errors import explained
from lakehouse.batches.tally import failing_value, most_frequent, sample_of
from lakehouse.errors import DataError
from lakehouse.event_time import COUNTED, window_ends
from lakehouse.frames import EXTRA, FATE, ORIGIN, REASONS, ROW, col
from lakehouse.holding import kept, together
from lakehouse.lake import snapshot
from lakehouse.planning.plan import Plan, SinkStep
from lakehouse.quality import DROPPED, FAILED, QUARANTINED, VALID, WARNED
from lakehouse.registry import length_of
from lakehouse.rule_results import RuleResult
from lakehouse.targets import Written

_SHOWN = 5
_STATE = ("placed", "closed", "latest")
_ENDS = f"{MISSED}_of"  # when all that closes which a row belongs to
_DIMENSION = "dimension_"
_WRONG = ("rows_warned", "rows_dropped", "rows_quarantined", "rows_failed")


@dataclass(frozen=True)
class Seen:
    """What the stream knows of a micro-batch: the watermark that Spark filtered it with (milliseconds), and what the
    source's rows look like."""

    watermark: int
    schema: str


@dataclass(frozen=True)
class _Held:
    """What matters of a micro-batch, worked out once: what the state gave, what is not valid, what came too late."""

    rows: DataFrame
    counts: dict[str, int]
    figures: dict[str, int]
    dimensions: dict[str, int]


def process_stateful(batch: Batch, rows: DataFrame, seen: Seen) -> Outcome:
    """Writes a micro-batch of `event_rows.streamed`: to every sink, to the late rows' table and to the quarantine, each once.

    Raises Refused where a gate or a `fail` rule stops it: the evidence is in the quarantine then, the targets untouched.
    """
    plan = batch.plan
    held = _held(batch, rows, seen)
    known = Taken(held.counts, held.dimensions)
    _require_gate(batch, held, known, seen)
    found = together(held.rows, held.figures.get("given", 0))
    given = _finished(batch, found.where(col(GIVEN).isNotNull()).select(f"{GIVEN}.*").drop(COUNTED))
    require_sink_columns(plan, given)
    written = [_write(batch, rows, given, sink, held, known) for sink in plan.sinks]
    late = save_late(batch, held.rows, seen.watermark) if held.figures.get("missed") else None
    written += [late] if late is not None else []
    batch.tell("targets_written")
    broken = _save_broken(batch, held, "quarantine", seen)
    counts = held.counts | totals([item for item in written if item.target != plan.late])
    counts["rows_unrouted"] = _unrouted(plan, given, held)
    state = {name: value for name, value in held.figures.items() if name.partition(":")[0] in _STATE}
    notes = tuple(note for item in written for note in item.notes)
    return Outcome(counts, tuple(written), broken, (), notes, _results(plan, held), state)


def _held(batch: Batch, rows: DataFrame, seen: Seen) -> _Held:
    """One pass over the query's frame: a second one would work the state out again."""
    plan, counted = batch.plan, Observation()
    marked = rows.withColumn(MISSED, F.lit(None).cast("array<bigint>")).withColumn(_ENDS, col(MISSED))
    for name, mark in plan.watermarks.items():
        ends = _ends(plan, col(f"{PASSING}{name}").getField(mark.column))
        placed = (col(INPUT) == name) & (col(FATE) <= WARNED)
        marked = marked.withColumn(_ENDS, F.when(placed, ends).otherwise(col(_ENDS)))
    late = seen.watermark * 1000
    # one end is looked at as it is: what Spark does for each item of a list it does not compile
    one = F.when(F.get(_ENDS, F.lit(0)) <= late, col(_ENDS))
    several = F.filter(col(_ENDS), lambda end: end <= late)
    marked = marked.withColumn(MISSED, F.when(F.size(_ENDS) == 1, one).otherwise(several))
    wanted = col(GIVEN).isNotNull() | (col(FATE) > VALID) | (F.size(col(MISSED)) > 0)
    found = kept(marked.observe(counted, *_counters(plan, marked)).where(wanted))
    figures = {name: int(value) for name, value in counted.get.items() if value is not None}
    dimensions = {name[len(_DIMENSION) :]: value for name, value in figures.items() if name.startswith(_DIMENSION)}
    return _Held(found, _balanced(plan, figures), figures, dimensions)


def _ends(plan: Plan, time: Column) -> Column:
    """When that closes which a row belongs to, in microseconds: each of its windows, its own session, or its own time."""
    step = state_of(plan)
    if step.name == "window":
        size = length_of(step.option("size"))
        return window_ends(time, size, length_of(step.option("slide") or step.option("size")))
    gap = step.option("gap")
    # a row is held against the session that it would begin: also where an open one could still take it
    return F.array(F.unix_micros(time) + (length_of(gap) // timedelta(microseconds=1) if gap else 0))


def _counters(plan: Plan, marked: DataFrame) -> list[Column]:
    """What is counted in the one pass; rows that missed all that they belong to are `late`."""
    fates = {"rows_dropped": DROPPED, "rows_quarantined": QUARANTINED, "rows_failed": FAILED, "rows_warned": WARNED}
    missed, ends = F.coalesce(F.size(MISSED), F.lit(0)), F.coalesce(F.size(_ENDS), F.lit(0))
    placed = F.when(col(FATE) <= WARNED, ends - missed)
    is_given = col(GIVEN).isNotNull()
    gives_count = COUNTED in marked.select(f"{GIVEN}.*").columns
    found = {
        **{name: F.count_if(col(FATE) == fate) for name, fate in fates.items()},
        "rows_read": F.count(col(FATE)),
        "rows_late": F.count_if((missed > 0) & (missed == ends)),
        "missed": F.sum(F.when(missed > 0, missed)),
        "placed": F.sum(placed),
        "given": F.count_if(is_given),
        "closed": F.sum(col(GIVEN).getField(COUNTED)) if gives_count else F.count_if(is_given),
        **{
            f"latest:{name}": F.max(F.when(placed > 0, F.unix_micros(col(f"{PASSING}{name}").getField(item.column))))
            for name, item in plan.watermarks.items()
        },
    }
    gate = plan.job.config.quality_gate
    for dimension in gate.dimensions if gate is not None else ():
        found[f"{_DIMENSION}{dimension}"] = F.count_if(_breaks_any(plan, dimension))
    return [column.alias(name) for name, column in found.items()]


def _breaks_any(plan: Plan, dimension: str) -> Column:
    """True for a row that breaks a rule of the dimension."""
    names = [rule.name for rule in plan.rules if rule.dimension == dimension]
    return F.exists(col(REASONS), lambda reason: reason.getField("rule").isin(names))


def _balanced(plan: Plan, figures: Mapping[str, int]) -> dict[str, int]:
    """The counts by the run record's names: rows read are valid, quarantined, dropped or late, each one of these."""
    names = ("rows_read", "rows_dropped", "rows_quarantined", "rows_failed", "rows_warned", "rows_late")
    counts = {name: figures.get(name, 0) for name in names}
    if plan.merges_late:  # they get into their windows all the same
        counts["rows_late"] = 0
    if state_of(plan).name == "deduplicate":
        counts["rows_dropped"] += figures.get("placed", 0) - figures.get("given", 0)
    taken = sum(counts[name] for name in ("rows_dropped", "rows_quarantined", "rows_late"))
    return counts | {"rows_valid": counts["rows_read"] - taken}


def _require_gate(batch: Batch, held: _Held, known: Taken, seen: Seen) -> None:
    if not is_gated(batch.plan) or not known.counts["rows_read"]:
        return

    def named(fate: int) -> str:
        return ", ".join(f"{rule}: {count}" for rule, count in _by_rule(held, fate)[:_SHOWN])

    reason = refusal(batch.plan, known, named)
    if reason is None:
        return
    broken = _save_broken(batch, held, f"evidence/{batch.run_id}", seen)
    counts = refused_counts(known.counts)
    raise refused(batch.plan, reason, Outcome(counts, (), broken, results=_results(batch.plan, held)))


def _by_rule(held: _Held, fate: int) -> list[tuple[str, int]]:
    """How many rows of a fate each rule found wrong, the most frequent first."""
    found = held.rows.where(col(FATE) == fate).select(F.explode(REASONS).alias("reason")).groupBy("reason.rule").count()
    return [(row["rule"], row["count"]) for row in found.orderBy(F.desc("count"), "rule").collect()]


def _finished(batch: Batch, given: DataFrame) -> DataFrame:
    """What the state gave after the transforms behind it; raises DataError where one cannot do its work on a row."""
    plan = batch.plan
    for step in plan.transforms[plan.transforms.index(state_of(plan)) + 1 :]:
        with explained(plan, step):
            given = step.call(given, now=batch.now, tables=batch.tables)
        if EXTRA in given.columns:
            wrong = given.where(col(EXTRA).isNotNull()).select(EXTRA).limit(1).collect()
            if wrong:  # its rows are counted as valid already
                raise DataError(f"{step.problem(f'a row of {state_of(plan).name} cannot go on: {wrong[0][0]}')}")
            given = given.drop(EXTRA)
    return given


def _write(
    batch: Batch, raw: DataFrame, given: DataFrame, sink: SinkStep, held: _Held, known: Taken
) -> Written:  # fmt: skip
    """Writes what the state gave; no commit where that is nothing, once there is a table."""
    table = sink.step.option("table")
    if not held.figures.get("given") and (
        not table or snapshot(batch.spark, batch.plan.layout.table(table)) is not None
    ):
        return write_nothing(batch, sink)
    return write_to(batch, raw, given, sink, known)


def _unrouted(plan: Plan, given: DataFrame, held: _Held) -> int:
    """How many of the rows that the state gave no sink takes."""
    takes_all = any(sink.where is None for sink in plan.sinks)
    return 0 if takes_all or not held.figures.get("given") else given.where(fits_none(plan)).count()


def _save_broken(batch: Batch, held: _Held, step: str, seen: Seen) -> Written | None:
    number = held.counts["rows_quarantined"] + held.counts["rows_failed"]
    if not number:
        return None
    broken = together(held.rows.where(col(FATE) >= QUARANTINED).select(ROW, ORIGIN, REASONS), number)
    commit = batch.commit(step)
    return quarantine.write(broken, batch.spark, batch.plan, commit, batch.run_id, batch.now, seen.schema)


def _results(plan: Plan, held: _Held) -> tuple[RuleResult, ...]:
    """What each rule says of the micro-batch."""
    read, any_wrong = held.counts["rows_read"], any(held.figures.get(name) for name in _WRONG)
    found = _wrong(plan, held) if plan.rules and any_wrong else {}
    told = [
        (rule, name, *found.get(rule.name, (0, ()))) for rule, name in zip(plan.rules, plan.rule_names, strict=True)
    ]
    return tuple(
        RuleResult(name, ", ".join(rule.columns) or None, rule.dimension, rule.settings.on_fail, read - failed, failed, sample)
        for rule, name, failed, sample in told
    )  # fmt: skip


def _wrong(plan: Plan, held: _Held) -> dict[str, tuple[int, tuple[str, ...]]]:
    """By rule how many rows break it, and the most frequent values that do, out of the rows as they came."""
    values = F.from_json(col(ROW), "map<string,string>")

    def text_of(name: str) -> Column:
        top, _, below = name.partition(".")
        # a message that could not be parsed has no such key
        value = F.get(F.map_values(F.map_filter(values, lambda key, _: F.lower(key) == top.lower())), F.lit(0))
        return F.get_json_object(value, f"$.{below}") if below else value

    shown = [
        F.when(F.col("name") == rule.name, failing_value(plan, rule, text_of)) for rule in plan.rules if rule.columns
    ]
    sample = most_frequent(F.coalesce(*shown, F.lit(None).cast("string")))
    rows = held.rows.where(col(FATE) > VALID)
    named = rows.select(ROW, F.explode(F.array_distinct(F.transform(REASONS, lambda one: one["rule"]))).alias("name"))
    counted = named.groupBy("name").agg(F.count(F.lit(1)).alias("rows"), sample.alias("sample"))
    return {row["name"]: (row["rows"], sample_of(row["sample"])) for row in counted.collect()}
