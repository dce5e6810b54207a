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
from lakehouse.databases.noted_batches import Moved, claimed, make_batches, note, noted, parts_of, require_one_story
from lakehouse.databases.relations import Table, list_of
from lakehouse.databases.retries import retried
from lakehouse.databases.target_columns import Move
from lakehouse.errors import counted
from lakehouse.frames import NAMED, col, named

_PREFIX = "lakehouse_staging_"
_ROW = "lakehouse_row"  # numbers the staged rows: a task that Spark ran twice has written its rows twice
_WRITERS = 8  # connections at once


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
    def staging(self) -> str:
        """The batch's own staging table."""
        return f"{identifier(self.table.schema)}.{identifier(f'{_prefix(self.commit)}{self.commit.batch}')}"


def prepare(target: Target) -> None:
    """Makes the table of batches and the batch's staging table, and drops what dead batches left of theirs.

    Raises the database's error kind where the batches noted there and the job's progress tell two stories.
    """
    database, schema = target.database, target.table.schema
    make_batches(database, target.table)
    require_one_story(database, target.table, target.commit)
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
        if not claimed(connection, target.table, target.commit):
            done = noted(connection, target.table, target.commit)
        else:
            run(connection, _without_repeats(target))
            run(connection, f"ANALYZE {target.staging}")
            done = _upserted(connection, target) if target.keys else _appended(connection, target)
            note(connection, target.table, target.commit, done)
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


def _without_repeats(target: Target) -> str:
    return f"DELETE FROM {target.staging} a USING {target.staging} b WHERE a.{_ROW} = b.{_ROW} AND a.ctid > b.ctid"


def _of_key(target: Target) -> str:
    """The key's values as the table has them: two texts may be one uuid."""
    values = {move.column.name: move.value for move in target.moves}
    return ", ".join(values[key] for key in target.keys)


def _prefix(commit: Commit) -> str:
    """How the staging tables of a job's sink begin: within the 63 bytes that PostgreSQL keeps of a name."""
    job, sink, _ = parts_of(commit)
    return f"{_PREFIX}{hashlib.sha256(f'{job}/{sink}'.encode()).hexdigest()[:12]}_"
