"""A relation of a database as a frame of Spark's, in one part or several, each row once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lakehouse.databases.address import for_spark
from lakehouse.databases.bounds import Cursor, condition, cursor_of, parts_of
from lakehouse.databases.control import Database, identifier
from lakehouse.databases.relations import RELATION, Column, columns_of, relation_of, require_columns
from lakehouse.databases.values import WHOLE, any_unfit, selected
from lakehouse.frames import HIDDEN_PREFIX

UNPLACED = f"{HIDDEN_PREFIX}unplaced"  # true for a row that the cursor column gives no place
OVERLAPS = f"{HIDDEN_PREFIX}overlaps"  # true for a row that the next run reads again
_PART = f"{HIDDEN_PREFIX}part"


@dataclass(frozen=True)
class Reading:
    """What is read: a relation with its columns, by ranges of one of them, and of a cursor what the pin says."""

    relation: str
    columns: Sequence[Column]
    cursor: Cursor | None
    pin: Mapping[str, Any]
    partition_column: str | None
    num_partitions: int
    fetch_size: int
    known_by: Sequence[str] = ()
    """What tells a row that was read again: its keys and the cursor column; nothing without a lookback."""


@dataclass(frozen=True)
class Asked:
    """What a job asks for, in the words of its YAML."""

    table: str | None
    query: str | None
    cursor_column: str | None
    lookback: str | int | None = None
    keys: Sequence[str] = ()
    partition_column: str | None = None
    num_partitions: int = 1
    fetch_size: int = 1


def reading_of(database: Database, asked: Asked, pin: Mapping[str, Any]) -> Reading:
    """What is read, held against the database; raises its error kind for a table, column or type that is not as asked.

    By the cursor only where the pin has a range of it.
    """
    relation = relation_of(database, asked.table, asked.query)
    columns = columns_of(database, relation)
    cursor, known_by = None, []
    if asked.cursor_column is not None and "to" in pin:
        column, *keys = require_columns(database, columns, [asked.cursor_column, *asked.keys])
        cursor = cursor_of(database, column, asked.lookback)
        known_by = [item.name for item in (*keys, column)] if asked.lookback is not None else []
    return Reading(
        relation, columns, cursor, pin, asked.partition_column, asked.num_partitions, asked.fetch_size, known_by
    )


def frame(spark: SparkSession, database: Database, reading: Reading, snapshot: str | None) -> DataFrame:
    """The rows, not read yet; all parts see the `snapshot`, where there is one."""
    where = condition(reading.cursor, reading.pin) if reading.cursor is not None else "true"
    expressions, parts = _expressions(reading), ["true"]
    if reading.partition_column is not None:
        column = require_columns(database, reading.columns, [reading.partition_column])[0]
        # as it is, beside what Spark gets of it: so that each part can go by an index
        expressions.append(f"{identifier(column.name)} AS {_PART}")
        found = parts_of(database, reading.relation, column, reading.num_partitions, where)
        parts = [part.replace(identifier(column.name), _PART) for part in found]
    options = {**for_spark(database.address), "fetchsize": str(reading.fetch_size)}
    options["sessionInitStatement"] = "; ".join([*_joining(snapshot), "SET TIME ZONE 'UTC'"])
    rows = f"(SELECT {', '.join(expressions)} FROM {reading.relation} WHERE {where}) AS lakehouse_rows"
    return spark.read.jdbc(options.pop("url"), rows, predicates=parts, properties=options).drop(_PART)


def _expressions(reading: Reading) -> list[str]:
    """The columns for Spark, and what is noted beside them."""
    found, cursor, aside = selected(reading.columns), reading.cursor, [any_unfit(reading.columns)]
    if cursor is not None:
        found.append(f"{cursor.unplaced} AS {UNPLACED}")
        aside.append(cursor.unplaced)
        if cursor.lookback is not None:
            again = (
                f"{cursor.name} >= {cursor.earlier(cursor.value(reading.pin['to']))}" if reading.pin["to"] else "false"
            )
            found.append(f"coalesce({again}, false) AND NOT {cursor.unplaced} AS {OVERLAPS}")
    if aside != ["false"]:
        found.append(f"CASE WHEN {' OR '.join(aside)} THEN row_to_json({RELATION})::text END AS {WHOLE}")
    return found


def _joining(snapshot: str | None) -> list[str]:
    if snapshot is None:
        return []
    level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    return [level, f"SET TRANSACTION SNAPSHOT '{snapshot}'"]
