"""The shop's size and calendar: how many of what on which day."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

FIRST_DATE = date(2026, 1, 1)
DAY = 86_400
MICROS = 1_000_000
# small shops still have room for a line of every kind of dirt
MIN_ORDERS, MIN_FIRST_CUSTOMERS, MIN_NEW_CUSTOMERS, MIN_PRODUCTS = 20, 20, 15, 40
# an order's number has eight digits
MAX_SCALE = 99_999.0


@dataclass(frozen=True)
class Shop:
    """All that the data depends on, beside the day."""

    seed: int
    scale: float


def require_shop(seed: int, scale: float) -> Shop:
    """The shop of this seed and scale; ValueError where the scale makes none."""
    if not 0 < scale <= MAX_SCALE:
        raise ValueError(
            f"scale is {scale}, it must be above 0 and at most {MAX_SCALE:,.0f} (scale 1: 1,000 orders a day)."
        )
    return Shop(seed, float(scale))


def require_days(days: range) -> range:
    """The days themselves; ValueError unless there is one at least and none before day 1."""
    if not days:
        raise ValueError("days must be 1 or more.")
    if days[0] < 1:
        raise ValueError(f"first_day is {days[0]}, it must be 1 or more (day 1 is {FIRST_DATE}).")
    return days


def business_date(day: int) -> date:
    """The date of a day's number; day 1 is 2026-01-01."""
    return FIRST_DATE + timedelta(days=day - 1)


def midnight(day: int) -> int:
    """The day's first second, in seconds since 1970 UTC."""
    return (business_date(day) - date(1970, 1, 1)).days * DAY


def orders_a_day(shop: Shop) -> int:
    """New orders on any day."""
    return max(MIN_ORDERS, round(1_000 * shop.scale))


def first_customers(shop: Shop) -> int:
    """Customers that the feed starts with on day 1."""
    return max(MIN_FIRST_CUSTOMERS, round(500 * shop.scale))


def new_customers(shop: Shop) -> int:
    """New customers on each day after day 1."""
    return max(MIN_NEW_CUSTOMERS, round(50 * shop.scale))


def customers_until(shop: Shop, day: int) -> int:
    """Customers ever inserted by the end of a day; their ids are 1 to this number."""
    return first_customers(shop) + new_customers(shop) * (day - 1)


def first_products(shop: Shop) -> int:
    """Products ever listed by the end of day 1: they grow with the root of the scale, as a catalogue does."""
    return max(MIN_PRODUCTS, math.ceil(200 * math.sqrt(shop.scale)))


def products_until(shop: Shop, day: int) -> int:
    """Products ever listed by the end of a day; their ids are 1 to this number."""
    return first_products(shop) + max(1, first_products(shop) // 100) * (day - 1)
