"""The orders as they are: who ordered what, when, for how much, and what became of it. Every answer is a formula of the day an
order was placed on and its place in that day, so that each feed works out what it needs. Times are seconds since 1970 UTC."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lakehouse.sample_data.campaigns import running
from lakehouse.sample_data.catalogue import sold
from lakehouse.sample_data.draws import Ints, Mask, below, happens, key_of, ranks, uniform
from lakehouse.sample_data.people import buyers
from lakehouse.sample_data.shop import DAY, Shop, business_date, midnight, orders_a_day
from lakehouse.sample_data.text import joined, padded_text

STATES = ("created", "paid", "cancelled", "shipped", "delivered", "returned")
CREATED, PAID, CANCELLED, SHIPPED, DELIVERED, RETURNED = range(6)
MAX_ITEMS = 6
NEVER = -1
# bounds the memory: about four times as many status lines and clicks, half as many again items
CHUNK = 50_000
_HOUR = 3_600
_STATES_BY_AGE = ((CREATED, PAID, CANCELLED, SHIPPED), (SHIPPED, DELIVERED), (DELIVERED,), (RETURNED,))
_ITEM_COUNTS = (0.28, 0.56, 0.78, 0.90, 0.97)
_DISCOUNTS = np.array([0, 0, 0, 0, 0, 0, 5, 10, 15, 25])
_CANCELLED, _SHIPPED_AT_ONCE, _RETURNED, _FROM_CAMPAIGN = 0.05, 0.4, 0.06, 0.3


@dataclass(frozen=True)
class Orders:
    """Some orders placed on a day, by their places in it (0 is the day's first)."""

    shop: Shop
    day: int
    index: Ints

    def key(self, name: str) -> int:
        """The key of what is drawn for each order."""
        return key_of(self.shop.seed, name, self.day)


@dataclass(frozen=True)
class Items:
    """One element per item: the place of its order in `Orders`, its number in the order, and what it is; `percent` is off."""

    order: Ints
    line: Ints
    product: Ints
    quantity: Ints
    cents: Ints
    percent: Ints


@dataclass(frozen=True)
class Moves:
    """One element per state that an order reached: the place of the order in `Orders`, the state, and when."""

    order: Ints
    state: Ints
    moment: Ints


def chunks(shop: Shop, day: int, at_least: int = 1) -> list[Orders]:
    """The day's orders in parts small enough to be held."""
    count = orders_a_day(shop)
    parts = max(at_least, -(-count // CHUNK))
    edges = [count * part // parts for part in range(parts + 1)]
    return [Orders(shop, day, np.arange(start, end)) for start, end in itertools.pairwise(edges)]


def ids(prefix: str, orders: Orders) -> pa.Array:
    """An id per order: the prefix, the date it was placed on, its number in that day."""
    return joined(f"{prefix}{business_date(orders.day):%Y%m%d}-", padded_text(orders.index + 1, 8))


def placed_at(orders: Orders) -> Ints:
    """When each order was placed: between 00:10 and 23:00, in the order of their numbers."""
    open_for, count = 23 * _HOUR - 600, orders_a_day(orders.shop)
    moment = (orders.index + uniform(orders.key("placed"), orders.index)) * open_for / count
    return midnight(orders.day) + 600 + moment.astype(np.int64)


def cancelled_first(orders: Orders) -> tuple[Ints, int]:
    """Each order's place in a shuffle of the day's, and how many places at its start are the cancelled orders'."""
    count = orders_a_day(orders.shop)
    return ranks(orders.key("cancelled"), orders.index, count), max(1, round(count * _CANCELLED))


def is_cancelled(orders: Orders) -> Mask:
    """True for orders that were cancelled, which is always before they are paid."""
    place, cancelled = cancelled_first(orders)
    return place < cancelled


def moment_of(orders: Orders, state: int) -> Ints:
    """When each order reached the state, NEVER for those that do not."""
    if state == CREATED:
        return placed_at(orders)
    decided = placed_at(orders) + 120 + below(orders.key("decided"), orders.index, 2_880)
    cancelled = is_cancelled(orders)
    if state in (PAID, CANCELLED):
        return np.where(cancelled == (state == CANCELLED), decided, NEVER)
    if state == RETURNED:
        evening = (
            midnight(orders.day + 3) + 20 * _HOUR + 600 + below(orders.key("returned at"), orders.index, 3 * _HOUR)
        )
        return np.where(happens(orders.key("returned"), orders.index, _RETURNED) & ~cancelled, evening, NEVER)
    return np.where(cancelled, NEVER, _on_its_way(orders, state))


def _on_its_way(orders: Orders, state: int) -> Ints:
    """Shipped the same evening (if placed before seven) or the next day; delivered the day after that, 8 to 20 o'clock."""
    at_once = happens(orders.key("at once"), orders.index, _SHIPPED_AT_ONCE) & (
        placed_at(orders) < midnight(orders.day) + 19 * _HOUR
    )
    daytime = 8 * _HOUR + below(orders.key(STATES[state]), orders.index, 12 * _HOUR)
    if state == DELIVERED:
        return midnight(orders.day) + np.where(at_once, 1, 2) * DAY + daytime
    evening = 20 * _HOUR + below(orders.key("evening"), orders.index, 3 * _HOUR)
    return midnight(orders.day) + np.where(at_once, evening, DAY + daytime)


def moves(part: Orders, day: int) -> Iterator[tuple[Orders, Moves]]:
    """What orders with the places of `part`, placed on `day` or the three days before, did on `day`: orders and moves by the
    day they were placed on. Orders that did nothing are left out."""
    for age, states in enumerate(_STATES_BY_AGE[:day]):
        orders = Orders(part.shop, day - age, part.index)
        reached = [_moves_into(orders, state, day) for state in states]
        order = np.concatenate([into.order for into in reached])
        active = np.zeros(len(orders.index), np.bool_)
        active[order] = True
        places = np.cumsum(active) - 1
        state = np.concatenate([into.state for into in reached])
        moment = np.concatenate([into.moment for into in reached])
        yield Orders(part.shop, orders.day, orders.index[active]), Moves(places[order], state, moment)


def _moves_into(orders: Orders, state: int, day: int) -> Moves:
    moment = moment_of(orders, state)
    today = np.flatnonzero((moment >= midnight(day)) & (moment < midnight(day + 1)))
    return Moves(today, np.full(len(today), state), moment[today])


def items(orders: Orders) -> Items:
    """The items of the orders: all first items, then all second ones, and so on."""
    count = 1 + np.searchsorted(_ITEM_COUNTS, uniform(orders.key("items"), orders.index), side="right")
    rows = [np.flatnonzero(count >= line) for line in range(1, MAX_ITEMS + 1)]
    order = np.concatenate(rows)
    line = np.repeat(np.arange(1, MAX_ITEMS + 1), [len(row) for row in rows])
    index = orders.index[order] * (MAX_ITEMS + 1) + line
    products, cents = sold(orders.shop, orders.day)
    popular = (uniform(orders.key("product"), index) ** 2 * len(products)).astype(np.int64)
    return Items(
        order,
        line,
        products[popular],
        1 + below(orders.key("quantity"), index, 10) // 7 + below(orders.key("more"), index, 20) // 19 * 3,
        cents[popular],
        _DISCOUNTS[below(orders.key("discount"), index, len(_DISCOUNTS))],
    )


def amounts(orders: Orders) -> Ints:
    """Each order's cents: the sum over its items, rounded half up once."""
    sold_items = items(orders)
    hundredths = sold_items.quantity * sold_items.cents * (100 - sold_items.percent)
    # exact: a float64 holds whole numbers beyond any order's sum
    total = np.bincount(sold_items.order, weights=hundredths, minlength=len(orders.index)).astype(np.int64)
    return (total + 50) // 100


def customers_of(orders: Orders) -> Ints:
    """Each order's customer."""
    return buyers(orders.shop, orders.day, orders.key("customer"), orders.index)


def campaigns_of(orders: Orders) -> Ints:
    """Each order's campaign by its place in the list, NEVER for those that came by themselves."""
    today = running(orders.day)
    campaign = today[below(orders.key("campaign"), orders.index, len(today))]
    return np.where(happens(orders.key("from campaign"), orders.index, _FROM_CAMPAIGN), campaign, NEVER)
