"""The campaigns and their feed: twelve, the full list as CSV every day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from lakehouse.sample_data.draws import Ints, below, key_of
from lakehouse.sample_data.shop import FIRST_DATE, Shop, business_date
from lakehouse.sample_data.spoil import Spoil, codes, european, in_blanks, in_capitals, missing, spoiled
from lakehouse.sample_data.text import Columns, chosen, csv_lines, file_bytes, money
from lakehouse.sample_data.words import CAMPAIGN_CHANNELS, CAMPAIGN_NAMES

FEED = "campaigns"
COUNT = len(CAMPAIGN_NAMES)
IDS = tuple(f"cmp-{number:02d}" for number in range(1, COUNT + 1))
_ALWAYS_ON = 4
_SPOILS: Mapping[str, Mapping[str, Spoil]] = {
    "null_key": {"campaign_id": missing},
    "outer_blanks": {"name": in_blanks},
    "mixed_case": {"channel": in_capitals},
    "date_format": {"start_date": european},
}


def files(shop: Shop, day: int) -> Iterator[tuple[str, bytes]]:
    """The day's one file, name and content."""
    every = np.arange(COUNT)
    kinds = codes(FEED, key_of(shop.seed, FEED, "dirt", day), every, COUNT)
    columns, _ = spoiled(FEED, _columns(shop, every), kinds, _SPOILS)
    yield f"{FEED}_{business_date(day)}.csv", file_bytes(csv_lines(columns), ",".join(columns) + "\n")


def running(day: int) -> Ints:
    """The places in IDS of the campaigns that run on a day."""
    today = business_date(day)
    return np.array([place for place in range(COUNT) if _dates(place)[0] <= today <= _dates(place)[1]], np.int64)


def campaign_ids(places: Ints) -> pa.Array:
    """The id for each place in IDS; NULL for -1."""
    return chosen([*IDS, None], np.where(places < 0, COUNT, places))


def _dates(place: int) -> tuple[date, date]:
    """First and last day: some run for years, the others start a week apart and last four."""
    if place < _ALWAYS_ON:
        return date(2025, 12, 1), date(2035, 12, 31)
    start = FIRST_DATE + timedelta(weeks=place - _ALWAYS_ON)
    return start, start + timedelta(days=27)


def _columns(shop: Shop, every: Ints) -> Columns:
    dates = [_dates(place) for place in range(COUNT)]
    return {
        "campaign_id": chosen(IDS, every),
        "name": chosen(CAMPAIGN_NAMES, every),
        "channel": chosen(CAMPAIGN_CHANNELS, every % len(CAMPAIGN_CHANNELS)),
        "start_date": chosen([str(start) for start, _ in dates], every),
        "end_date": chosen([str(end) for _, end in dates], every),
        "budget": money(100_000 * (1 + below(key_of(shop.seed, "budget"), every, 50))),
    }
