"""Puts the landing files where they belong: whole, or not at all, and only where something is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lakehouse.sample_data import (
    campaigns,
    clicks,
    customers,
    order_events,
    order_items,
    orders,
    payments,
    products,
)
from lakehouse.sample_data.feeds import feeds
from lakehouse.sample_data.shop import Shop, require_days, require_shop

_FILES: Mapping[str, Callable[[Shop, int], Iterator[tuple[str, bytes]]]] = {
    "customers": customers.files,
    "products": products.files,
    "orders": orders.files,
    "order_items": order_items.files,
    "payments": payments.files,
    "campaigns": campaigns.files,
    "clicks": clicks.files,
    "order_events": order_events.files,
}


def write_days(folder: Path, days: range, *, scale: float, seed: int) -> list[Path]:
    """Writes the days' files of every feed under `folder`, and returns their paths; one file at a time is held in memory."""
    shop = require_shop(seed, scale)
    return [
        _written(folder / feed.name / name, content)
        for day in require_days(days)
        for feed in feeds()
        for name, content in _FILES[feed.name](shop, day)
    ]


def _written(path: Path, content: bytes) -> Path:
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return path  # its time of change stays: nothing is new for whoever reads it
    path.parent.mkdir(parents=True, exist_ok=True)
    # readers skip names that start so; the next try writes over what an interrupted one left
    partial = path.with_name(f"_{path.name}.tmp")
    partial.write_bytes(content)
    partial.replace(path)
    return path
