"""The order items feed: CSV in several files a day, each with its columns in an order of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from lakehouse.sample_data.draws import below, happens, key_of, shuffled
from lakehouse.sample_data.sales import MAX_ITEMS, Items, Orders, chunks, ids, items, placed_at
from lakehouse.sample_data.shop import Shop, business_date, orders_a_day
from lakehouse.sample_data.spoil import (
    CLEAN,
    NO_PRODUCT,
    Codes,
    Spoil,
    broken_csv,
    codes,
    constant,
    in_blanks,
    missing,
    more,
    negative,
    not_a_number,
    of_no_order,
    shifted,
    spoiled,
)
from lakehouse.sample_data.text import Columns, as_text, chosen, file_bytes, money, timestamps
from lakehouse.sample_data.words import HARD_NOTES, PLAIN_NOTES

FEED = "order_items"
_NAMES = ("order_id", "line_no", "product_id", "quantity", "unit_price", "discount", "note", "updated_at")
_HEADERS = (
    _NAMES,
    ("order_id", "product_id", "line_no", "unit_price", "quantity", "note", "discount", "updated_at"),
    ("line_no", "order_id", "note", "product_id", "discount", "unit_price", "quantity", "updated_at"),
)
_WITH_BOM = 1
_NOTED = 0.2
_SPOILS: Mapping[str, Mapping[str, Spoil]] = {
    "null_key": {"order_id": missing},
    "null_value": {"quantity": missing},
    "wrong_type": {"unit_price": not_a_number},
    "negative_amount": {"quantity": negative},
    "absurd_amount": {"unit_price": constant("1000000000.00")},
    "dangling_product": {"product_id": constant(NO_PRODUCT)},
    "dangling_order": {"order_id": of_no_order},
    "outer_blanks": {"product_id": in_blanks},
    "key_duplicate": {"quantity": more, "updated_at": shifted(-30)},
}


def files(shop: Shop, day: int) -> Iterator[tuple[str, bytes]]:
    """The day's files, name and content: two at least."""
    for part, orders in enumerate(chunks(shop, day, at_least=2)):
        rows = items(orders)
        columns, kinds = spoiled(FEED, _columns(orders, rows), _kinds(orders, rows), _SPOILS)
        columns = {name: columns[name] for name in _HEADERS[part % len(_HEADERS)]}
        order = shuffled(key_of(shop.seed, FEED, "order", day, part), len(kinds))
        header = ("\ufeff" if part == _WITH_BOM else "") + ",".join(columns) + "\n"
        content = file_bytes(broken_csv(FEED, columns, kinds).take(order), header)
        yield f"{FEED}_{business_date(day)}_{part:03d}.csv", content


def _kinds(orders: Orders, rows: Items) -> Codes:
    """Each item's kind of dirt: at least one of each kind among a day's first items, the rate's share among the others."""
    index = orders.index[rows.order]
    kinds = np.full(len(index), CLEAN, np.int8)
    for line in range(1, MAX_ITEMS + 1):
        here = rows.line == line
        key = orders.key(f"{FEED} {line} dirt")
        kinds[here] = codes(FEED, key, index[here], orders_a_day(orders.shop), at_least=line == 1)
    return kinds


def _columns(orders: Orders, rows: Items) -> Columns:
    return {
        "order_id": ids("O", orders).take(rows.order),
        "line_no": as_text(rows.line),
        "product_id": as_text(rows.product),
        "quantity": as_text(rows.quantity),
        "unit_price": money(rows.cents),
        "discount": money(rows.percent),
        "note": _notes(orders, rows),
        "updated_at": timestamps(placed_at(orders)).take(rows.order),
    }


def _notes(orders: Orders, rows: Items) -> pa.Array:
    """Mostly none; the first items of a file have one of each that needs quotes, so that every file has them all."""
    words = (*PLAIN_NOTES, *HARD_NOTES, None)
    index = orders.index[rows.order] * (MAX_ITEMS + 1) + rows.line
    word = below(orders.key("note"), index, len(words) - 1)
    word = np.where(happens(orders.key("noted"), index, _NOTED), word, len(words) - 1)
    word[: len(HARD_NOTES)] = np.arange(len(PLAIN_NOTES), len(words) - 1)
    return chosen(words, word)
