"""What `scd1`, `scd2`, `scd3` and `snapshot` must leave in their target, in plain Python: slow, short and obviously right.

Rows are dicts. A struct is a dict (fields in the type's order), an array a list, a map a list of pairs. Each function
takes all that ever arrived, in any order; the rules in brackets are those of the project's text on change data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

Row = dict[str, Any]
Rank = tuple[Any, ...]
Predicate = Callable[[Row], Any]

IS_DELETED = "__IS_DELETED"
NULL: Rank = (0,)


@dataclass(frozen=True)
class Options:
    """The options of a sink under their YAML names; the two conditions are predicates that may return None (false)."""

    keys: Sequence[str]
    sequence_by: Sequence[str] = ()
    apply_as_deletes: Predicate = lambda event: False
    apply_as_truncates: Predicate = lambda event: False
    column_list: Sequence[str] | None = None
    except_column_list: Sequence[str] | None = None
    ignore_null_updates: bool = False
    ignore_null_updates_column_list: Sequence[str] | None = None
    ignore_null_updates_except_column_list: Sequence[str] | None = None
    track_history_column_list: Sequence[str] | None = None
    track_history_except_column_list: Sequence[str] | None = None
    keep_previous: Sequence[str] = ()
    start_column: str = "__START_AT"
    end_column: str = "__END_AT"

    def keeps(self, column: str) -> bool:
        """R8 of a non-key column."""
        return chosen(column, self.column_list, self.except_column_list, default=True)

    def tracks(self, column: str) -> bool:
        return chosen(column, self.track_history_column_list, self.track_history_except_column_list, default=True)

    def inherits(self, column: str) -> bool:
        """R10: a NULL in this column declines to change it."""
        lists = self.ignore_null_updates_column_list, self.ignore_null_updates_except_column_list
        return chosen(column, *lists, default=self.ignore_null_updates)


def chosen(column: str, only: Sequence[str] | None, but: Sequence[str] | None, *, default: bool) -> bool:
    if only is not None and but is not None:
        raise ValueError("a list and its except list")
    if only is not None:
        return column in only
    return column not in but if but is not None else default


def rank(value: Any) -> Rank:
    """What values are compared and ordered by: NULL lowest, NaN greatest and equal to itself, 0.0 = -0.0, maps by sorted entries."""
    if value is None:
        return NULL
    if isinstance(value, float) and math.isnan(value):
        return (2,)
    if isinstance(value, str):
        return (1, value.encode())
    if isinstance(value, dict):
        return (1, tuple(rank(field) for field in value.values()))
    if isinstance(value, list | tuple):
        items = [rank(item) for item in value]
        return (1, tuple(sorted(items) if value and isinstance(value[0], tuple) else items))
    return (1, value)  # False < True; int, float and Decimal compare exactly; times


def equal(left: Row, right: Row, columns: Iterable[str]) -> bool:
    return all(rank(left.get(column)) == rank(right.get(column)) for column in columns)


def part(row: Row, columns: Sequence[str]) -> Row:
    return {column: row.get(column) for column in columns}


def ranks(row: Row, columns: Sequence[str]) -> Rank:
    return tuple(rank(row.get(column)) for column in columns)


def others(rows: Iterable[Row], options: Options) -> list[str]:
    """The kept non-key columns, in name order (R7, R8)."""
    names = {name for row in rows for name in row}
    return sorted(name for name in names - set(options.keys) if options.keeps(name))


@dataclass(frozen=True)
class Step:
    """A key from one of its events on: its values, None after a delete; the sequence, a struct where several columns give it."""

    key: Row
    sequence: Any
    values: Row | None
    previous: Row


def scd1(events: Sequence[Row], options: Options) -> list[Row]:
    """R4: per key the last event's row, or none. With `keep_previous` this is `scd3`."""
    last = [steps[-1] for steps in histories(events, options)]
    return [{**step.key, **step.values, **step.previous} for step in last if step.values is not None]


def scd3(events: Sequence[Row], options: Options) -> list[Row]:
    """The type 1 rows with `previous_x` and `x_changed_at` of each column that `keep_previous` names."""
    return scd1(events, options)


def scd2(events: Sequence[Row], options: Options) -> list[Row]:
    """R6: one row per run of equal tracked values."""
    if any(options.apply_as_truncates(event) for event in events):
        raise ValueError("truncate is for scd1")
    tracked = [name for name in others(events, options) if options.tracks(name)]
    rows = []
    for steps in histories(events, options):
        run: list[Step] = []
        for step in [*steps, None]:
            ends = step is None or step.values is None or (run and not equal(run[-1].values, step.values, tracked))
            if run and ends:
                bounds = {options.start_column: run[0].sequence, options.end_column: step and step.sequence}
                rows.append({**run[-1].key, **run[-1].values, **run[-1].previous, **bounds})
                run = []
            if step is not None and step.values is not None:
                run.append(step)
    return rows


def histories(events: Sequence[Row], options: Options) -> Iterator[list[Step]]:
    """Each key's steps in order of sequence (R1); one step a sequence (R7), nothing up to the last truncate (R9)."""
    require_valid(events, options)
    columns = others(events, options)

    def order(event: Row) -> Rank:
        return ranks(event, options.sequence_by)

    floor = max((order(event) for event in events if options.apply_as_truncates(event)), default=())
    alive = [event for event in events if not options.apply_as_truncates(event) and order(event) > floor]
    for key in sorted({ranks(event, options.keys) for event in alive}):
        mine = [event for event in alive if ranks(event, options.keys) == key]
        winners = [
            max(
                (event for event in mine if order(event) == moment),
                key=lambda event: (bool(options.apply_as_deletes(event)), ranks(event, columns)),
            )
            for moment in sorted({order(event) for event in mine})
        ]
        yield list(walk(winners, columns, options))


def walk(winners: Sequence[Row], columns: Sequence[str], options: Options) -> Iterator[Step]:
    """The steps of one key: values filled from earlier events of the same life (R10), and what they were before."""
    life: list[Row] = []  # payloads as they came, since the last delete
    filled: list[tuple[Any, Row]] = []
    for event in winners:
        key, moment = part(event, options.keys), sequence(event, options)
        if options.apply_as_deletes(event):
            life, filled = [], []
            yield Step(key, moment, None, {})
            continue
        life.append(part(event, columns))
        values = {
            name: given([payload[name] for payload in life]) if options.inherits(name) else event.get(name)
            for name in columns
        }
        filled.append((moment, values))
        yield Step(key, moment, values, previous(filled, options.keep_previous))


def sequence(event: Row, options: Options) -> Any:
    columns = options.sequence_by
    return event[columns[0]] if len(columns) == 1 else part(event, columns)


def given(values: Sequence[Any]) -> Any:
    """The last value that is not NULL, a struct field by field; a struct is NULL where none was ever given."""
    there = [value for value in values if value is not None]
    if there and isinstance(there[-1], dict):
        return {field: given([value[field] for value in there]) for field in there[-1]}
    return there[-1] if there else None


def previous(filled: Sequence[tuple[Any, Row]], columns: Iterable[str]) -> Row:
    """What each column was before its last change within the life, and when it changed; NULL where it has not."""
    row: Row = {}
    for column in columns:
        row[f"previous_{column}"] = row[f"{column}_changed_at"] = None
        for (_, before), (moment, after) in pairwise(filled):
            if not equal(before, after, [column]):
                row[f"previous_{column}"], row[f"{column}_changed_at"] = before[column], moment
    return row


def require_valid(events: Iterable[Row], options: Options) -> None:
    """V1."""
    for event in events:
        needed = [*options.sequence_by, *([] if options.apply_as_truncates(event) else options.keys)]
        if NULL in ranks(event, needed):
            raise ValueError(f"NULL in key or sequence: {event}")


def snapshot(
    snapshots: Sequence[tuple[Any, Sequence[Row]]], options: Options, *, stored_as: int = 1, strategy: str = "full",
    hard_deletes: str | None = None, updated_at: str | None = None, check_columns: Sequence[str] | str = "all",
) -> list[Row]:  # fmt: skip
    """The target after snapshots (version, rows) in their order of arrival; those of one run come sorted by version.

    Rows come without the column of the version. Type 1 of `timestamp`, `check` and `new_record` is their open rows.
    """
    taken = list(accepted(snapshots))
    if strategy == "full" and hard_deletes != "new_record":
        events = list(changes(taken, options, deletes=(hard_deletes or "invalidate") != "ignore"))
        own = ["__version", "__deleted", *(options.except_column_list or [])]
        found = replace(options, sequence_by=["__version"], apply_as_deletes=lambda event: event["__deleted"])
        found = found if options.column_list is not None else replace(found, except_column_list=own)
        return scd1(events, found) if stored_as == 1 else scd2(events, found)
    rows = dated(taken, options, strategy, hard_deletes or "ignore", updated_at, check_columns)
    if stored_as == 2:
        return rows
    interval = options.start_column, options.end_column
    return [{name: row[name] for name in row if name not in interval} for row in rows if row[interval[1]] is None]


def accepted(snapshots: Sequence[tuple[Any, Sequence[Row]]]) -> Iterator[tuple[Any, Sequence[Row]]]:
    """S2: a version that is not greater than the last one is skipped."""
    last = None
    for version, rows in snapshots:
        if last is None or rank(version) > rank(last):
            last = version
            yield version, rows


def by_key(rows: Sequence[Row], options: Options) -> dict[Rank, Row]:
    """S4: equal rows are one; raises ValueError where a key has different ones."""
    require_valid(rows, replace(options, sequence_by=()))
    columns, found = others(rows, options), {}
    for row in rows:
        kept = part(row, [*options.keys, *columns])
        if not equal(found.setdefault(ranks(row, options.keys), kept), kept, columns):
            raise ValueError(f"different rows for one key: {part(row, options.keys)}")
    return found


def changes(taken: Sequence[tuple[Any, Sequence[Row]]], options: Options, *, deletes: bool) -> Iterator[Row]:
    """S1: every row is an upsert at its version (an equal one opens nothing, R6), a missing key a delete."""
    before: dict[Rank, Row] = {}
    for version, rows in taken:
        now = by_key(rows, options)
        for key in before.keys() - now.keys() if deletes else ():
            yield {**before[key], "__version": version, "__deleted": True}
        for row in now.values():
            yield {**row, "__version": version, "__deleted": False}
        before = now


def ended(versions: list[Row], now: Any, options: Options, *, marks: bool) -> None:
    """Ends the open row of a missing key; one that has not begun by then never held (I2)."""
    start, end = options.start_column, options.end_column
    current = versions[-1] if versions else None
    if current is None or current[end] is not None or current.get(IS_DELETED):
        return
    held = current[start] < now
    if held:
        current[end] = now
    if marks:
        versions.append({**current, IS_DELETED: True, start: now if held else current[start], end: None})
    if not held:
        versions.remove(current)


def dated(
    taken: Sequence[tuple[Any, Sequence[Row]]], options: Options, strategy: str, hard_deletes: str,
    updated_at: str | None, check_columns: Sequence[str] | str,
) -> list[Row]:  # fmt: skip
    """The versions of `timestamp` and `check`; the snapshot's version stands for the run's time."""
    start, end = options.start_column, options.end_column
    all_columns = others([row for _, rows in taken for row in rows], options)
    checked = all_columns if check_columns == "all" else list(check_columns)
    flag = {IS_DELETED: False} if hard_deletes == "new_record" else {}
    rows_of: dict[Rank, list[Row]] = {}
    for now, rows in taken:
        present = by_key(rows, options)
        for key, row in present.items():
            versions = rows_of.setdefault(key, [])
            current = versions[-1] if versions and versions[-1][end] is None else None
            if current is not None and not current.get(IS_DELETED):
                newer = strategy == "timestamp" and current[start] < row[updated_at]
                if not newer and (strategy == "timestamp" or equal(current, row, checked)):
                    continue
            bound = row[updated_at] if updated_at else now
            if current is not None:
                bound = bound if bound > current[start] else now
                if bound <= current[start]:  # I2: no room for another row
                    current.update({**part(row, all_columns), **flag})
                    continue
                current[end] = bound
            elif versions and bound < versions[-1][end]:
                bound = max(now, versions[-1][end])  # I3: gone until now, whatever the row says
            versions.append({**part(row, [*options.keys, *all_columns]), **flag, start: bound, end: None})
        if hard_deletes != "ignore":
            for key in rows_of.keys() - present.keys():
                ended(rows_of[key], now, options, marks=hard_deletes == "new_record")
    return [row for versions in rows_of.values() for row in versions]
