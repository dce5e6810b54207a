"""A change-data target made anew from its source, beside the one that is there; it takes that one's place when asked to.

The new events and rows are committed as a batch's are, events first: a crash between the two is mended by the next run.
The job's progress stays as it is: what comes again is known already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from lakehouse import lake
from lakehouse.batches.job_columns import personal_columns
from lakehouse.change_data import event_log
from lakehouse.commits import Commit
from lakehouse.ending import Ending
from lakehouse.errors import DataError
from lakehouse.frames import as_shown, col
from lakehouse.history import difference as diff
from lakehouse.history.shape import spelled
from lakehouse.holding import held
from lakehouse.pipeline.adopting import sink_of
from lakehouse.pipeline.run import run_plan
from lakehouse.planning.plan import Plan
from lakehouse.session import job_session
from lakehouse.storage import delete_tree
from lakehouse.tables import Layout

_SHOWN = 10


@dataclass(frozen=True)
class Change:
    """A row that is not the same in both: `before` is None for one that only the rebuilt table has, `after` for one that
    it lacks; of a row that differs, both hold the columns that do."""

    identity: Mapping[str, Any]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class Rebuilt:
    """How a rebuilt table differs from the one that is there: rows by kind, a few of them, and what it became."""

    table: str
    counts: Mapping[str, int]
    shown: Sequence[Change]
    version: int | None = None

    @property
    def total(self) -> int:
        """How many rows differ."""
        return sum(self.counts[kind] for kind in (diff.INSERTED, diff.UPDATED, diff.DELETED))


def rebuild(plans: Sequence[Plan], table: str, spark: SparkSession, *, takes_over: bool) -> Rebuilt:
    """Runs the jobs that write the table from the start of their sources, and compares; the lake stays as it is.

    With `takes_over` the rebuilt rows become the table's next version, where they differ. Raises DataError where there
    is no such table.
    """
    sinks = [sink_of(plan, table) for plan in plans]
    layout = plans[0].layout.rebuilding(table, {name for plan in plans for name in (*plan.outputs, *plan.asides)})
    try:
        _clear(layout, spark)
        for plan in plans:  # each adds to what the one before it made
            run_plan(replace(plan, layout=layout), spark, Ending(layout, plan.name, once=True))
        session = job_session(spark, plans[0].job.config.spark)
        keys = list(sinks[0].step.option("keys"))
        start = sinks[0].step.option("start_column")
        masked = frozenset().union(*map(personal_columns, plans))
        found = _compared(session, table, plans[0].layout, layout, keys, start, masked)
        wanted = takes_over and (found.total or not event_log.fits(session, plans[0].layout, layout, table))
        return _taken_over(session, found, plans[0].layout, layout) if wanted else found
    finally:
        if layout.aside:
            delete_tree(layout.aside)


def _clear(layout: Layout, spark: SparkSession) -> None:
    """Takes away what a rebuild that died has left."""
    delete_tree(str(layout.aside))
    for name in layout.moved:
        lake.forget(spark, layout.table(name))
        lake.forget(spark, layout.state(name))


def _compared(spark: SparkSession, table: str, old: Layout, new: Layout, keys: list[str], start: str | None,
              masked: frozenset[str]) -> Rebuilt:  # fmt: skip
    before, after = _rows(spark, old.table(table)), _rows(spark, new.table(table))
    if before is None:
        raise DataError(f"there is no table {table} at {old.table(table)}; `lakehouse run` makes it")
    after = before.limit(0) if after is None else after
    keys = [*spelled(keys, after.columns, "keys")]
    identity = [*keys, start] if start in after.columns and start in before.columns else keys
    values = [name for name in after.columns if name not in identity]
    gone = [name for name in before.columns if name not in after.columns]
    joined = diff.beside(after, before, identity)
    differs = diff.any_differs(joined, after, values) | _any_given(joined, gone)
    kind = F.when(diff.is_new(), diff.INSERTED).when(diff.is_missing(), diff.DELETED).when(differs, diff.UPDATED)
    flagged = joined.withColumn(diff.KIND, kind)
    return _told(table, flagged.where(col(diff.KIND).isNotNull()), identity, values, gone, masked)


def _told(
    table: str, changed: DataFrame, identity: list[str], values: list[str], gone: list[str], masked: frozenset[str]
) -> Rebuilt:
    """Counts the rows that differ, and shows the first of them."""
    kinds = [F.count_if(col(diff.KIND) == name).alias(name) for name in (diff.INSERTED, diff.UPDATED, diff.DELETED)]
    found, counts = held(changed, *kinds)
    names = [*values, *gone]
    theirs = F.struct(*[diff.theirs(found, name).alias(name) for name in names]).alias("theirs")
    ours = F.struct(*[col(name) for name in values]).alias("ours")
    rows = found.orderBy(*map(col, identity)).limit(_SHOWN).select(diff.KIND, *map(col, identity), ours, theirs)
    return Rebuilt(table, counts, [_masked(_change(row, identity), masked) for row in rows.collect()])


def _rows(spark: SparkSession, path: str) -> DataFrame | None:
    found = lake.snapshot(spark, path)
    return None if found is None else lake.read(spark, path, version=found.version)


def _any_given(joined: DataFrame, gone: Sequence[str]) -> Column:
    """True where a column that the rebuilt table no longer has holds something."""
    return reduce(Column.__or__, [diff.theirs(joined, name).isNotNull() for name in gone], F.lit(False))


def _change(row: Row, identity: Sequence[str]) -> Change:
    kind, named = row[diff.KIND], {name: row[name] for name in identity}
    after, before = row["ours"].asDict(recursive=True), row["theirs"].asDict(recursive=True)
    if kind == diff.UPDATED:
        differing = [name for name in before if before[name] != after.get(name)]
        return Change(named, {name: before[name] for name in differing}, {name: after.get(name) for name in differing})
    return Change(named, None, after) if kind == diff.INSERTED else Change(named, before, None)


def _masked(change: Change, names: frozenset[str]) -> Change:
    """The change as it may be shown: personal values only tell that there is one."""

    def shown(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: as_shown(name, value, names) for name, value in values.items()}

    before, after = (None if side is None else shown(side) for side in (change.before, change.after))
    return Change(shown(change.identity), before, after)


def _taken_over(spark: SparkSession, found: Rebuilt, old: Layout, new: Layout) -> Rebuilt:
    """Puts the rebuilt events, then the rebuilt rows, in the place of those that are there."""
    path, app = old.table(found.table), f"rebuild/{found.table}"
    before = lake.snapshot(spark, path)
    rows = _rows(spark, new.table(found.table))
    if before is None or rows is None:
        raise DataError(
            f"the source of {found.table} holds no row: nothing was replaced; delete the table where that is right"
        )
    commit = Commit(app, before.batches.get(app, -1) + 1, {"rebuilt": dict(found.counts)})
    changes = max(found.total, 1)  # the commit follows also where only the events were wrong
    linked = event_log.take_over(spark, new.state(found.table), old.state(found.table), commit, changes=changes)
    commit = replace(commit, note={**commit.note, **linked})
    options = {} if rows.schema.simpleString() == before.schema.simpleString() else {"overwriteSchema": "true"}
    lake.save(rows, path, commit, mode="overwrite", partition_by=before.partitions, options=options)
    after = lake.snapshot(spark, path)
    return replace(found, version=after.version if after else None)
