"""The payments feed: typed Parquet, one row per attempt to pay and per refund."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakehouse.sample_data.draws import Ints, below, happens, key_of, shuffled
from lakehouse.sample_data.sales import (
    NEVER,
    PAID,
    RETURNED,
    Orders,
    amounts,
    cancelled_first,
    chunks,
    ids,
    is_cancelled,
    moment_of,
)
from lakehouse.sample_data.shop import MICROS, Shop, business_date, orders_a_day
from lakehouse.sample_data.spoil import (
    CLEAN,
    Codes,
    Spoil,
    code_of,
    codes,
    in_blanks,
    in_capitals,
    missing,
    of_no_order,
    spoiled,
)
from lakehouse.sample_data.text import Columns, chosen, decimals, joined
from lakehouse.sample_data.words import PAYMENT_METHODS

FEED = "payments"
_STATUSES = ("failed", "captured", "refunded")
_FAILED, _CAPTURED, _REFUNDED = range(3)
_FAILS, _FAILS_FOR_GOOD = 0.08, 0.5
_REFUND_AFTER = 3
_TIME = pa.timestamp("us", "UTC")
_MONEY = pa.decimal128(12, 2)
_2099 = 4_102_444_799 * MICROS


@dataclass(frozen=True)
class Attempts:
    """One element per payment of one status: the place of its order in `Orders`, when, and its kind of dirt."""

    status: int
    order: Ints
    moment: Ints
    kinds: Codes


def files(shop: Shop, day: int) -> Iterator[tuple[str, bytes]]:
    """The day's files, name and content."""
    for part, orders in enumerate(chunks(shop, day)):
        tables = [_table(orders, attempts) for attempts in (_failed(orders), _captured(orders))]
        if day > _REFUND_AFTER:
            before = Orders(shop, day - _REFUND_AFTER, orders.index)
            tables.append(_table(before, _refunded(before)))
        rows = pa.concat_tables(tables).combine_chunks()
        order = shuffled(key_of(shop.seed, FEED, "order", day, part), len(rows))
        yield f"{FEED}_{business_date(day)}_{part:03d}.parquet", _file(rows.take(order))


def _captured(orders: Orders) -> Attempts:
    """One per order that was not cancelled, but for the kind `unpaid_order`."""
    place, cancelled = cancelled_first(orders)
    size = orders_a_day(orders.shop) - cancelled
    kept = np.flatnonzero(place >= cancelled)
    kinds = codes(FEED, orders.key(f"{FEED} dirt"), place[kept] - cancelled, size)
    paid = kinds != code_of(FEED, "unpaid_order")
    return Attempts(_CAPTURED, kept[paid], moment_of(orders, PAID)[kept[paid]], kinds[paid])


def _failed(orders: Orders) -> Attempts:
    """First tries a minute before the order was paid; and of the cancelled orders, those cancelled for want of money."""
    cancelled = is_cancelled(orders)
    share = np.where(cancelled, _FAILS_FOR_GOOD, _FAILS)
    decided = np.where(cancelled, moment_of(orders, PAID + 1), moment_of(orders, PAID))
    rows = np.flatnonzero(happens(orders.key("fails"), orders.index, share))
    return Attempts(_FAILED, rows, decided[rows] - 60, _further_kinds(orders, _FAILED, rows))


def _refunded(orders: Orders) -> Attempts:
    moment = moment_of(orders, RETURNED)
    rows = np.flatnonzero(moment != NEVER)
    return Attempts(_REFUNDED, rows, moment[rows], _further_kinds(orders, _REFUNDED, rows))


def _further_kinds(orders: Orders, status: int, rows: Ints) -> Codes:
    """The rate's share of each kind, but for those that only a captured payment can have."""
    size = orders_a_day(orders.shop)
    kinds = codes(FEED, orders.key(f"{FEED} {_STATUSES[status]} dirt"), orders.index[rows], size, at_least=0)
    captured_only = [code_of(FEED, kind) for kind in ("unpaid_order", "amount_mismatch", "rounding_difference")]
    kinds[np.isin(kinds, captured_only)] = CLEAN
    return kinds


def _table(orders: Orders, attempts: Attempts) -> pa.Table:
    placed = Orders(orders.shop, orders.day, orders.index[attempts.order])
    columns, _ = spoiled(FEED, _columns(placed, attempts), attempts.kinds, _SPOILS)
    return pa.table(columns)


def _columns(orders: Orders, attempts: Attempts) -> Columns:
    method = below(orders.key(f"method {attempts.status}"), orders.index, len(PAYMENT_METHODS))
    return {
        "payment_id": joined(ids("P", orders), f"-{attempts.status + 1}"),
        "order_id": ids("O", orders),
        "method": chosen(PAYMENT_METHODS, method),
        "amount": decimals(amounts(orders), 12),
        "paid_at": pa.array(attempts.moment * MICROS, _TIME),
        "status": chosen(_STATUSES, np.full(len(method), attempts.status)),
    }


def _file(rows: pa.Table) -> bytes:
    stream = pa.BufferOutputStream()
    pq.write_table(rows, stream, store_schema=False)
    return bytes(stream.getvalue())


def _moved(cents: int) -> Spoil:
    """An amount so many cents higher."""
    return lambda clean: pc.add(clean, decimals(np.array([cents]), 12)[0]).cast(_MONEY)


def _earlier(clean: pa.Array) -> pa.Array:
    return pa.array(clean.cast(pa.int64()).to_numpy() - 30 * MICROS, _TIME)


_SPOILS: Mapping[str, Mapping[str, Spoil]] = {
    "null_key": {"payment_id": missing},
    "null_value": {"paid_at": missing},
    "negative_amount": {"amount": pc.negate},
    "absurd_amount": {"amount": lambda clean: decimals(np.full(len(clean), 100_000_000_000), 12)},
    "future_date": {"paid_at": lambda clean: pa.array(np.full(len(clean), _2099), _TIME)},
    "dangling_order": {"payment_id": of_no_order, "order_id": of_no_order},
    "amount_mismatch": {"amount": _moved(500)},
    "rounding_difference": {"amount": _moved(1)},
    "outer_blanks": {"method": in_blanks},
    "mixed_case": {"method": in_capitals},
    "key_duplicate": {"amount": _moved(100), "paid_at": _earlier},
}
