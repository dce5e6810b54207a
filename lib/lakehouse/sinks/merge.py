"""The sink `merge`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse import lake
from lakehouse.commits import CommitInfo
from lakehouse.errors import SinkError
from lakehouse.frames import col, quoted, require_columns, visible
from lakehouse.history.shape import spelled
from lakehouse.registry import Columns, Name, Sql, sink
from lakehouse.targets import Write, Written, aligned, earlier_write, has_no_match, require_commit, save_rows
from lakehouse.upserts import (
    DELETES,
    PRESENT,
    Batch,
    assigned,
    different,
    newer,
    not_older,
    one_row_per_key,
    same_keys,
    with_present_keys,
)


@sink
def merge(
    df: DataFrame,
    write: Write,
    *,
    table: Name,
    keys: Columns,
    sequence_by: Columns | None = None,
    update_columns: Columns | None = None,
    insert_only: bool = False,
    delete_when: Sql | None = None,
    when_missing: Literal["keep", "delete"] = "keep",
) -> Written:
    """Upserts: a row whose key is there replaces it where it is newer by `sequence_by` (equal: the greater row), others are inserted.

    Without `sequence_by` the last batch wins, and two different rows of one key in a batch are an error that names the
    keys. Of `update_columns` alone a row that is there changes, and of its sequence. `delete_when` deletes the key
    instead; `when_missing: delete` deletes the keys that the batch does not have.
    """
    require_columns(df, [*keys, *(sequence_by or []), *(update_columns or [])])
    keys = [*spelled(keys, df.columns, "keys")]
    sequence_by = [*spelled(sequence_by or [], df.columns, "sequence_by")]
    update_columns = None if update_columns is None else [*spelled(update_columns, df.columns, "update_columns")]
    before = lake.snapshot(write.spark, write.layout.table(table))
    earlier = earlier_write(before, write)
    if earlier is not None:
        return replace(_written(table, earlier, int(earlier.note.get("rows_to_sink", 0))), repeated=True)
    rows = df if delete_when is None else df.withColumn(DELETES, F.coalesce(F.expr(delete_when), F.lit(False)))
    flagged, ignored = aligned(rows, before, write, table, carried=[DELETES] if delete_when else [])
    _require_taken(sequence_by, ignored, table)
    batch = one_row_per_key(flagged, keys, sequence_by, write.masked)
    # how many rows came in is in no metric of the commit: after a crash it is read from the note
    write = replace(write, commit=replace(write.commit, note={**write.commit.note, "rows_to_sink": batch.count}))
    if before is None or _only_appends(batch, before, write, deletes=delete_when is not None, missing=when_missing):
        done = _append(batch, before, write, table)
    elif batch.keys == 0 and when_missing == "keep":
        done = None
    else:
        matched = [] if insert_only else _matched(flagged, keys, sequence_by, update_columns, before.schema.names)
        done = _merge(batch, before, write, table, keys, matched, when_missing)
    return replace(_written(table, done, batch.count), ignored=tuple(ignored))


def _require_taken(sequence_by: Sequence[str], ignored: Sequence[str], table: str) -> None:
    unknown = [name for name in sequence_by if name in ignored]
    if unknown:
        raise SinkError(
            f"'sequence_by' names '{unknown[0]}', which {table} does not have; set schema_evolution: add_new_columns to have it added"
        )


def _only_appends(batch: Batch, before: lake.Snapshot, write: Write, *, deletes: bool, missing: str) -> bool:
    """True where no file of the target can hold one of the keys."""
    if deletes or missing == "delete" or not batch.keys or not batch.within():
        return False
    return has_no_match(before, write.spark, batch.within())


def _append(batch: Batch, before: lake.Snapshot | None, write: Write, table: str) -> CommitInfo:
    rows = batch.rows.where(~col(DELETES)).drop(DELETES) if DELETES in batch.rows.columns else batch.rows
    return save_rows(rows, before, write, table, mode="append")


def _merge(
    batch: Batch, before: lake.Snapshot, write: Write, table: str, keys: Sequence[str],
    matched: Sequence[tuple[str, Mapping[str, str] | None]], when_missing: str,
) -> CommitInfo | None:  # fmt: skip
    """One MERGE; None where Delta had nothing to commit."""
    source, condition = batch.rows, same_keys(keys)
    if when_missing == "delete":
        source = with_present_keys(batch.rows, write.quarantined(keys), keys)
    elif batch.within():
        condition += " AND " + batch.within("target.")
    if write.settings.type_widening:
        lake.allow_widening(write.spark, before)
    lake.merge(
        source,
        before.path,
        write.commit,
        condition=condition,
        matched=[(f"{_counts(source)} AND ({when})", values) for when, values in matched],
        not_matched=_not_matched(source),
        missing="true" if when_missing == "delete" else None,
        evolve=write.settings.may_alter,
    )
    after = lake.snapshot(write.spark, before.path)
    return None if after is not None and after.version == before.version else require_commit(write, table)


def _matched(
    rows: DataFrame,
    keys: Sequence[str],
    sequence_by: Sequence[str],
    update_columns: Sequence[str] | None,
    known: Sequence[str],
) -> list[tuple[str, Mapping[str, str] | None]]:
    """For keys that are there: delete where asked, update where newer or, without a sequence, different."""
    there = {name.lower() for name in known}
    shown = [name for name in visible(rows) if name not in keys]
    updated = [name for name in shown if update_columns is None or name in (*update_columns, *sequence_by)]
    compared = [name for name in updated if name.lower() in there]
    changed = (
        newer(rows.schema, sequence_by, compared, there)
        if sequence_by
        else different(compared, [n for n in updated if n not in compared])
    )
    update = assigned(updated)
    if DELETES not in rows.columns:
        return [(changed, update)]
    return [
        (f"source.{quoted(DELETES)} AND {not_older(rows.schema, sequence_by, there)}", None),
        (f"NOT source.{quoted(DELETES)} AND ({changed})", update),
    ]


def _not_matched(source: DataFrame) -> tuple[str, Mapping[str, str]]:
    deletes = f" AND NOT source.{quoted(DELETES)}" if DELETES in source.columns else ""
    return _counts(source) + deletes, assigned(visible(source))


def _counts(source: DataFrame) -> str:
    """False for rows that only say that their key is there."""
    return f"NOT source.{quoted(PRESENT)}" if PRESENT in source.columns else "true"


def _written(table: str, info: CommitInfo | None, count: int) -> Written:
    if info is None:
        return Written(table, None, count, unchanged=count)
    deleted = info.metrics.get("numTargetRowsMatchedDeleted", 0)
    return Written(
        table, info.version, count, info.inserted, info.updated, deleted, count - info.inserted - info.updated - deleted,
        target_inserted=info.inserted, target_updated=info.updated, target_deleted=info.deleted,
    )  # fmt: skip
