"""Which batches a database's table has: noted beside it in `lakehouse_batches`, each by the transaction that moves its rows."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from lakehouse.commits import Commit
from lakehouse.databases.control import Database, asked, identifier, literal, run, within
from lakehouse.databases.relations import Table

BATCHES = "lakehouse_batches"
_KEPT = 1000  # batches of a job that stay noted
_MADE = """
CREATE TABLE IF NOT EXISTS {table} (
    job text, sink text, checkpoint text, batch bigint, run_id text, rows bigint, inserted bigint, updated bigint,
    unchanged bigint, written_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (job, sink, checkpoint, batch))
"""


@dataclass(frozen=True)
class Moved:
    """What a batch did to its table."""

    rows: int
    inserted: int
    updated: int
    unchanged: int


def batches_beside(table: Table) -> str:
    """The name of the table that notes the batches."""
    return f"{identifier(table.schema)}.{BATCHES}"


def find_batch(database: Database, table: Table, commit: Commit) -> Moved | None:
    """What this very batch did, where it is in already."""
    if not _has_batches(database, table):
        return None
    rows = asked(
        database,
        f"SELECT rows, inserted, updated, unchanged FROM {batches_beside(table)} WHERE {_own(commit)} AND batch = {commit.batch}",
    )
    return Moved(*rows[0]) if rows else None


def make_batches(database: Database, table: Table) -> None:
    """Makes the table that notes the batches, where there is none."""
    within(database, lambda connection: run(connection, _MADE.format(table=batches_beside(table))))


def note_nothing(database: Database, table: Table, commit: Commit) -> None:
    """Notes a batch without rows, once, where this checkpoint has batches there: the next one is to find them without a gap.

    Raises the database's error kind where they and the job's progress tell two stories.
    """
    if find_batch(database, table, commit) is not None or _last(database, table, commit) is None:
        return
    require_one_story(database, table, commit)

    def work(connection: psycopg.Connection) -> None:
        if claimed(connection, table, commit):
            note(connection, table, commit, Moved(0, 0, 0, 0))

    within(database, work)


def require_no_other_rows(database: Database, table: Table, commit: Commit) -> None:
    """Raises the database's error kind where the job has filled the table under another checkpoint than this one."""
    if not _has_batches(database, table):
        return
    batches = batches_beside(table)
    others = asked(database, f"SELECT count(*) FROM {batches} WHERE {_of_job(commit)} AND NOT ({_own(commit)})")
    if others[0][0]:
        raise database.kind(
            f"{database.what}: {table.quoted} in {database.address} was filled by this job under another checkpoint, and its "
            "rows would be added again; restore the checkpoint, or take those rows out and "
            f"DELETE FROM {batches} WHERE {_of_job(commit)}"
        )


def require_one_story(database: Database, table: Table, commit: Commit) -> None:
    """Raises the database's error kind where the batches noted there are not those before this one."""
    last = _last(database, table, commit)
    if last is not None and last != commit.batch - 1:
        behind = "was set back behind" if last < commit.batch else "is ahead of"
        raise database.kind(
            f"{database.what}: {table.quoted} in {database.address} {behind} the job's checkpoint (batch {last} there, "
            f"{commit.batch - 1} here); restore the one that fits the other, or run with --full-refresh"
        )


def _last(database: Database, table: Table, commit: Commit) -> int | None:
    """The last batch of this checkpoint that is noted; None where none is."""
    if not _has_batches(database, table):
        return None
    found: int | None = asked(database, f"SELECT max(batch) FROM {batches_beside(table)} WHERE {_own(commit)}")[0][0]
    return found


def _has_batches(database: Database, table: Table) -> bool:
    return bool(asked(database, f"SELECT to_regclass({literal(batches_beside(table))}) IS NOT NULL")[0][0])


def claimed(connection: psycopg.Connection, table: Table, commit: Commit) -> bool:
    """True where this batch is not in yet: it is noted now, and whoever else moves it waits for the end of this."""
    claim = (
        f"INSERT INTO {batches_beside(table)} (job, sink, checkpoint, batch, run_id) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT DO NOTHING"
    )
    values = (*parts_of(commit), commit.batch, commit.note.get("run_id"))
    return run(connection, claim, values).rowcount == 1


def noted(connection: psycopg.Connection, table: Table, commit: Commit) -> Moved:
    """What the batch did, which is in already."""
    own = f"WHERE {_own(commit)} AND batch = {commit.batch}"
    query = f"SELECT rows, inserted, updated, unchanged FROM {batches_beside(table)} {own}"
    return Moved(*run(connection, query).fetchall()[0])


def note(connection: psycopg.Connection, table: Table, commit: Commit, done: Moved) -> None:
    """Notes what the claimed batch did, and forgets old ones."""
    own, batches = _own(commit), batches_beside(table)
    counts = f"rows = {done.rows}, inserted = {done.inserted}, updated = {done.updated}, unchanged = {done.unchanged}"
    run(connection, f"UPDATE {batches} SET {counts} WHERE {own} AND batch = {commit.batch}")
    run(connection, f"DELETE FROM {batches} WHERE {own} AND batch <= {commit.batch - _KEPT}")


def parts_of(commit: Commit) -> tuple[str, str, str]:
    """Job, sink and checkpoint of an identity."""
    job, _, rest = commit.app_id.partition("/")
    sink, _, checkpoint = rest.rpartition("/")
    return job, sink, checkpoint


def _of_job(commit: Commit) -> str:
    job, sink, _ = parts_of(commit)
    return f"job = {literal(job)} AND sink = {literal(sink)}"


def _own(commit: Commit) -> str:
    return f"{_of_job(commit)} AND checkpoint = {literal(parts_of(commit)[2])}"
