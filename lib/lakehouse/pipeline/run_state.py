"""A run under way: its plan, its session, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

from lakehouse import runs
from lakehouse.batches.batch_rows import Batch
from lakehouse.lease import require_kept
from lakehouse.pipeline import progress
from lakehouse.pipeline.progress import Intent, Progress
from lakehouse.planning.plan import Plan
from lakehouse.runs import RunRecord

Watch = Callable[[str], None]


@dataclass
class Run:
    """A run under way: `record`, `progress` and `intent` are replaced as it goes on."""

    plan: Plan
    spark: SparkSession
    record: RunRecord
    progress: Progress
    intent: Intent | None  # what a run that died left; None once it is settled
    watch: Watch
    versions: Mapping[str, int] = field(default_factory=dict)
    measured: Callable[[], list[dict[str, Any]]] = list  # Spark's reports of a stream's last batches, as JSON has them
    stream_pin: Mapping[str, Any] = field(default_factory=dict)  # what the query's messages are read by
    part: str = ""  # of the job's progress, where the run has one of its own there
    schema: str = ""  # of a stream's rows as they come, for its quarantine
    is_plan: bool = False  # it is only looked at: nothing is written or moved
    accept_loss: bool = False  # once: what the source does not have any more is gone without

    @property
    def copies(self) -> str:
        """Where a source keeps the rows that it cannot give twice alike."""
        return f"{self.folder}/read"

    @property
    def folder(self) -> str:
        """Where the progress lies."""
        folder = self.plan.layout.checkpoint(self.plan.name)
        return f"{folder}/{self.part}" if self.part else folder

    def begin(self, intent: Intent) -> None:
        """Notes what is about to be written; raises BusyError where another run may be about to, too."""
        require_kept(self.plan.layout, f"job-{self.plan.name}")
        progress.begin(self.folder, self.progress, intent)

    def save(self) -> None:
        """Replaces the progress that is kept; raises BusyError where that may be another run's by now."""
        require_kept(self.plan.layout, f"job-{self.plan.name}")
        progress.save(self.folder, self.progress)


def new_intent(run: Run, number: int, pin: Mapping[str, Any]) -> Intent:
    """What this run is about to write as the batch of this number; its clock is the run's start.

    A job that goes on until it is stopped would be days behind with that: each of its batches has a start of its own.
    """
    started = run.record.started if run.plan.interval is None or number == 0 else runs.now()
    return Intent(run.record.run_id, number, started, pin, run.versions)


def batch_of(run: Run, intent: Intent) -> Batch:
    """The batch that an intent speaks of, under the run id and start of the run that had it."""
    source = run.plan.source
    origin = str(source.option("table") or source.option("path") or source.name)
    return Batch(
        run.plan, run.spark, intent.run_id, intent.started, run.progress.id, intent.batch, intent.versions, origin,
        _summary(intent.pin), tuple(path for path, *_ in intent.pin.get("files", ())),
    )  # fmt: skip


def _summary(pin: Mapping[str, Any]) -> dict[str, Any]:
    """The pinned input as a commit's note tells it."""
    files = pin.get("files")
    if files is None:
        # `where` may tell a row's values; a leading underscore is the source's own business
        return {name: value for name, value in pin.items() if name != "where" and not name.startswith("_")}
    return {"files": len(files), "bytes": sum(size for _, size, *_ in files), "first": files[0][0] if files else None,
            "last": files[-1][0] if files else None}  # fmt: skip
