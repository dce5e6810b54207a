"""The order events feed: JSON lines for streams, in the order of arrival by six hours, a few a day late."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lakehouse.sample_data.draws import Ints, below, key_of, shuffled
from lakehouse.sample_data.orders import move_kinds
from lakehouse.sample_data.sales import STATES, Moves, Orders, amounts, chunks, ids, moves
from lakehouse.sample_data.shop import DAY, Shop, business_date, midnight
from lakehouse.sample_data.spoil import (
    FAR_FUTURE,
    Codes,
    Spoil,
    broken_json,
    code_of,
    constant,
    in_blanks,
    in_capitals,
    missing,
    negative,
    not_a_number,
    of_no_order,
    spoiled,
)
from lakehouse.sample_data.text import Columns, as_text, chosen, file_bytes, joined, json_lines, money, timestamps

FEED = "order_events"
WINDOW = 6 * 3_600
_BARE = frozenset({"amount"})
_TYPES = tuple(f"order_{state}" for state in STATES)
_SPOILS: Mapping[str, Mapping[str, Spoil]] = {
    "null_key": {"event_id": missing},
    "null_value": {"event_type": missing},
    "wrong_type": {"amount": not_a_number},
    "negative_amount": {"amount": negative},
    "absurd_amount": {"amount": constant("1000000000.00")},
    "future_date": {"event_time": constant(FAR_FUTURE)},
    "dangling_order": {"order_id": of_no_order},
    "outer_blanks": {"event_type": in_blanks},
    "mixed_case": {"event_type": in_capitals},
}


@dataclass(frozen=True)
class Arrived:
    """Events that arrived on a day: what happened to the orders, each one's kind of dirt, and when it arrived."""

    orders: Orders
    moves: Moves
    kinds: Codes
    moment: Ints


def files(shop: Shop, day: int) -> Iterator[tuple[str, bytes]]:
    """The day's files, name and content; each holds what arrived in six hours, or a part of it."""
    for part, orders in enumerate(chunks(shop, day)):
        arrived = [*_arrived(orders, day, day), *_arrived(orders, day - 1, day)]
        for start in range(0, DAY, WINDOW):
            lines = pa.concat_arrays([_lines(events, midnight(day) + start) for events in arrived])
            order = shuffled(key_of(shop.seed, FEED, "order", day, part, start), len(lines))
            yield f"{FEED}_{business_date(day)}_{start // 3_600:02d}_{part:03d}.json", file_bytes(lines.take(order))


def _arrived(part: Orders, happened: int, day: int) -> Iterator[Arrived]:
    """What happened to the orders on one day and arrived on `day`: within a minute, or, if late, at any time of the next day."""
    for orders, into in moves(part, happened) if happened >= 1 else ():
        kinds = move_kinds(FEED, orders, into)
        late = kinds == code_of(FEED, "late")
        rows = np.flatnonzero(late == (happened < day))
        kept = Moves(into.order[rows], into.state[rows], into.moment[rows])
        index = orders.index[kept.order] * len(STATES) + kept.state
        soon = kept.moment + below(orders.key("arrival"), index, 60)
        moment = midnight(day) + below(orders.key("late arrival"), index, DAY) if happened < day else soon
        yield Arrived(orders, kept, kinds[rows], moment)


def _lines(arrived: Arrived, start: int) -> pa.Array:
    """The lines of what arrived in the six hours from `start`."""
    rows = np.flatnonzero((arrived.moment >= start) & (arrived.moment < start + WINDOW))
    happened = Moves(arrived.moves.order[rows], arrived.moves.state[rows], arrived.moves.moment[rows])
    columns, kinds = spoiled(FEED, _columns(arrived.orders, happened), arrived.kinds[rows], _SPOILS)
    return broken_json(FEED, json_lines(columns, _BARE), kinds)


def _columns(orders: Orders, happened: Moves) -> Columns:
    one_each = Orders(orders.shop, orders.day, orders.index[happened.order])
    return {
        "event_id": joined(ids("E", one_each), "-", as_text(happened.state)),
        "order_id": ids("O", one_each),
        "event_type": chosen(_TYPES, happened.state),
        "event_time": timestamps(happened.moment),
        "amount": money(amounts(one_each)),
    }
