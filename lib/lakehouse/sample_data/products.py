"""The products feed: the whole catalogue as CSV, every day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lakehouse.sample_data.catalogue import FEED, Listed, listed
from lakehouse.sample_data.draws import below, key_of, shuffled
from lakehouse.sample_data.shop import Shop, business_date
from lakehouse.sample_data.spoil import (
    Spoil,
    broken_csv,
    constant,
    in_blanks,
    in_capitals,
    missing,
    negative,
    not_a_number,
    spoiled,
)
from lakehouse.sample_data.text import Columns, as_text, chosen, file_bytes, joined, money
from lakehouse.sample_data.words import CATEGORIES, MATERIALS, THINGS

_SPOILS: Mapping[str, Mapping[str, Spoil]] = {
    "null_value": {"name": missing},
    "wrong_type": {"price": not_a_number},
    "negative_amount": {"price": negative},
    "absurd_amount": {"price": constant("1000000000.00")},
    "outer_blanks": {"name": in_blanks},
    "mixed_case": {"category": in_capitals},
}


def files(shop: Shop, day: int) -> Iterator[tuple[str, bytes]]:
    """The day's one file, name and content."""
    products = listed(shop, day)
    columns, kinds = spoiled(FEED, _columns(shop, products), products.kinds, _SPOILS)
    order = shuffled(key_of(shop.seed, FEED, "order", day), len(kinds))
    lines = broken_csv(FEED, columns, kinds).take(order)
    yield f"{FEED}_{business_date(day)}.csv", file_bytes(lines, ",".join(columns) + "\n")


def _columns(shop: Shop, products: Listed) -> Columns:
    ids = products.product
    material = below(key_of(shop.seed, "material"), ids, len(MATERIALS))
    thing = below(key_of(shop.seed, "thing"), ids, len(THINGS))
    return {
        "product_id": as_text(ids),
        "name": joined(chosen(MATERIALS, material), " ", chosen(THINGS, thing), " ", as_text(ids)),
        "category": chosen(CATEGORIES, below(key_of(shop.seed, "category"), ids, len(CATEGORIES))),
        "price": money(products.cents),
        "currency": chosen(["EUR"], ids * 0),
        "is_active": chosen(["false", "true"], products.active.astype("int64")),
    }
