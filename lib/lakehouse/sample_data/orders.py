"""The orders feed: JSON lines, one per order and state reached that day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from lakehouse.sample_data.campaigns import campaign_ids
from lakehouse.sample_data.draws import below, key_of, shuffled
from lakehouse.sample_data.people import city_at
from lakehouse.sample_data.sales import (
    STATES,
    Moves,
    Orders,
    amounts,
    campaigns_of,
    chunks,
    customers_of,
    ids,
    moves,
    placed_at,
)
from lakehouse.sample_data.shop import MICROS, Shop, business_date, orders_a_day
from lakehouse.sample_data.spoil import (
    CLEAN,
    FAR_FUTURE,
    NO_CAMPAIGN,
    NO_CUSTOMER,
    Codes,
    Spoil,
    broken_json,
    code_of,
    codes,
    constant,
    european,
    in_blanks,
    in_capitals,
    missing,
    negative,
    not_a_number,
    shifted,
    spoiled,
)
from lakehouse.sample_data.text import Columns, as_text, chosen, file_bytes, json_lines, money, taken, timestamps
from lakehouse.sample_data.words import CITIES, SALES_CHANNELS, SHIPPING_METHODS

FEED = "orders"
_BARE = frozenset({"customer_id", "amount", "shipping"})
# true of the order, so on all of its lines
_OF_ORDER = ("dangling_customer", "dangling_campaign")
_SHIPPING = [
    f'{{"city":"{city.name}","country":"{city.country}","method":"{method}"}}'
    for city in CITIES
    for method in SHIPPING_METHODS
]
_SPOILS: Mapping[str, Mapping[str, Spoil]] = {
    "dangling_customer": {"customer_id": constant(NO_CUSTOMER)},
    "dangling_campaign": {"campaign_id": constant(NO_CAMPAIGN)},
    "null_key": {"order_id": missing},
    "null_value": {"status": missing},
    "wrong_type": {"amount": not_a_number},
    "negative_amount": {"amount": negative},
    "absurd_amount": {"amount": constant("1000000000.00")},
    "future_date": {"order_ts": constant(FAR_FUTURE), "updated_at": constant(FAR_FUTURE)},
    "outer_blanks": {"status": in_blanks},
    "mixed_case": {"status": in_capitals},
    "date_format": {"order_ts": european},
    "key_duplicate": {"channel": constant("phone"), "updated_at": shifted(30)},
}


def files(shop: Shop, day: int) -> Iterator[tuple[str, bytes]]:
    """The day's files, name and content."""
    for part, orders in enumerate(chunks(shop, day)):
        lines = pa.concat_arrays([_lines(placed, into) for placed, into in moves(orders, day)])
        order = shuffled(key_of(shop.seed, FEED, "order", day, part), len(lines))
        yield f"{FEED}_{business_date(day)}_{part:03d}.json", file_bytes(lines.take(order))


def move_kinds(feed: str, orders: Orders, into: Moves, everywhere: tuple[str, ...] = ()) -> Codes:
    """Each move's kind of dirt: at least one of each kind among a day's new orders, the rate's share among the other states.

    A kind named in `everywhere` is an order's own: all of its moves have it, and no other.
    """
    size = orders_a_day(orders.shop)
    index = orders.index[into.order]
    own = codes(feed, orders.key(f"{feed} {STATES[0]} dirt"), index, size)
    kinds = np.full(len(index), CLEAN, np.int8)
    for state, name in enumerate(STATES):
        here = into.state == state
        kinds[here] = codes(feed, orders.key(f"{feed} {name} dirt"), index[here], size, at_least=state == 0)
    shared = [code_of(feed, kind) for kind in everywhere]
    kinds[np.isin(kinds, shared)] = CLEAN
    return np.where(np.isin(own, shared), own, kinds)


def _lines(orders: Orders, into: Moves) -> pa.Array:
    columns = taken(_order_columns(orders), into.order)
    columns["status"] = chosen(STATES, into.state)
    columns["updated_at"] = timestamps(into.moment)
    columns, kinds = spoiled(FEED, columns, move_kinds(FEED, orders, into, _OF_ORDER), _SPOILS)
    return broken_json(FEED, json_lines(columns, _BARE), kinds)


def _order_columns(orders: Orders) -> Columns:
    """All columns in the lines' order; `status` and `updated_at` are still to be filled in."""
    placed, customer = placed_at(orders), customers_of(orders)
    method = below(orders.key("method"), orders.index, len(SHIPPING_METHODS))
    city = city_at(orders.shop, customer, placed * MICROS)
    later = pa.nulls(len(placed), pa.string())
    return {
        "order_id": ids("O", orders),
        "customer_id": as_text(customer),
        "campaign_id": campaign_ids(campaigns_of(orders)),
        "status": later,
        "order_ts": timestamps(placed),
        "updated_at": later,
        "currency": chosen(["EUR"], placed * 0),
        "amount": money(amounts(orders)),
        "shipping": chosen(_SHIPPING, city * len(SHIPPING_METHODS) + method),
        "channel": chosen(SALES_CHANNELS, below(orders.key("channel"), orders.index, len(SALES_CHANNELS))),
    }
