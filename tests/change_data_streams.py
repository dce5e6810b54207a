"""Random change streams and snapshots of many types, drawn from small pools so that keys, sequences and values collide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

import pyarrow as pa

from change_data_reference import Options, Row

TIME = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MOMENT = pa.timestamp("us", tz="UTC")
GEO = pa.struct([("lat", pa.float64())])

# Name, type, values to draw from; not in name order, which is what decides ties.
PAYLOAD: dict[str, tuple[pa.DataType, list[Any]]] = {
    "name": (pa.string(), [None, "", "a", "A", "é", "😀", "NULL", "a|b", "a "]),
    "qty": (pa.int32(), [None, 0, 1, -1, 2**31 - 1]),
    "big": (pa.int64(), [None, 2**53, 2**53 + 1, -(2**63)]),
    "amount": (pa.float64(), [None, 0.0, -0.0, math.nan, 1.5, -math.inf, 0.0]),
    "price": (pa.decimal128(20, 4), [None, Decimal("0.1000"), Decimal("-1.0000"), Decimal("1234567890123456.7891")]),
    "seen_at": (MOMENT, [None, TIME, TIME + MICROSECOND, datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC)]),
    "active": (pa.bool_(), [None, False, True]),
    "address": (
        pa.struct([("city", pa.string()), ("zip", pa.int32()), ("geo", GEO)]),
        [
            None,
            {"city": None, "zip": None, "geo": None},
            {"city": "Oslo", "zip": None, "geo": {"lat": None}},
            {"city": None, "zip": 7, "geo": {"lat": math.nan}},
            {"city": "Oslo", "zip": 7, "geo": {"lat": 0.0}},
            {"city": "Rome", "zip": 7, "geo": None},
        ],
    ),
    "tags": (pa.list_(pa.string()), [None, [], ["a"], ["a", None], [None], ["a", "b"]]),
    "attrs": (pa.map_(pa.string(), pa.int32()), [None, [], [("x", 1), ("y", None)], [("x", 1)], [("x", 2), ("y", 1)]]),
}
KEYS = {"stream": pa.int32(), "id": pa.string(), "part": pa.string()}
ENTITIES = [("a", "c"), ("A", "c"), ("a|b", "c"), ("a", "b|c"), ("", ""), ("10", "9")]
CODES = ["U", "U", "U", "I", None, "?"]  # all of them upserts
PREDICATES = {
    "op = 'D'": lambda event: event["op"] and event["op"] == "D",
    "op = 'T'": lambda event: event["op"] and event["op"] == "T",
}
NUMBERS = {"seq": pa.int64()}
MIXED = {"at": MOMENT, "turn": pa.string()}
# A stream's sequences are a slice of one of these; equal neighbours would be ties, so none are.
MOMENTS = {
    ("seq",): [(number,) for number in [-7, -1, 0, 1, 2, 3, 10, 2**53, 2**53 + 1, 2**53 + 2]],
    ("at", "turn"): [(TIME + MICROSECOND * tick, turn) for tick in range(3) for turn in ["", "10", "9", "a"]],
}


@dataclass(frozen=True)
class Deliveries:
    """What arrives, batch by batch, and the names that the files of a batch do not have."""

    batches: Sequence[Sequence[Row]]
    missing: Sequence[set[str]]


def options_of(sink: dict[str, Any]) -> Options:
    """The reference's options of a sink as the YAML has it; what only the sink knows (table, versions) is left out."""
    known = Options.__dataclass_fields__
    return Options(**{name: PREDICATES.get(str(value), value) for name, value in sink.items() if name in known})


def schema(names: Sequence[str]) -> pa.Schema:
    types = {**KEYS, **NUMBERS, **MIXED, "op": pa.string(), "version": pa.int64(), "loaded_at": MOMENT}
    types |= {"updated_at": MOMENT} | {name: kind for name, (kind, _) in PAYLOAD.items()}
    return pa.schema([(name, types[name]) for name in types if name in names])


class Draw:
    """One stream's dice and its few payloads, most of which differ from another in one column."""

    def __init__(self, seed: object, nulls: float = 0.15) -> None:
        self.dice, self.nulls = Random(str(seed)), nulls
        base = {name: self.dice.choice(values) for name, (_, values) in PAYLOAD.items()}
        self.payloads = [base]
        for _ in range(self.dice.choice([0, 1, 1, 2])):
            changed = self.dice.sample(list(PAYLOAD), self.dice.choice([1, 1, 2]))
            new = {name: self.dice.choice(PAYLOAD[name][1]) for name in changed}
            self.payloads.append({**self.dice.choice(self.payloads), **new})

    def payload(self) -> Row:
        payload = self.twin(self.dice.choice(self.payloads))
        return self.with_nulls(payload) if self.dice.random() < self.nulls else payload

    def twin(self, payload: Row) -> Row:
        """An equal payload that looks different: the other zero, a map's entries in another order."""
        if self.dice.random() < 0.7:
            return payload
        amount, attrs = payload["amount"], payload["attrs"]
        return {**payload, "amount": -amount if amount == 0 else amount, "attrs": attrs and attrs[::-1]}

    def with_nulls(self, payload: Row) -> Row:
        names = self.dice.sample(list(payload), self.dice.choice([1, 2, len(payload)]))
        row = {**payload, **dict.fromkeys(names)}
        if row["address"] is not None and self.dice.random() < 0.7:
            row["address"] = {**row["address"], self.dice.choice(["city", "zip", "geo"]): None}
        return row

    def events(self, stream: int, sequence_by: Sequence[str], most: int = 9) -> list[Row]:
        """Upserts, deletes of known and unknown keys, re-inserts, ties and repeats of one to three keys."""
        entities = self.dice.sample(ENTITIES, self.dice.choice([1, 1, 2, 3]))
        pool = MOMENTS[tuple(sequence_by)]
        size = self.dice.randint(2, len(pool))
        first = self.dice.randint(0, len(pool) - size)
        rows = []
        for _ in range(self.dice.randint(1, most)):
            key = dict(zip(KEYS, (stream, *self.dice.choice(entities)), strict=True))
            moment = dict(zip(sequence_by, self.dice.choice(pool[first : first + size]), strict=True))
            deletes = self.dice.random() < 0.2
            payload = dict.fromkeys(PAYLOAD) if deletes and self.dice.random() < 0.5 else self.payload()
            rows.append({**key, **moment, "op": "D" if deletes else self.dice.choice(CODES), **payload})
        return rows

    def snapshots(
        self, stream: int, versions: Sequence[Any], *, hollow: Any, timed: bool, stale: bool
    ) -> dict[Any, list[Row]]:
        """The stream's rows at each version: keys come, change, go and come back; some rows are there twice."""
        entities = self.dice.sample(ENTITIES, self.dice.choice([1, 2, 3]))
        found: dict[Any, list[Row]] = {}
        before: dict[tuple[str, str], Row] = {}
        for version in versions:
            now = {}
            for entity in entities if version != hollow else ():
                if self.dice.random() < 0.3:
                    continue
                old, key = before.get(entity), dict(zip(KEYS, (stream, *entity), strict=True))
                changes = old is None or self.dice.random() < 0.5
                now[entity] = {**key, **(self.payload() if changes else self.twin(old))}
                if timed:
                    keeps = old is not None and (not changes or (stale and self.dice.random() < 0.4))
                    fresh = version - MICROSECOND * self.dice.choice([0, 1, 10])
                    now[entity]["updated_at"] = old["updated_at"] if keeps else fresh
            found[version] = [*now.values(), *(self.twin(row) for row in now.values() if self.dice.random() < 0.15)]
            before = now
        return found

    def cut(self, events: Sequence[Row], count: int, order: Sequence[str]) -> list[list[Row]]:
        """The events in `count` batches, some of them delivered twice: at random, newest first, or all at once."""
        style, batches = self.dice.random(), [[] for _ in range(count)]
        newest_first = sorted(events, key=lambda event: tuple(event[name] for name in order), reverse=True)
        once = self.dice.randrange(count)
        for place, event in enumerate(newest_first):
            if style < 0.3:
                batch = place * count // len(events)
            else:
                batch = once if style < 0.45 else self.dice.randrange(count)
            batches[batch].append(event)
            if self.dice.random() < 0.25:
                batches[self.dice.randrange(count)].append(event)
        return batches

    def cut_in_order(self, events: Sequence[Row], count: int, order: Sequence[str]) -> list[list[Row]]:
        """The events in `count` batches, each newer than those before but for the last but one, which brings late and old ones."""
        late, batches = count - 2, [[] for _ in range(count)]
        moments = sorted({moment[0] for moment in MOMENTS[tuple(order)]})
        for event in events:
            place = moments.index(event[order[0]]) * (count - 1) // len(moments)
            batch = place if place < late else count - 1
            batches[late if batch < late and self.dice.random() < 0.15 else batch].append(event)
            if self.dice.random() < 0.25:
                batches[self.dice.choice([batch, max(batch, late)])].append(event)
        return batches


def change_deliveries(
    seed: object, streams: Sequence[int], sequence_by: Sequence[str], *, batches: int, nulls: float = 0.15,
    truncates: int = 0, missing: dict[int, set[str]] | None = None, in_order: bool = False,
) -> Deliveries:  # fmt: skip
    """All streams' events, batch by batch, shuffled; truncates have no key, or any, and act on all streams.

    `missing` names the columns that the files of a batch lack: their events have NULL there. `in_order`: all but the
    last but one are newer than those before, over all streams.
    """
    dice = Random(f"{seed}/all")
    found: list[list[Row]] = [[] for _ in range(batches)]
    for stream in streams:
        draw = Draw(f"{seed}/{stream}", nulls)
        cut = draw.cut_in_order if in_order else draw.cut
        for batch, events in zip(found, cut(draw.events(stream, sequence_by), batches, sequence_by), strict=True):
            batch += events
    for number in range(truncates):
        moment = dict(zip(sequence_by, dice.choice(MOMENTS[tuple(sequence_by)][: 4 + number]), strict=True))
        key = dict(zip(KEYS, dice.choice([(None, None, None), (streams[0], "a", None)]), strict=True))
        for batch in dice.sample(range(batches), dice.randint(1, 2)):
            found[batch].append({**key, **moment, "op": "T", **dict.fromkeys(PAYLOAD)})
    gone = [(missing or {}).get(number, set()) for number in range(batches)]
    for number, batch in enumerate(found):
        found[number] = [{**event, **dict.fromkeys(gone[number])} for event in batch]
        dice.shuffle(found[number])
    return Deliveries(found, gone)


@dataclass(frozen=True)
class Snapshots:
    """The versions that arrive, run by run, each with the rows of every stream."""

    runs: Sequence[Sequence[tuple[Any, Sequence[Row]]]]

    def arrived(self, runs: int, stream: int | None = None) -> list[tuple[Any, list[Row]]]:
        """Versions and rows of the first runs, in the order in which they are applied; of one stream, or of all."""
        found = [version for run in self.runs[:runs] for version in sorted(run, key=lambda version: version[0])]
        return [(number, [row for row in rows if stream in (None, row["stream"])]) for number, rows in found]


def snapshot_deliveries(
    seed: object, streams: Sequence[int], *, runs: int, timed: bool = False, stale: bool = False, empty: bool = False
) -> Snapshots:
    """Versions with gaps, several in a run, and some that come too late or again, with other rows, and must be skipped.

    With `timed` versions are times and rows have `updated_at`: later than the snapshot before in a row that is new,
    came back or has other values, unless it is `stale`. With `empty` one snapshot has no row at all.
    """
    dice = Random(f"{seed}/all")
    line = [TIME + timedelta(minutes=tick) for tick in range(40)] if timed else list(range(-2, 38))
    versions = sorted(dice.sample(line, 2 * runs))
    cuts = [0, *sorted(dice.sample(range(1, 2 * runs), runs - 1)), 2 * runs]
    hollow = dice.choice(versions[1:]) if empty else None
    walks = [
        Draw(f"{seed}/{stream}").snapshots(stream, versions, hollow=hollow, timed=timed, stale=stale)
        for stream in streams
    ]
    plan = []
    for first, end in pairwise(cuts):
        run = [(version, [row for walk in walks for row in walk[version]]) for version in versions[first:end]]
        if first and dice.random() < 0.7:
            late = dice.choice([version for version in line if version <= versions[first - 1]])
            run.append((late, [row for walk in walks for row in dice.choice(list(walk.values()))]))
        plan.append([(version, rows) for version, rows in run if rows or empty])  # without rows a version is nowhere
    return Snapshots(plan)
