"""The driver's own questions to a database: few connections, used again, and asked again where that helps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

from lakehouse.databases.address import CONNECT_SECONDS, Address, for_psycopg
from lakehouse.databases.retries import retried
from lakehouse.errors import LakehouseError

T = TypeVar("T")
Row = tuple[Any, ...]

_MOST = 3  # connections: one that holds a snapshot, one that asks, one to spare
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())  # what it says, an error of ours says better


@dataclass(frozen=True)
class Database:
    """An open database: whoever asks raises `kind` for `what` (a source or sink by name)."""

    address: Address
    pool: ConnectionPool
    kind: type[LakehouseError]
    what: str


@contextmanager
def opened(address: Address, kind: type[LakehouseError], what: str) -> Iterator[Database]:
    """The database, its connections closed at the end; raises `kind` where it cannot be reached."""
    # the pool would hide why a first connection fails
    retried(lambda: psycopg.connect(**for_psycopg(address)).close(), address, kind, what)
    pool = ConnectionPool(
        kwargs=for_psycopg(address),
        min_size=0,
        max_size=_MOST,
        timeout=CONNECT_SECONDS,
        check=ConnectionPool.check_connection,
        open=True,
    )
    with pool:
        yield Database(address, pool, kind, what)


def within(database: Database, work: Callable[[psycopg.Connection], T]) -> T:
    """What the work gives, in one transaction that is committed at its end; all of it again where what stopped it passes."""

    def attempt() -> T:
        with database.pool.connection() as connection:
            return work(connection)

    return retried(attempt, database.address, database.kind, database.what)


def asked(database: Database, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """The rows of a query."""
    return within(database, lambda connection: run(connection, query, parameters).fetchall())


def run(connection: psycopg.Connection, query: str, parameters: Sequence[Any] = ()) -> psycopg.Cursor[Row]:
    """One statement; identifiers in it are quoted by `identifier`, values are parameters.

    Without parameters its text goes as it stands: a user's query may hold `%`.
    """
    return connection.execute(query.encode(), parameters or None)


@contextmanager
def snapshot(database: Database) -> Iterator[str]:
    """The name of a snapshot that other connections can read, for as long as the block lasts."""

    def begun() -> tuple[psycopg.Connection, str]:
        connection = psycopg.connect(**for_psycopg(database.address))
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection, str(run(connection, "SELECT pg_export_snapshot()").fetchall()[0][0])

    connection, name = retried(begun, database.address, database.kind, database.what)
    try:
        yield name
    finally:
        connection.close()


def identifier(name: str) -> str:
    """A name as PostgreSQL's SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as a literal of PostgreSQL's SQL."""
    quoted = value.replace("'", "''")
    return f"E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in quoted else f"'{quoted}'"
