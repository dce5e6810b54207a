"""Rows on their way into a database's table: staged beside it, then moved by one transaction that notes their batch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import psycopg
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.commits import Commit
from lakehouse.databases.address import for_spark
from lakehouse.databases.control import Database, asked, identifier, literal, run, within
from lakehouse.databases.relations import Table, list_of
from lakehouse.databases.retries import retried
from lakehouse.databases.target_columns import Move
from lakehouse.errors import counted
from lakehouse.frames import NAMED, col, named

BATCHES = "lakehouse_batches"
_PREFIX = "lakehouse_staging_"
_ROW = "lakehouse_row"  # numbers the staged rows: a task that Spark ran twice has written its rows twice
_WRITERS = 8  # connections at once
_KEPT = 1000  # batches of a job that stay noted
_MADE = """
CREATE TABLE IF NOT EXISTS {table} (
    job text, sink text, checkpoint text, batch bigint, run_id text, rows bigint, inserted bigint, updated bigint,
    unchanged bigint, written_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (job, sink, checkpoint, batch))
"""


@dataclass(frozen=True)
class Target:
    """Where a batch goes: the table, how each column comes into it, the keys (none: rows are added), and whose batch it is."""

    database: Database
    table: Table
    moves: Sequence[Move]
    keys: Sequence[str]
    commit: Commit
    masked: Collection[str] = ()

    @property
    def batches(self) -> str:
        """The table that notes the batches, in the target's own schema."""
        return batches_beside(self.table)

    @property
    def staging(self) -> str:
        """The batch's own staging table."""
        return f"{identifier(self.table.schema)}.{identifier(f'{_prefix(self.commit)}{self.commit.batch}')}"


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


def prepare(target: Target) -> None:
    """Makes the table of batches and the batch's staging table, and drops what dead batches left of theirs.

    Raises the database's error kind where the batches noted there and the job's progress tell two stories.
    """
    database, schema = target.database, target.table.schema
    within(database, lambda connection: run(connection, _MADE.format(table=target.batches)))
    _require_one_story(target)
    left = asked(
        database,
        f"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = {literal(schema)} "
        f"AND starts_with(tablename, {literal(_prefix(target.commit))})",
    )
    columns = ", ".join(f"{identifier(move.column.name)} {move.own_type}" for move in target.moves)
    made = f"CREATE UNLOGGED TABLE {target.staging} ({columns}, {_ROW} bigint)"

    def work(connection: psycopg.Connection) -> None:
        for (name,) in left:
            run(connection, f"DROP TABLE IF EXISTS {name}")
        run(connection, f"DROP TABLE IF EXISTS {target.staging}")
        run(connection, made)

    within(database, work)


def stage(target: Target, rows: DataFrame, batch_size: int) -> bool:
    """Writes the rows into the staging table by Spark; what an earlier try left there is emptied first.

    True where it took more than one try: what was counted in passing is of the first then, and wrong.
    """
    chosen = [col(move.field.name).alias(move.column.name) for move in target.moves]
    # not by the writer's numPartitions: it looks at the partitions in an action of its own, and what is counted in
    # passing would be counted there, as nothing
    frame = rows.select(*chosen, F.monotonically_increasing_id().alias(_ROW)).coalesce(_WRITERS)
    options = {**for_spark(target.database.address), "dbtable": target.staging, "batchsize": str(batch_size)}
    options["reWriteBatchedInserts"] = "true"
    database = target.database
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        within(database, lambda connection: run(connection, f"TRUNCATE {target.staging}"))
        frame.write.format("jdbc").mode("append").options(**options).save()

    retried(attempt, database.address, database.kind, database.what)
    return len(tries) > 1


def move(target: Target) -> Moved:
    """Moves the staged rows and notes the batch, in one transaction; what it did. Nothing is moved where any row cannot be.

    Raises the database's error kind for keys that are NULL or come with different rows, and for what the table refuses.
    """

    def work(connection: psycopg.Connection) -> Moved:
        # who changes one of these rows meanwhile makes this begin again: so the counts are right
        run(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if not _claimed(connection, target):
            done = _noted(connection, target)
        else:
            run(connection, _without_repeats(target))
            run(connection, f"ANALYZE {target.staging}")
            done = _upserted(connection, target) if target.keys else _appended(connection, target)
            _note(connection, target, done)
        run(connection, f"DROP TABLE IF EXISTS {target.staging}")
        return done

    return within(target.database, work)


def _appended(connection: psycopg.Connection, target: Target) -> Moved:
    names = list_of([move.column.name for move in target.moves])
    values = ", ".join(move.value for move in target.moves)
    count = run(
        connection, f"INSERT INTO {target.table.quoted} ({names}) SELECT {values} FROM {target.staging} s"
    ).rowcount
    return Moved(count, count, 0, 0)


def _upserted(connection: psycopg.Connection, target: Target) -> Moved:
    """INSERT .. ON CONFLICT DO UPDATE of one row a key; rows that change nothing are left alone."""
    _require_clean_keys(connection, target)
    names, keys = [move.column.name for move in target.moves], list_of(target.keys)
    values = ", ".join(move.value for move in target.moves)
    others = [move for move in target.moves if move.column.name not in target.keys]
    assigned = ", ".join(f"{identifier(move.column.name)} = EXCLUDED.{identifier(move.column.name)}" for move in others)
    changed = " OR ".join(_differs(move) for move in others)
    conflict = f"DO UPDATE SET {assigned} WHERE {changed}" if others else "DO NOTHING"
    insert = (
        f"INSERT INTO {target.table.quoted} AS t ({list_of(names)}) SELECT DISTINCT ON ({_of_key(target)}) {values} "
        f"FROM {target.staging} s ON CONFLICT ({keys}) {conflict}"
    )
    there, new = run(connection, _counts(target)).fetchall()[0]
    touched = run(connection, insert).rowcount
    return Moved(there, new, touched - new, there - touched)


def _counts(target: Target) -> str:
    """How many rows are staged, and how many of their keys the table does not have."""
    same = " AND ".join(
        f"t.{identifier(item.column.name)} = {item.value}" for item in target.moves if item.column.name in target.keys
    )
    missing = f"SELECT FROM {target.table.quoted} t WHERE {same}"
    return f"SELECT count(*), count(DISTINCT ({_of_key(target)})) FILTER (WHERE NOT EXISTS ({missing})) FROM {target.staging} s"


def _differs(move: Move) -> str:
    name, cast = identifier(move.column.name), "::text" if move.column.type in ("json", "xml") else ""
    return f"t.{name}{cast} IS DISTINCT FROM EXCLUDED.{name}{cast}"


def _require_clean_keys(connection: psycopg.Connection, target: Target) -> None:
    """Raises where a key is NULL, or comes with different rows: which of them should win is for the job to say."""
    database, keys, own = target.database, target.keys, _of_key(target)
    nulls = " OR ".join(f"s.{identifier(key)} IS NULL" for key in keys)
    without = run(connection, f"SELECT count(*) FROM {target.staging} s WHERE {nulls}").fetchall()[0][0]
    if without:
        said = counted(without, "row has", "rows have")
        raise database.kind(
            f"{database.what}: {said} NULL in the key ({', '.join(keys)}): add the rule not_null for it; nothing was moved"
        )
    row = ", ".join(f"s.{identifier(move.column.name)}" for move in target.moves)
    clashes = f"SELECT {own} FROM {target.staging} s GROUP BY {own} HAVING count(DISTINCT ROW({row})::text) > 1"
    number = run(connection, f"SELECT count(*) FROM ({clashes}) AS clashes").fetchall()[0][0]
    if number:
        shown = named(keys, run(connection, f"{clashes} ORDER BY {own} LIMIT {NAMED}").fetchall(), target.masked)
        raise database.kind(
            f"{database.what}: {counted(number, 'key has', 'keys have')} different rows in one batch ({shown}): say which "
            "one counts with the transform keep_latest; nothing was moved"
        )


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


def _require_one_story(target: Target) -> None:
    """The batches noted in the database must be those before this one."""
    database, commit = target.database, target.commit
    last = asked(database, f"SELECT max(batch) FROM {target.batches} WHERE {_own(commit)}")[0][0]
    if last is not None and last != commit.batch - 1:
        behind = "was set back behind" if last < commit.batch else "is ahead of"
        raise database.kind(
            f"{database.what}: {target.table.quoted} in {database.address} {behind} the job's checkpoint (batch {last} there, "
            f"{commit.batch - 1} here); restore the one that fits the other, or run with --full-refresh"
        )


def _has_batches(database: Database, table: Table) -> bool:
    return bool(asked(database, f"SELECT to_regclass({literal(batches_beside(table))}) IS NOT NULL")[0][0])


def _without_repeats(target: Target) -> str:
    return f"DELETE FROM {target.staging} a USING {target.staging} b WHERE a.{_ROW} = b.{_ROW} AND a.ctid > b.ctid"


def _claimed(connection: psycopg.Connection, target: Target) -> bool:
    """True where this batch is not in yet: it is noted now, and whoever else moves it waits for the end of this."""
    job, sink, checkpoint = _parts(target.commit)
    claim = (
        f"INSERT INTO {target.batches} (job, sink, checkpoint, batch, run_id) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT DO NOTHING"
    )
    values = (job, sink, checkpoint, target.commit.batch, target.commit.note.get("run_id"))
    return run(connection, claim, values).rowcount == 1


def _noted(connection: psycopg.Connection, target: Target) -> Moved:
    own = f"WHERE {_own(target.commit)} AND batch = {target.commit.batch}"
    return Moved(
        *run(connection, f"SELECT rows, inserted, updated, unchanged FROM {target.batches} {own}").fetchall()[0]
    )


def _note(connection: psycopg.Connection, target: Target, done: Moved) -> None:
    own, batch = _own(target.commit), target.commit.batch
    counts = f"rows = {done.rows}, inserted = {done.inserted}, updated = {done.updated}, unchanged = {done.unchanged}"
    run(connection, f"UPDATE {target.batches} SET {counts} WHERE {own} AND batch = {batch}")
    run(connection, f"DELETE FROM {target.batches} WHERE {own} AND batch <= {batch - _KEPT}")


def _of_key(target: Target) -> str:
    """The key's values as the table has them: two texts may be one uuid."""
    values = {move.column.name: move.value for move in target.moves}
    return ", ".join(values[key] for key in target.keys)


def _parts(commit: Commit) -> tuple[str, str, str]:
    """Job, sink and checkpoint of an identity."""
    job, _, rest = commit.app_id.partition("/")
    sink, _, checkpoint = rest.rpartition("/")
    return job, sink, checkpoint


def _of_job(commit: Commit) -> str:
    job, sink, _ = _parts(commit)
    return f"job = {literal(job)} AND sink = {literal(sink)}"


def _own(commit: Commit) -> str:
    return f"{_of_job(commit)} AND checkpoint = {literal(_parts(commit)[2])}"


def _prefix(commit: Commit) -> str:
    """How the staging tables of a job's sink begin: within the 63 bytes that PostgreSQL keeps of a name."""
    job, sink, _ = _parts(commit)
    return f"{_PREFIX}{hashlib.sha256(f'{job}/{sink}'.encode()).hexdigest()[:12]}_"
