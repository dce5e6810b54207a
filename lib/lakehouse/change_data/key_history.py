"""The versions of one key and the events that they came from, read without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from lakehouse.change_data.event_log import RUN, meaning_of
from lakehouse.errors import ConfigError, DataError, did_you_mean
from lakehouse.frames import FILE, HIDDEN_PREFIX
from lakehouse.history.events import OPERATION, SEQUENCE, TRUNCATE, UPSERT
from lakehouse.runs import identifier, literal, open_table, query
from lakehouse.tables import Layout

SNAPSHOT = "snapshot"
"""The operation of a snapshot that was accepted: it says nothing of a single key."""


@dataclass(frozen=True)
class Event:
    """What came of a key: its sequence, what it does, the values that it gave, and the run and the file that brought it."""

    sequence: Any
    operation: str
    values: Mapping[str, Any]
    run: str | None
    file: str | None


@dataclass(frozen=True)
class Version:
    """A row of the target with the events that fall into it; `start` and `end` are None where it keeps no history."""

    start: Any
    end: Any
    values: Mapping[str, Any]
    events: tuple[Event, ...]


@dataclass(frozen=True)
class KeyHistory:
    """All that is known of one key; `others` are the events that fall into no version, such as its deletes."""

    table: str
    key: Mapping[str, str]
    versions: tuple[Version, ...]
    others: tuple[Event, ...]


def key_history(layout: Layout, table: str, given: Sequence[str]) -> KeyHistory:
    """The history of the key that is `given` as `value`, or as `column=value` for each column.

    Raises DataError where the table is none that change data made, ConfigError where the key is no whole one.
    """
    path = layout.table(table)
    opened = open_table(path, layout.root)
    if opened is None:
        raise DataError(f"there is no table {table} at {path}")
    meaning = meaning_of(layout, table)
    if meaning is None:
        raise DataError(f"{table} keeps no events; only scd1, scd2, scd3 and snapshot with a version do")
    kinds = {field.name: getattr(field.type, "type", "") for field in opened.schema().fields}
    spelled = {name.lower(): name for name in kinds}
    key = _key(given, [spelled[name.lower()] for name in meaning["keys"]])
    condition = _condition(key, kinds)
    rows = query(path, layout.root, f"SELECT * FROM t WHERE {condition}")
    bounds = [meaning["start_column"], meaning["end_column"]] if meaning["versions"] else []
    rows.sort(key=lambda row: [order(row[name]) for name in bounds[:1]])
    # what remembers snapshots knows no keys, and a truncate is of all
    of_key = "" if "strategy" in meaning else f"WHERE ({condition}) OR {identifier(OPERATION)} = '{TRUNCATE}'"
    known = query(layout.state(table), layout.root, f"SELECT * FROM t {of_key}")
    events = [_event(row, key) for row in known]
    if "strategy" in meaning:  # of the snapshots, those at which the key changed
        changed = [row[name] for row in rows for name in bounds]
        events = [event for event in events if event.sequence in changed]
    events.sort(key=lambda event: order(event.sequence))
    versions = [_version(row, key, bounds, events) for row in rows]
    inside = [event for version in versions for event in version.events]
    return KeyHistory(table, key, tuple(versions), tuple(event for event in events if event not in inside))


def _key(given: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    if len(keys) == 1 and len(given) == 1 and not given[0].lower().startswith(f"{keys[0]}=".lower()):
        return {keys[0]: given[0]}
    spelled = {name.lower(): name for name in keys}
    told = dict(text.partition("=")[::2] for text in given if "=" in text)
    pairs = {spelled.get(name.lower(), name): value for name, value in told.items()}
    strangers = [name for name in pairs if name not in keys]
    if strangers:
        raise ConfigError(f"--key names '{strangers[0]}', which is no key.{did_you_mean(strangers[0], keys)}")
    if len(pairs) < len(keys):
        asked = " ".join(f"--key {name}=..." for name in keys)
        raise ConfigError(f"the key has {len(keys)} columns; name each: {asked}")
    return pairs


def _condition(key: Mapping[str, str], kinds: Mapping[str, str]) -> str:
    """True for the rows of the key; raises ConfigError for a value that its column cannot hold."""
    parts = []
    for name, text in key.items():
        try:
            parts.append(_is_value(identifier(name), text, kinds.get(name, "")))
        except (ValueError, ArithmeticError) as error:
            raise ConfigError(f"--key {name}: '{text}' is no {kinds[name]}") from error
    return " AND ".join(parts)


def _is_value(column: str, text: str, kind: str) -> str:
    """By value where one value has several texts (1.5 and 1.50, 0.0 and -0.0), else by text."""
    if kind.startswith("decimal"):
        return f"{column} = CAST('{Decimal(text)}' AS {kind})"
    if kind == "binary":
        return f"{column} = X'{bytes.fromhex(text).hex()}'"
    if kind.startswith("timestamp"):
        zone = 'Some("UTC")' if kind == "timestamp" else "None"
        return f"{column} = arrow_cast('{datetime.fromisoformat(text).isoformat()}', 'Timestamp(Microsecond, {zone})')"
    texts = {text}
    if kind in ("float", "double"):
        texts |= {repr(float(text))} if float(text) else {"0.0", "-0.0"}
    if not kind:
        raise ConfigError(f"the key {column} is no single value; it cannot be given as text")
    quoted = ", ".join(literal(text) for text in sorted(texts))
    return f"CAST({column} AS VARCHAR) IN ({quoted})"


def _event(row: Mapping[str, Any], key: Mapping[str, str]) -> Event:
    operation = row.get(OPERATION, SNAPSHOT)
    shown = {name: value for name, value in row.items() if not name.startswith(HIDDEN_PREFIX) and name not in key}
    return Event(row[SEQUENCE], operation, shown if operation == UPSERT else {}, row.get(RUN), row.get(FILE))


def _version(row: Mapping[str, Any], key: Mapping[str, str], bounds: Sequence[str], events: Sequence[Event]) -> Version:
    start, end = (row[bounds[0]], row[bounds[1]]) if bounds else (None, None)
    values = {name: value for name, value in row.items() if name not in bounds and name not in key}
    inside = [
        event for event in events if event.operation in (UPSERT, SNAPSHOT) and _is_within(event.sequence, start, end)
    ]
    return Version(start, end, values, tuple(inside))


def _is_within(sequence: Any, start: Any, end: Any) -> bool:
    after = start is None or order(sequence) >= order(start)
    return after and (end is None or order(sequence) < order(end))


def order(value: Any) -> Any:
    """A sequence as Python orders it: several columns come as a dict."""
    return tuple(value.values()) if isinstance(value, dict) else value
