"""The products as they are on any day: which are listed, at what price, and which of them can be ordered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lakehouse.sample_data.draws import Ints, Mask, below, happens, key_of
from lakehouse.sample_data.shop import Shop, first_products, products_until
from lakehouse.sample_data.spoil import Codes, codes, codes_where

FEED = "products"
_INACTIVE = 0.05
_PAUSING = 0.4
_EPOCHS = 65_536


@dataclass(frozen=True)
class Listed:
    """One element per product listed on a day: its id, its price in cents, whether it is sold, its kind of dirt."""

    product: Ints
    cents: Ints
    active: Mask
    kinds: Codes


@lru_cache(maxsize=8)
def listed(shop: Shop, day: int) -> Listed:
    """The products of the day's snapshot, by id."""
    ids = np.arange(1, products_until(shop, day) + 1)
    ids = ids[_is_listed(shop, ids, day)]
    kinds = codes(FEED, key_of(shop.seed, FEED, "dirt", day), np.arange(len(ids)), len(ids))
    active = ~happens(key_of(shop.seed, "inactive"), ids * _EPOCHS + day // 10, _INACTIVE)
    return Listed(ids, _cents(shop, ids, day), active, kinds)


@lru_cache(maxsize=8)
def sold(shop: Shop, day: int) -> tuple[Ints, Ints]:
    """Ids and prices in cents of what can be ordered that day: active, and no line that a strict validation refuses."""
    products = listed(shop, day)
    good = products.active & ~np.isin(products.kinds, codes_where(FEED, refused=True))
    return products.product[good], products.cents[good]


def _is_listed(shop: Shop, ids: Ints, day: int) -> Mask:
    """From its launch to the end of its life, but for three days in its first weeks that many are away."""
    later = ids - first_products(shop) - 1
    a_day = products_until(shop, 2) - products_until(shop, 1)
    age = day - np.where(later < 0, 1, 2 + later // a_day)
    life = 20 + below(key_of(shop.seed, "life"), ids, 380)
    pause = 1 + below(key_of(shop.seed, "pause"), ids, 20)
    pauses = happens(key_of(shop.seed, "pauses"), ids, _PAUSING)
    return (age >= 0) & (age < life) & ~(pauses & (age >= pause) & (age < pause + 3))


def _cents(shop: Shop, ids: Ints, day: int) -> Ints:
    """A price of its own, changed by up to a fifth every few days."""
    base = 199 + 10 * below(key_of(shop.seed, "price"), ids, 2_000)
    period = 5 + below(key_of(shop.seed, "price period"), ids, 20)
    epochs = (day + below(key_of(shop.seed, "price phase"), ids, 25)) // period
    percent = 80 + below(key_of(shop.seed, "price change"), ids * _EPOCHS + epochs, 41)
    return base * percent // 100
