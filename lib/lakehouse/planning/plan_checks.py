"""What is wrong between the parts of a job whose words are each right."""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.errors import Problem
from lakehouse.planning.plan import Plan, RuleStep, SinkStep, Step
from lakehouse.planning.stream_checks import stream_problems
from lakehouse.registry import call_options


def plan_problems(plan: Plan) -> Iterator[Problem]:
    """What is wrong between the parts of a job."""
    config, source = plan.job.config, plan.job.source
    if plan.source.name == "delta" and (plan.source.option("table") is None) == (plan.source.option("path") is None):
        yield plan.source.problem("needs either 'table' or 'path'")
    if config.read == "incremental" and plan.source.incremental is None:
        more = (
            ", or name the cursor_column"
            if "cursor_column" in call_options(plan.source.entry, plan.source.options)
            else ""
        )
        said = f"source '{plan.source.name}' can only be read in full; take 'read: incremental' out{more}"
        yield source.problem(("read",), said)
    yield from _senseless(plan.source)
    yield from _needing_increments(plan)
    for step in plan.transforms:
        yield from _senseless(step)
        if "tables" in step.entry.given:
            yield from _undeclared(plan, step)
    for rule in plan.rules:
        yield from _rule_problems(plan, rule)
    if plan.interval is not None and plan.read != "incremental":
        said = "it goes on with what is new, and this job reads all each time; set read: incremental"
        yield source.problem(("stream", "trigger"), said)
    yield from stream_problems(plan)
    yield from _sink_problems(plan)


def _sink_problems(plan: Plan) -> Iterator[Problem]:
    source, targets = plan.job.source, [sink.target for sink in plan.sinks]
    for index, sink in enumerate(plan.sinks):
        deletes = sink.step.option("when_missing") == "delete"
        if plan.read == "incremental" and (deletes or sink.step.name == "overwrite"):
            what = "when_missing: delete" if deletes else "overwrite"
            yield sink.step.problem(f"{what} needs all rows each time; set read: full")
        if plan.source.option("cdc_format") and sink.step.name == "snapshot":
            yield sink.step.problem("it compares full copies, and cdc_format gives changes; use scd1 or scd2")
        yield from _key_problems(sink)
        if sink.settings.partition_by and sink.settings.cluster_by:
            yield sink.step.problem("'partition_by' and 'cluster_by' exclude each other; keep one")
        if sink.settings.constraints == "contract" and plan.contract is None:
            yield sink.step.problem(
                "'constraints: contract' needs a contract; name the job's, or write conditions: {name: sql}"
            )
        yield from _senseless(sink.step)
        if sink.target in targets[:index]:
            yield source.problem(("sinks", index), f"'{sink.target}' is written twice; give one sink the other's rows")
        own = plan.source.option("table") if plan.source.name == "delta" else None
        if sink.target in [*plan.job.config.inputs, own]:
            yield source.problem(sink.step.path, f"'{sink.target}' is both input and target")


def _needing_increments(plan: Plan) -> Iterator[Problem]:
    """Options of the source that say what becomes of input once it was taken, in a job that takes all of it each time."""
    for name in plan.source.entry.traits.get("incremental_only", ()):
        if plan.read == "full" and plan.source.option(name) not in (None, False, "fail"):
            said = (
                f"'{name}' is about files that are taken once, and this job reads all each time; set read: incremental"
            )
            yield plan.source.problem(said)
    for sink in plan.sinks:
        if plan.source.option("on_bad_file") == "quarantine" and sink.step.name == "snapshot":
            said = (
                "a snapshot without one of its files would look as if rows were gone; take on_bad_file: quarantine out"
            )
            yield sink.step.problem(said)


def _senseless(step: Step) -> Iterator[Problem]:
    """What a source, transform or sink itself finds wrong between its options."""
    sense = step.entry.traits.get("sense")
    try:
        if sense is not None:
            sense(**call_options(step.entry, step.options))
    except ValueError as error:
        yield step.problem(str(error))


def _key_problems(sink: SinkStep) -> Iterator[Problem]:
    """A key that is named twice, or that orders its own events."""
    keys = [name.lower() for name in sink.step.option("keys") or ()]
    for name in {name for name in keys if keys.count(name) > 1}:
        yield sink.step.problem(f"'keys' names '{name}' twice; once is enough")
    for name in sink.step.option("sequence_by") or ():
        if name.lower() in keys:
            said = "all events of a key would have the same; name the column that orders them"
            yield sink.step.problem(f"'sequence_by' names the key '{name}': {said}")
    version = sink.step.option("version_column")
    if version and version.lower() in keys:
        said = "each snapshot would have keys of its own; take it out of 'keys'"
        yield sink.step.problem(f"'version_column' names the key '{version}': {said}")


def _rule_problems(plan: Plan, rule: RuleStep) -> Iterator[Problem]:
    step, table = rule.step, rule.step.option("table")
    if "tables" in step.entry.given and table in plan.outputs:
        yield step.problem(f"'{table}' is the job's own target; a rule cannot look into what the run is about to write")
    if step.name == "aggregate" and table is not None and rule.settings.where is not None:
        said = f"'where' speaks of the batch's rows, not of {table}'s: write {step.option('sql')} FILTER (WHERE ...)"
        yield step.problem(said)
    personal = {field.name.lower() for field in plan.contract.fields if field.pii} if plan.contract else set()
    if "profiles" in step.entry.given and personal & {name.lower() for name in rule.columns}:
        yield step.problem(
            "the contract says that the column is personal, and its profile would be kept with the results"
        )


def _undeclared(plan: Plan, step: Step) -> Iterator[Problem]:
    for option in ("with_", "table", "tables_"):
        named = step.option(option) or []
        for name in [named] if isinstance(named, str) else named:
            if name not in plan.job.config.inputs:
                yield step.problem(f"'{name}' is not among the job's inputs; add it:  inputs: [{name}]")
