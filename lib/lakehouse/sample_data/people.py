"""The customers as they are at any moment: who exists, where they live, what changes when. Every answer is a formula of
the customer's id and the time, so that any day can be made without those before it. Times are microseconds since 1970 UTC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.sample_data.draws import Ints, Mask, below, happens, key_of, uniform
from lakehouse.sample_data.shop import DAY, MICROS, Shop, customers_until, first_customers, midnight, new_customers
from lakehouse.sample_data.words import CITIES

HOUR = 3_600 * MICROS
NEVER = np.iinfo(np.int64).max
INSERT, UPDATE, DELETE = 0, 1, 2
_LEAVING, _RETURNING = 0.25, 0.4
_TRIES = 3
# no more epochs than this in a customer's life
_EPOCHS = 65_536


@dataclass(frozen=True)
class Clock:
    """What changes again and again, each customer's in a rhythm of its own of so many days."""

    name: str
    shortest: int
    longest: int


MOVES = Clock("move", 10, 30)
SEGMENT_CHANGES = Clock("segment", 15, 45)
PHONE_CHANGES = Clock("phone", 5, 15)


@dataclass(frozen=True)
class Changes:
    """One element per change of a customer: who, when, and INSERT, UPDATE or DELETE."""

    customer: Ints
    moment: Ints
    op: NDArray[np.int8]


def inserted_at(shop: Shop, ids: Ints) -> Ints:
    """When each customer first appears: on day 1 in the night's first load, else at any time of the day."""
    later = ids - first_customers(shop) - 1
    day = np.where(later < 0, 1, 2 + later // new_customers(shop))
    hours = np.where(later < 0, 8, 20)
    return (midnight(1) + (day - 1) * DAY) * MICROS + below(key_of(shop.seed, "inserted"), ids, hours * HOUR)


def registered_at(shop: Shop, ids: Ints) -> Ints:
    """When each customer registered, in seconds since 1970: up to two years before the first load, later minutes before."""
    inserted = inserted_at(shop, ids) // MICROS
    ahead = np.where(ids <= first_customers(shop), 730 * DAY, 600)
    before: Ints = inserted - 1 - below(key_of(shop.seed, "registered"), ids, ahead)
    return before


def epoch(shop: Shop, clock: Clock, ids: Ints, moment: Ints) -> Ints:
    """How often what the clock stands for has changed by then."""
    first, period = _rhythm(shop, clock, ids)
    ticks: Ints = np.maximum((moment - first) // period + 1, 0)
    return ticks


def _rhythm(shop: Shop, clock: Clock, ids: Ints) -> tuple[Ints, Ints]:
    """The first change and the time between two."""
    spread = (clock.longest - clock.shortest) * 24 * HOUR
    period = clock.shortest * 24 * HOUR + below(key_of(shop.seed, clock.name, "period"), ids, spread)
    return inserted_at(shop, ids) + HOUR + below(key_of(shop.seed, clock.name, "phase"), ids, period), period


def of_epoch(shop: Shop, name: str, ids: Ints, epochs: Ints, choices: int) -> Ints:
    """Which of so many choices a customer has in an epoch."""
    return below(key_of(shop.seed, name), ids * _EPOCHS + epochs, choices)


def city_at(shop: Shop, ids: Ints, moment: Ints) -> Ints:
    """The place in CITIES of each customer's city."""
    return of_epoch(shop, "city", ids, epoch(shop, MOVES, ids, moment), len(CITIES))


def absence(shop: Shop, ids: Ints) -> tuple[Ints, Ints]:
    """When each customer is deleted, sooner rather than later, and when inserted again; NEVER for those who are not."""
    stayed = uniform(key_of(shop.seed, "left"), ids) ** 2 * 60 * 24 * HOUR
    gone = inserted_at(shop, ids) + 2 * HOUR + stayed.astype(np.int64)
    back = gone + HOUR // 2 + below(key_of(shop.seed, "back"), ids, 3 * 24 * HOUR)
    leaves = happens(key_of(shop.seed, "leaves"), ids, _LEAVING)
    returns = leaves & happens(key_of(shop.seed, "returns"), ids, _RETURNING)
    return np.where(leaves, gone, NEVER), np.where(returns, back, NEVER)


def _is_away(shop: Shop, ids: Ints, moment: Ints | int) -> Mask:
    left, back = absence(shop, ids)
    return np.asarray((left <= moment) & (moment < back))


def buyers(shop: Shop, day: int, key: int, index: Ints) -> Ints:
    """A customer for each index: one inserted before the day (on day 1: that day) and not deleted when it begins."""
    known = customers_until(shop, max(day - 1, 1))
    ids = 1 + below(key, index, known)
    for attempt in range(1, _TRIES):
        away = np.flatnonzero(_is_away(shop, ids, midnight(day) * MICROS))
        ids[away] = 1 + below(key, index[away] + attempt * _EPOCHS * _EPOCHS, known)
    return ids


def changes(shop: Shop, day: int, chunk: int) -> Changes:
    """All changes of a day, worked out for `chunk` customers at a time; day 0 has none."""
    known = customers_until(shop, day) if day >= 1 else 0
    starts = range(1, known + 1, chunk)
    parts = [_changes_of(shop, day, np.arange(start, min(start + chunk, known + 1))) for start in starts]
    nothing = Changes(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int8))
    return _together([nothing, *parts])


def _changes_of(shop: Shop, day: int, ids: Ints) -> Changes:
    start = midnight(day) * MICROS
    left, back = absence(shop, ids)
    updates = [_update(shop, clock, ids, start) for clock in (MOVES, SEGMENT_CHANGES, PHONE_CHANGES)]
    moments = [(inserted_at(shop, ids), INSERT), (left, DELETE), (back, INSERT)]
    moments += [(np.where((left <= update) & (update < back), NEVER, update), UPDATE) for update in updates]
    parts = []
    for moment, op in moments:
        today = np.flatnonzero((moment >= start) & (moment < start + DAY * MICROS))
        parts.append(Changes(ids[today], moment[today], np.full(len(today), op, np.int8)))
    return _together(parts)


def _update(shop: Shop, clock: Clock, ids: Ints, start: int) -> Ints:
    """The clock's first change at or after `start`; there is never more than one a day."""
    first, period = _rhythm(shop, clock, ids)
    upcoming: Ints = first + period * np.maximum(-((first - start) // period), 0)
    return upcoming


def _together(parts: list[Changes]) -> Changes:
    return Changes(
        np.concatenate([part.customer for part in parts]),
        np.concatenate([part.moment for part in parts]),
        np.concatenate([part.op for part in parts]),
    )
