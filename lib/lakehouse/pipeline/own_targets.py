"""A job's own targets: held against its checkpoint before a run, and taken away with it for a full refresh."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import SparkSession

from lakehouse import lake
from lakehouse.errors import SinkError
from lakehouse.pipeline.run_state import Run, batch_of, new_intent
from lakehouse.planning.plan import Plan, SinkStep
from lakehouse.registry import call_options
from lakehouse.storage import delete_tree, folders
from lakehouse.tables import resolved
from lakehouse.targets import batch_folders


def forget(plans: Sequence[Plan], spark: SparkSession) -> None:
    """`--full-refresh`: the checkpoints go last, so that a crash on the way is seen as one.

    Jobs that write one table go together: else each would take away what the one before it has just written.
    """
    for plan in plans:
        tables = [plan.layout.table(name) for name in (*plan.outputs, *plan.asides)]
        for path in (*tables, *map(plan.layout.state, plan.outputs)):
            delete_tree(path)
            lake.forget(spark, path)
        for place, names in _batch_folders(plan).items():
            for name in names:
                delete_tree(f"{place}/{name}")
    for plan in plans:
        delete_tree(plan.layout.checkpoint(plan.name))


def require_own_targets(run: Run) -> None:
    """Progress and targets must tell the same story; raises SinkError where a wrong table would come of going on."""
    for index, sink in enumerate(run.plan.sinks):
        if sink.step.option("table"):
            _require_own_target(run, sink)
        require_own = sink.step.entry.traits.get("require_own")
        if require_own is not None and run.progress.fresh:
            commit = batch_of(run, new_intent(run, 0, {})).commit(f"{sink.target}/{index}")
            require_own(commit, **call_options(sink.step.entry, sink.step.options))
    own = batch_folders(run.plan.name) + run.progress.id
    for place, names in (_batch_folders(run.plan) if run.progress.fresh else {}).items():
        if any(not name.startswith(own) for name in names):
            raise SinkError(
                f"the checkpoint {run.folder} is gone, but {place} was filled by this job; restore it, or {_remedy(run)}"
            )


def _require_own_target(run: Run, sink: SinkStep) -> None:
    plan, state = run.plan, run.progress
    written = _batches_written(run, sink)
    own = [batch for app, batch in written.items() if app.endswith(f"/{state.id}")]
    remedy = _remedy(run)
    if sink.target in state.targets and not own:
        raise SinkError(f"{sink.target} is gone or was replaced, but {run.folder} says that it was filled; {remedy}")
    repeatable = sink.step.entry.traits.get("set_semantics") or (
        plan.read == "full" and sink.step.name in ("overwrite", "merge")
    )
    if written and not own and state.fresh and not repeatable:
        raise SinkError(
            f"the checkpoint {run.folder} is gone, but {sink.target} was filled by this job; restore it, or {remedy}"
        )
    latest = max(state.batch, run.intent.batch if run.intent else -1)
    if own and max(own) > latest:
        raise SinkError(f"the checkpoint {run.folder} is older than {sink.target}; restore the newer one, or {remedy}")


def _remedy(run: Run) -> str:
    return f"run `lakehouse run {run.plan.name} --full-refresh` to rebuild it from the source"


def _batch_folders(plan: Plan) -> dict[str, list[str]]:
    """The folders of this job's batches below each place that it appends files to."""
    places = [
        resolved(str(sink.step.option("path")), plan.job.root)
        for sink in plan.sinks
        if sink.step.name == "files" and sink.step.option("mode") != "overwrite"
    ]
    return {place: [name for name in folders(place) if name.startswith(batch_folders(plan.name))] for place in places}


def _batches_written(run: Run, sink: SinkStep) -> dict[str, int]:
    """The last batch in the table by each identity under which this job has written it."""
    found = lake.snapshot(run.spark, run.plan.layout.table(sink.target))
    batches = found.batches if found else {}
    return {app: batch for app, batch in batches.items() if app.startswith(f"{run.plan.name}/{sink.target}/")}
