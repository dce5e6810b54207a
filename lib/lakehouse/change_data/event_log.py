"""What a change-data target is made from: every event that counted, in a table out of the readers' sight.

Events are appended before the target is changed, and what the target then lacks is noted beside them: where a crash
came between the two, the events are taken out again, and the batch is new to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse import lake, row_places
from lakehouse.change_data.agreement import ADOPTED, CHANGES, MADE, disagreement, is_in, link, remedy
from lakehouse.change_data.order import Span
from lakehouse.commits import Commit, CommitInfo, latest_note, newest
from lakehouse.errors import SinkError
from lakehouse.frames import HIDDEN_PREFIX, quoted
from lakehouse.holding import held, together
from lakehouse.runs import open_table
from lakehouse.storage import delete_tree
from lakehouse.tables import Layout
from lakehouse.targets import Settings, Write, table_properties

RUN = f"{HIDDEN_PREFIX}run"
"""The run that brought the event."""

_APP, _BATCH, _CHANGES, _MEANING = "app", "batch", CHANGES, "meaning"
# how many events there are, and how many of them are known to be needed
_EVENTS, _NEEDED = "events", "needed"
_MANY = 10_000  # events that it does not pay to look through
# events are only added: where no row can be marked as deleted, Delta need not look for such marks at each read
_PROPERTIES = {"delta.enableDeletionVectors": "false"}
_TOGETHER = 50  # batches whose files are put together: each leaves a file
_SMALL, _LARGE = 16 * 2**20, 128 * 2**20  # bytes of a file that is put with others, and of what they make


@dataclass(frozen=True)
class EventLog:
    """The events of one target; `table` is None before the first."""

    path: str
    table: lake.Snapshot | None = None
    note: Mapping[str, Any] = field(default_factory=dict)
    """What its last batch said."""

    @property
    def schema(self) -> StructType:
        """The columns that events have had so far."""
        return self.table.schema if self.table else StructType()


def opened(write: Write, table: str, target: lake.Snapshot | None, meaning: Mapping[str, Any]) -> EventLog:
    """The log as the target knows it: what a dead write had added is taken out.

    Raises SinkError where the target was not made from a log, or its events were given another meaning.
    """
    path = write.layout.state(table)
    if target is None:
        delete_tree(path)
        lake.forget(write.spark, path)
        return EventLog(path)
    found = lake.snapshot(write.spark, path)
    if found is None and write.adopts:
        return EventLog(path)
    if found is None:
        raise SinkError(
            f"{table} is there, but not the events that it was made from; `lakehouse adopt {table}` takes its rows for "
            "them, --full-refresh rebuilds it from the source"
        )
    if write.adopts:
        raise SinkError(f"{table} has its events already; there is nothing to adopt")
    last = _latest(path, found.version)
    if last is not None:
        _require_meaning(last.note[_MEANING], meaning, table)
    return _agreeing(found, last, write, target, table)


def _agreeing(
    found: lake.Snapshot, last: CommitInfo | None, write: Write, target: lake.Snapshot, table: str
) -> EventLog:
    """The log that this target was made from; raises SinkError where it is not."""
    path = found.path
    if last is not None and last.note[_CHANGES] and _is_dead(last.note, write, target):
        before = _latest(path, last.version - 1)
        if before is None:
            return _begun_again(write, path, target, table)
        found, last = _without_dead_write(write, found, last.version, before), before
    wrong = disagreement(found, target, table)
    if wrong is not None:
        raise SinkError(f"{wrong}; {remedy(table)}")
    return EventLog(path, found, last.note if last is not None else {})


def _require_meaning(before: Mapping[str, Any], meaning: Mapping[str, Any], table: str) -> None:
    changed = [key for key in {**before, **meaning} if meaning.get(key) != before.get(key)]
    if changed:
        was = ", ".join(f"{key}: {before[key]}" if key in before else f"no {key}" for key in changed)
        raise SinkError(f"{table} was made with {was}; run with --full-refresh to rebuild it with other options")


def _is_dead(note: Mapping[str, Any], write: Write, target: lake.Snapshot) -> bool:
    """True where the target lacks what was to follow the events; a batch that is finished had got in, whatever is there now."""
    job, _, checkpoint = write.commit.app_id.rpartition("/")
    own = str(note[_APP]).startswith(f"{job}/") and str(note[_APP]).endswith(f"/{checkpoint}")
    is_finished = own and note[_BATCH] < write.commit.batch
    return not is_finished and not is_in(target, (note[_APP], note[_BATCH]))


def _latest(path: str, version: int) -> CommitInfo | None:
    """The last commit that says something of the events; putting files together says nothing."""
    return latest_note(path, version, lambda note: _CHANGES in note)


def _note(commit: Commit, changes: int, meaning: Mapping[str, Any]) -> dict[str, Any]:
    """What is noted beside events: the commit to the target that is to follow, and what they mean to it."""
    follows = {MADE: [commit.app_id, commit.batch]} if changes else {}
    return {_APP: commit.app_id, _BATCH: commit.batch, _CHANGES: changes, _MEANING: meaning, **follows}


def _begun_again(write: Write, path: str, target: lake.Snapshot, table: str) -> EventLog:
    """No log: of a first write that died the target got no row."""
    _, filled = newest(target.path, target.version, -1, lambda _: False)
    if filled is not None:
        raise SinkError(f"{table} is not made from the events at {path}; {remedy(table)}")
    delete_tree(path)
    lake.forget(write.spark, path)
    return EventLog(path)


def _without_dead_write(write: Write, log: lake.Snapshot, version: int, before: CommitInfo) -> lake.Snapshot:
    """The log as it was before the events of this version, with what it noted then."""
    lake.restore(write.spark, log.path, version - 1, before.note)
    found = lake.snapshot(write.spark, log.path)
    if found is None:
        raise SinkError(f"{log.path} is gone")
    return found


def meaning_of(layout: Layout, table: str) -> dict[str, Any] | None:
    """What the events of the table mean to it, by the names of its sink's options; None where it has none. Without Spark."""
    path = layout.state(table)
    found = open_table(path, layout.root)
    last = _latest(path, found.version()) if found is not None else None
    return None if last is None else dict(last.note[_MEANING])


def read(write: Write, log: EventLog, condition: str = "") -> DataFrame | None:
    """All events, or at least those of a condition; of one key and sequence there may be several, see `history.events.winners`."""
    return None if log.table is None else row_places.read_files(write.spark, log.path, log.table.version, condition)


def append(
    events: DataFrame, write: Write, log: EventLog, *, changes: int, meaning: Mapping[str, Any],
    number: int = 0, needed: bool = False, span: Span | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Adds a `number` of events, all `needed` for ever or not; `changes` rows of the target will follow them in its own
    commit. What it notes of them."""
    settings = Settings(table_properties=_PROPERTIES, type_widening=write.settings.type_widening)
    options = table_properties(settings, events.schema) if log.table is None else {"mergeSchema": "true"}
    if log.table is not None and settings.type_widening:
        lake.allow_widening(write.spark, log.table)
    carried = {key: log.note[key] for key in (MADE, ADOPTED) if key in log.note}
    note = {
        **carried,
        **write.commit.note,
        **_note(write.commit, changes, meaning),
        **(span.noted(log.note if log.table else None) if span else {}),
        _EVENTS: log.note.get(_EVENTS, 0) + number,
        _NEEDED: log.note.get(_NEEDED, 0) + (number if needed else 0),
    }
    # no identity: an event that is in twice counts once
    commit = replace(write.commit, app_id="", note=note)
    lake.save(together(events, number), log.path, commit, mode="append", options=options)
    return note


def compacted(write: Write, log: EventLog) -> None:
    """Puts the small files of the last batches together, now and then; called once the target has its commit."""
    if log.table is None or (log.table.version + 1) % _TOGETHER:
        return
    plain = write.spark.newSession()  # a job's own session takes no path for a table's name
    plain.conf.set("spark.databricks.delta.optimize.minFileSize", _SMALL)
    plain.conf.set("spark.databricks.delta.optimize.maxFileSize", _LARGE)
    plain.sql(f"OPTIMIZE delta.{quoted(log.path)}")


def take_over(spark: SparkSession, source: str, path: str, commit: Commit, *, changes: int) -> dict[str, int]:
    """Puts another log's events in the place of a target's; the commit of this identity to the target is to follow.

    What that commit must note of them. A target without a log (it goes by its own rows) needs none.
    """
    found = lake.snapshot(spark, source)
    if found is None:
        return {}
    linked = link(lake.snapshot(spark, path))
    last = _latest(source, found.version)
    known = last.note if last else {_MEANING: {}}
    note = {**known, **_note(commit, changes, known[_MEANING])}
    rows = lake.read(spark, source, version=found.version)
    lake.save(rows, path, replace(commit, app_id="", note=note), mode="overwrite", options={"overwriteSchema": "true"})
    return linked


def fits(spark: SparkSession, layout: Layout, rebuilt: Layout, table: str) -> bool:
    """True where the table is made from the events beside it, or needs none as its rebuilt self has none."""
    log, target = lake.snapshot(spark, layout.state(table)), lake.snapshot(spark, layout.table(table))
    if log is None or target is None:
        return lake.snapshot(spark, rebuilt.state(table)) is None
    return disagreement(log, target, table) is None


def before(spark: SparkSession, layout: Layout, table: str, commit: Commit) -> DataFrame | None:
    """The events that were known before this batch, also where an earlier try of it has added its own; None without any."""
    path = layout.state(table)
    found = lake.snapshot(spark, path)
    if found is None:
        return None
    last = latest_note(path, found.version, lambda note: note.get(_APP) == commit.app_id)
    own = last is not None and last.note[_BATCH] == commit.batch
    version = last.version - 1 if own and last is not None else found.version
    return lake.read(spark, path, version=version) if version >= 0 else None


def is_due(note: Mapping[str, Any]) -> bool:
    """True where half of the events, and many, may be needless."""
    return int(note.get(_EVENTS, 0)) > max(2 * int(note.get(_NEEDED, 0)), _MANY)


def tidied(events: DataFrame, write: Write, path: str, note: Mapping[str, Any]) -> None:
    """Leaves these events alone in the log."""
    kept, counts = held(events, F.count(F.lit(1)).alias("rows"))
    said = {key: value for key, value in note.items() if key not in (_APP, _BATCH)}  # it brings nothing new
    note = {**said, _CHANGES: 0, _EVENTS: counts["rows"], _NEEDED: counts["rows"]}
    options = {"mergeSchema": "true"}
    lake.save(kept, path, replace(write.commit, app_id="", note=note), mode="overwrite", options=options)
