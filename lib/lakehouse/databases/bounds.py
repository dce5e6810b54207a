"""From where to where an incremental read goes, fixed at its start; and the ranges of a read in several parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lakehouse.databases.control import Database, asked, identifier, literal
from lakehouse.databases.relations import RELATION, Column
from lakehouse.errors import counted

NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
TIMES = frozenset({"timestamp", "timestamptz", "date"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "uuid"})
# A time that is still to come would end every later read there: it waits until the server's clock has reached it.
_NOW = {"timestamptz": "clock_timestamp()", "timestamp": "localtimestamp", "date": "current_date"}
_MOST_UNPLACED = 1000


@dataclass(frozen=True)
class Cursor:
    """The column that an incremental read goes by, and how far it goes back for rows that were committed late."""

    column: Column
    lookback: str | int | None

    @property
    def name(self) -> str:
        """The column's name for SQL."""
        return identifier(self.column.name)

    @property
    def unplaced(self) -> str:
        """True for a row that has no place in the order: NULL, infinite or no number."""
        if self.column.type in TIMES:
            return f"({self.name} IS NULL OR NOT isfinite({self.name}))"
        if self.column.type in ("numeric", "float4", "float8"):
            return f"({self.name} IS NULL OR {self.name}::text IN ('NaN', 'Infinity', '-Infinity'))"
        return f"{self.name} IS NULL"

    def value(self, text: str) -> str:
        """A value of the column for SQL, out of its text."""
        return f"{literal(text)}::{self.column.type}"

    def earlier(self, value: str) -> str:
        """A value for SQL, put back by the lookback."""
        if isinstance(self.lookback, int):
            return f"({value} - {self.lookback})::{self.column.type}"
        return f"({value} - interval {literal(str(self.lookback))})::{self.column.type}"


def cursor_of(database: Database, column: Column, lookback: str | int | None) -> Cursor:
    """The cursor; raises the database's error kind where the column cannot be one, or the lookback is no distance on it."""
    said, kind = f"{database.what}: cursor_column {column.name} is {column.type}", column.type
    if kind not in NUMBERS | TIMES | _TEXTS:
        raise database.kind(f"{said}, which has no order to go by; name a number, a time or a text that grows")
    if kind == "date" and lookback is None:
        raise database.kind(f"{said}: more rows of its last day come later; set lookback: 1 day, and keys")
    fits = lookback is None or (kind in NUMBERS if isinstance(lookback, int) else kind in TIMES)
    if not fits:
        raise database.kind(f"{said}: a lookback is a length of time for a time, and a number for a number")
    return Cursor(column, lookback)


def next_range(database: Database, relation: str, cursor: Cursor, last: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to read next, as a pin; None where nothing is new.

    `after` or `from` (which counts too) is where it begins, `to` where it ends; with a lookback, rows taken are known
    from `_since` on. `_unplaced` are the rows without a place that were taken aside, by the digest of each.
    """
    begin = _begin(database, cursor, last)
    newest, waiting = _newest(database, relation, cursor, begin)
    unplaced = _unplaced(database, relation, cursor)
    is_new = newest is not None and (newest != last.get("to") or cursor.lookback is not None)
    if not is_new and set(unplaced) <= set(last.get("_unplaced", ())):
        return None
    end = newest if newest is not None else last.get("to")
    notes = [f"{counted(waiting, 'row waits', 'rows wait')}: {cursor.column.name} is still to come"] if waiting else []
    pin = {**begin, "to": end, "_unplaced": unplaced, "_known": list(last.get("_unplaced", ())), "_notes": notes}
    return pin | ({"_since": _since(database, cursor, begin, end)} if cursor.lookback is not None and end else {})


def condition(cursor: Cursor, pin: Mapping[str, Any]) -> str:
    """True for the rows of a pinned range, and for those without a place that were not taken aside before."""
    parts = [] if pin["to"] is not None else ["false"]
    if pin["to"] is not None:
        parts += [f"{cursor.name} <= {cursor.value(pin['to'])}", f"NOT {cursor.unplaced}", *_from(cursor, pin)]
    known = ", ".join(map(literal, pin["_known"]))
    aside = f"{cursor.unplaced}" + (f" AND md5({RELATION}::text) NOT IN ({known})" if known else "")
    return f"({' AND '.join(parts)}) OR ({aside})"


def parts_of(database: Database, relation: str, column: Column, number: int, where: str) -> list[str]:
    """The conditions of so many parts of about equal length on a column; every row is in exactly one."""
    if column.type not in NUMBERS | TIMES:
        raise database.kind(
            f"{database.what}: partition_column {column.name} is {column.type}; name a number, a date or a time"
        )
    name, kind = identifier(column.name), column.type
    finite = f"NOT {Cursor(column, None).unplaced}"
    ends = f"SELECT min({name}) AS low, max({name}) AS high FROM {relation} WHERE ({where}) AND {finite}"
    low, high = ("low::numeric", "high::numeric") if kind in NUMBERS else ("low", "high")
    cuts = f"SELECT DISTINCT ({low} + ({high} - {low}) * i / {number})::{kind} AS cut FROM generate_series(1, {number - 1}) i, ({ends}) AS ends"
    texts = [
        row[0] for row in asked(database, f"SELECT cut::text FROM ({cuts}) AS cuts WHERE cut IS NOT NULL ORDER BY cut")
    ]
    values = [f"{literal(text)}::{kind}" for text in texts]
    if not values:
        return ["true"]
    between = [f"{name} >= {a} AND {name} < {b}" for a, b in pairwise(values)]
    return [f"{name} < {values[0]} OR {name} IS NULL", *between, f"{name} >= {values[-1]}"]


def _begin(database: Database, cursor: Cursor, last: Mapping[str, Any]) -> dict[str, str]:
    """`after` or `from`: no further back than rows are known to have been taken."""
    end = last.get("to")
    if end is None:
        return {"from": last["start"]} if last.get("start") is not None else {}
    if cursor.lookback is None or "_since" not in last:
        return {"after": end}
    wanted = cursor.earlier(cursor.value(end))
    since = last["_since"]
    text, is_known = _later(database, wanted, cursor.value(since["value"]))
    return {"from" if is_known or since["counts"] else "after": text}


def _since(database: Database, cursor: Cursor, begin: Mapping[str, str], end: str) -> dict[str, Any]:
    """From where on the next run knows which rows were taken, and whether that very value counts."""
    wanted = cursor.earlier(cursor.value(end))
    if not begin:
        return {"value": asked(database, f"SELECT ({wanted})::text")[0][0], "counts": True}
    ((word, value),) = begin.items()
    text, is_later = _later(database, wanted, cursor.value(value))
    return {"value": text, "counts": is_later or word == "from"}


def _later(database: Database, one: str, other: str) -> tuple[str, bool]:
    """The later of two values of SQL, and whether it is the first."""
    text, is_one = asked(database, f"SELECT greatest({one}, {other})::text, {one} > {other}")[0]
    return str(text), bool(is_one)


def _newest(database: Database, relation: str, cursor: Cursor, begin: Mapping[str, str]) -> tuple[str | None, int]:
    """The greatest value that is there now, and how many rows are dated after the server's clock."""
    where = " AND ".join([f"NOT {cursor.unplaced}", *_from(cursor, begin)])
    now = _NOW.get(cursor.column.type)
    if now is None:
        order = f"SELECT {cursor.name}::text FROM {relation} WHERE {where} ORDER BY {cursor.name} DESC LIMIT 1"
        found = asked(database, order)
        return (found[0][0] if found else None), 0
    newest = f"SELECT max({cursor.name})::text FROM {relation} WHERE {where} AND {cursor.name} <= {now}"
    waiting = f"SELECT count(*) FROM {relation} WHERE NOT {cursor.unplaced} AND {cursor.name} > {now}"
    return asked(database, newest)[0][0], int(asked(database, waiting)[0][0])


def _unplaced(database: Database, relation: str, cursor: Cursor) -> list[str]:
    """The digests of the rows that have no place in the order; raises the database's error kind where there are too many."""
    found = f"SELECT md5({RELATION}::text) FROM {relation} WHERE {cursor.unplaced} LIMIT {_MOST_UNPLACED + 1}"
    digests = sorted({row[0] for row in asked(database, found)})
    if len(digests) > _MOST_UNPLACED:
        raise database.kind(
            f"{database.what}: more than {_MOST_UNPLACED:,} rows have no {cursor.column.name}, so that an incremental read "
            "never comes to them; fill the column, or name another cursor_column"
        )
    return digests


def _from(cursor: Cursor, begin: Mapping[str, Any]) -> Sequence[str]:
    signs = {"after": ">", "from": ">="}
    return [f"{cursor.name} {signs[word]} {cursor.value(begin[word])}" for word in signs if word in begin]
