"""The sink `jdbc`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pyspark.sql import DataFrame

from lakehouse.commits import Commit
from lakehouse.databases.address import address_of
from lakehouse.databases.control import Database, asked, literal, opened
from lakehouse.databases.noted_batches import Moved, find_batch, note_nothing, require_no_other_rows
from lakehouse.databases.relations import Table, find_table
from lakehouse.databases.staging import Target, move, prepare, stage
from lakehouse.databases.target_columns import create_statement, moves_of, require_unique
from lakehouse.errors import SinkError
from lakehouse.frames import col, visible
from lakehouse.registry import Columns, Secret, sink
from lakehouse.targets import Write, Written

_WHAT = "sink 'jdbc'"


def sense(
    *,
    url: str,
    user: str | None,
    password: str | None,
    mode: str,
    keys: Sequence[str] | None,
    batch_size: int,
    **_: Any,
) -> None:
    """Raises ValueError where the options do not go together."""
    address_of(url, user, password)
    if (mode == "upsert") != bool(keys):
        raise ValueError("'mode: upsert' needs 'keys', and 'keys' need it")
    if batch_size < 1:
        raise ValueError("'batch_size' is at least 1")


def is_written(commit: Commit, *, url: str, user: str | None, password: str | None, dbtable: str, **_: Any) -> bool:
    """True where a batch is in its table already."""
    with opened(address_of(url, user, password), SinkError, _WHAT) as database:
        return find_batch(database, find_table(database, dbtable), commit) is not None


def require_own(
    commit: Commit, *, url: str, user: str | None, password: str | None, dbtable: str, mode: str, **_: Any
) -> None:
    """Raises SinkError where a job that begins anew would add rows that it has added before."""
    with opened(address_of(url, user, password), SinkError, _WHAT) as database:
        if mode == "append" and _is_there(database, dbtable):
            require_no_other_rows(database, find_table(database, dbtable), commit)


def without_rows(commit: Commit, *, url: str, user: str | None, password: str | None, dbtable: str, **_: Any) -> None:
    """Notes a batch that has nothing for the table."""
    with opened(address_of(url, user, password), SinkError, _WHAT) as database:
        if _is_there(database, dbtable):
            note_nothing(database, find_table(database, dbtable), commit)


@sink(external=True, sense=sense, written=is_written, require_own=require_own, without_rows=without_rows)
def jdbc(
    df: DataFrame,
    write: Write,
    *,
    url: str,
    user: str | None = None,
    password: Secret | None = None,
    dbtable: str,
    mode: Literal["append", "upsert"] = "append",
    keys: Columns | None = None,
    batch_size: int = 5_000,
) -> Written:
    """Writes to a table of a PostgreSQL database: adds the rows, or upserts them by `keys`; each batch once.

    The rows are staged beside the table, then one transaction moves them and notes the batch in `lakehouse_batches`.
    """
    rows = df.select(*map(col, visible(df)))
    with opened(address_of(url, user, password), SinkError, _WHAT) as database:
        table = _table(database, dbtable, rows, keys or ())
        earlier = find_batch(database, table, write.commit)
        if earlier is not None:
            return _written(dbtable, earlier, repeated=True)
        moves = moves_of(database, table, rows.schema.fields)
        by_name = {item.field.name.lower(): item.column.name for item in moves}
        own_keys = [by_name[key.lower()] for key in keys or ()]
        if own_keys:
            require_unique(database, table, own_keys)
        target = Target(database, table, moves, own_keys, write.commit, write.masked)
        prepare(target)
        again = stage(target, rows, batch_size)
        return _written(dbtable, move(target), repeated=again)


def _table(database: Database, name: str, rows: DataFrame, keys: Sequence[str]) -> Table:
    """The table; where it is missing, the error has the statement that makes it."""
    if _is_there(database, name):
        return find_table(database, name)
    made = create_statement(name, rows.schema.fields, keys)
    raise SinkError(f"{_WHAT}: {database.address} has no table {name}; its owner makes it, for these rows: {made}")


def _is_there(database: Database, name: str) -> bool:
    return asked(database, f"SELECT to_regclass({literal(name)})")[0][0] is not None


def _written(dbtable: str, done: Moved, *, repeated: bool = False) -> Written:
    return Written(
        dbtable, None, done.rows, done.inserted, done.updated, 0, done.unchanged,
        target_inserted=done.inserted, target_updated=done.updated, repeated=repeated,
    )  # fmt: skip
