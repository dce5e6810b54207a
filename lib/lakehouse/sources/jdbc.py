"""The source `jdbc`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pyspark.sql import DataFrame, SparkSession

from lakehouse.databases.address import Address, address_of
from lakehouse.databases.bounds import next_range
from lakehouse.databases.control import opened
from lakehouse.databases.copying import as_source, copied_rows, copy_rows
from lakehouse.databases.reading import Asked, frame, reading_of
from lakehouse.databases.relations import relation_of
from lakehouse.errors import DataError, SinkError
from lakehouse.registry import Columns, Duration, Secret, source
from lakehouse.sources import Read
from lakehouse.storage import delete_tree

_WHAT = "source 'jdbc'"
_NO_SNAPSHOT = "the parts were read at different moments: no snapshot (isolation: repeatable_read gives one)"


def is_incremental(*, cursor_column: str | None, **_: Any) -> str | None:
    """How it can be read incrementally: not at all without a column to go by."""
    return "pin" if cursor_column is not None else None


def sense(
    *, url: str, user: str | None, password: str | None, table: str | None, query: str | None, cursor_column: str | None,
    lookback: str | int | None, keys: Sequence[str] | None, partition_column: str | None, num_partitions: int | None,
    fetch_size: int, isolation: str,
) -> None:  # fmt: skip
    """Raises ValueError where the options do not go together."""
    address_of(url, user, password)
    if (table is None) == (query is None):
        raise ValueError("needs either 'table' or 'query'")
    if lookback is not None and not (keys and cursor_column):
        raise ValueError("'lookback' reads rows again and needs 'keys' to know them by, and a 'cursor_column'")
    if (partition_column is None) != (num_partitions is None):
        raise ValueError("'partition_column' and 'num_partitions' go together")
    if min(fetch_size, num_partitions or 1) < 1:
        raise ValueError("'fetch_size' and 'num_partitions' are at least 1")


def pin(
    read: Read, *, url: str, user: str | None, password: str | None, table: str | None, query: str | None,
    cursor_column: str | None, lookback: str | int | None, keys: Sequence[str] | None, num_partitions: int | None,
    isolation: str, **_: Any,
) -> dict[str, Any] | None:  # fmt: skip
    """The range to take next, its end fixed at the greatest value that is there now; None where nothing is new.

    Raises DataError where the database, the table or the column is not as the job says.
    """
    address, own = address_of(url, user, password), {"_copy": secrets.token_hex(8)}
    notes = [_NO_SNAPSHOT] if (num_partitions or 1) > 1 and isolation != "repeatable_read" else []
    if not read.incremental or cursor_column is None:
        with opened(address, DataError, _WHAT) as database:
            relation_of(database, table, query)
        return {**own, "_notes": notes}
    found = _range(address, Asked(table, query, cursor_column, lookback, keys or ()), _progress(read, cursor_column))
    return None if found is None else {**own, **found, "_notes": [*found["_notes"], *notes]}


def start_at(to: str) -> dict[str, str]:
    """`--to`: a value of the cursor column, as the database writes it; its rows and those after it are taken again."""
    if not to.strip():
        raise ValueError("a value of its cursor_column: a number, or a time such as 2026-01-31 12:00")
    return {"from": to.strip()}


@source(incremental=is_incremental, pin=pin, sense=sense, start_at=start_at, one_batch=True)
def jdbc(
    spark: SparkSession,
    *,
    url: str,
    user: str | None = None,
    password: Secret | None = None,
    table: str | None = None,
    query: str | None = None,
    cursor_column: str | None = None,
    lookback: Duration | int | None = None,
    keys: Columns | None = None,
    partition_column: str | None = None,
    num_partitions: int | None = None,
    fetch_size: int = 10_000,
    isolation: Literal["read_committed", "repeatable_read"] = "read_committed",
    read: Read,
) -> DataFrame | None:
    """A table or query of a PostgreSQL database: whole, or by a `cursor_column` what is new since the last run.

    The rows of a batch are copied beside the job's progress first, in one reading: every later look at them, also after
    a crash, sees the same. With a `lookback` rows that were committed late are taken, those taken before are not. None
    where the range holds no row that is new.
    """
    place = f"{read.copies}/{read.pin['_copy']}" if read.copies is not None else None
    if place is None or copied_rows(spark, place) is None:
        if read.repeats:
            raise SinkError(f"{place}, the rows of the batch in hand, are gone; run the job with --full-refresh")
        asked = Asked(
            table, query, cursor_column, lookback, keys or (), partition_column, num_partitions or 1, fetch_size
        )
        with opened(address_of(url, user, password), DataError, _WHAT) as database:
            reading = reading_of(database, asked, read.pin)
            if place is None:
                return as_source(frame(spark, database, reading, None), cursor_column, rescue=read.rescue)
            copy_rows(spark, database, reading, place, one_snapshot=isolation == "repeatable_read")
    rows = copied_rows(spark, place)
    if rows is None or ("to" in read.pin and rows.isEmpty()):
        delete_tree(place)
        return None
    return as_source(rows, cursor_column, rescue=read.rescue)


def _range(address: Address, asked: Asked, last: Mapping[str, Any]) -> dict[str, Any] | None:
    with opened(address, DataError, _WHAT) as database:
        reading = reading_of(database, asked, {"to": None})
        assert reading.cursor is not None  # noqa: S101 (it is asked for)
        found = next_range(database, reading.relation, reading.cursor, last)
    if found is None:
        return None
    knows = asked.lookback is not None and "_since" in last
    return {**found, "_cursor": asked.cursor_column, "_last": last["_copy"] if knows else None}


def _progress(read: Read, cursor_column: str) -> Mapping[str, Any]:
    """Where the last batch ended, or a reset began (`start`); raises DataError where it went by another column."""
    before = read.last.get("_cursor") if read.last else cursor_column
    if before != cursor_column:
        raise DataError(
            f"{_WHAT}: the last run went by {before or 'no column'}, which says nothing of {cursor_column}; "
            "take it back, or run with --full-refresh"
        )
    return {**read.last, "start": read.start.get("from")}
