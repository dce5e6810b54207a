"""The clicks feed: CSV, four clicks on ads per order, one of which may have led to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.sample_data.campaigns import IDS, running
from lakehouse.sample_data.catalogue import sold
from lakehouse.sample_data.draws import Ints, below, happens, key_of, shuffled
from lakehouse.sample_data.people import buyers
from lakehouse.sample_data.sales import NEVER, Orders, campaigns_of, chunks, customers_of, placed_at
from lakehouse.sample_data.shop import DAY, Shop, business_date, midnight, orders_a_day
from lakehouse.sample_data.spoil import (
    FAR_FUTURE,
    NO_CAMPAIGN,
    NO_CUSTOMER,
    Spoil,
    broken_csv,
    codes,
    constant,
    european,
    in_blanks,
    in_capitals,
    missing,
    more,
    negative,
    not_a_number,
    shifted,
    spoiled,
)
from lakehouse.sample_data.text import (
    Columns,
    as_text,
    chosen,
    file_bytes,
    joined,
    money,
    padded_text,
    timestamps,
)

FEED = "clicks"
CLICKS_AN_ORDER = 4
_KNOWN = 0.5
_WITH_COMMA = 0.05
_SPOILS: Mapping[str, Mapping[str, Spoil]] = {
    "null_key": {"click_id": missing},
    "null_value": {"clicked_at": missing},
    "wrong_type": {"cost": not_a_number},
    "negative_amount": {"cost": negative},
    "absurd_amount": {"cost": constant("1000000000.00")},
    "future_date": {"clicked_at": constant(FAR_FUTURE)},
    "dangling_campaign": {"campaign_id": constant(NO_CAMPAIGN)},
    "dangling_customer": {"customer_id": constant(NO_CUSTOMER)},
    "outer_blanks": {"campaign_id": in_blanks},
    "mixed_case": {"campaign_id": in_capitals},
    "date_format": {"clicked_at": european},
    "key_duplicate": {"cost": more, "clicked_at": shifted(-30)},
}


def files(shop: Shop, day: int) -> Iterator[tuple[str, bytes]]:
    """The day's files, name and content."""
    for part, orders in enumerate(chunks(shop, day)):
        index = np.arange(orders.index[0] * CLICKS_AN_ORDER, (orders.index[-1] + 1) * CLICKS_AN_ORDER)
        size = orders_a_day(shop) * CLICKS_AN_ORDER
        kinds = codes(FEED, orders.key(f"{FEED} dirt"), index, size)
        columns, kinds = spoiled(FEED, _columns(orders, index), kinds, _SPOILS)
        order = shuffled(key_of(shop.seed, FEED, "order", day, part), len(kinds))
        content = file_bytes(broken_csv(FEED, columns, kinds).take(order), ",".join(columns) + "\n")
        yield f"{FEED}_{business_date(day)}_{part:03d}.csv", content


def _columns(orders: Orders, index: Ints) -> Columns:
    campaign, customer, moment = _clicks(orders, index)
    ids = chosen(IDS, campaign)
    return {
        "click_id": joined(f"K{business_date(orders.day):%Y%m%d}-", padded_text(index + 1, 9)),
        "campaign_id": ids,
        "customer_id": pc.if_else(pa.array(customer == NEVER), pa.scalar(None, pa.string()), as_text(customer)),
        "clicked_at": timestamps(moment),
        "url": _urls(orders, index, ids),
        "cost": money(5 + below(orders.key("cost"), index, 40) * (1 + campaign % 4)),
    }


def _clicks(orders: Orders, index: Ints) -> tuple[Ints, Ints, Ints]:
    """Campaign, customer (NEVER: not known) and time of each click; an order's first one led to it, if a campaign did."""
    today = running(orders.day)
    campaign = today[below(orders.key("clicked"), index, len(today))]
    customer = buyers(orders.shop, orders.day, orders.key("visitor"), index)
    customer[~happens(orders.key("known"), index, _KNOWN)] = NEVER
    moment = midnight(orders.day) + below(orders.key("clicked at"), index, DAY)
    led = campaigns_of(orders) != NEVER
    first = np.flatnonzero(led) * CLICKS_AN_ORDER
    campaign[first] = campaigns_of(orders)[led]
    customer[first] = customers_of(orders)[led]
    moment[first] = (placed_at(orders) - 30 - below(orders.key("thought"), orders.index, 570))[led]
    return campaign, customer, moment


def _urls(orders: Orders, index: Ints, campaign_ids: pa.Array) -> pa.Array:
    products, _ = sold(orders.shop, orders.day)
    page = joined("https://shop.example/p/", as_text(products[below(orders.key("page"), index, len(products))]))
    plain = joined(page, "?utm_campaign=", campaign_ids)
    with_comma = happens(orders.key("comma"), index, _WITH_COMMA)
    return pc.if_else(pa.array(with_comma), joined('"', plain, '&tags=new,sale"'), plain)
