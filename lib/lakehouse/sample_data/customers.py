"""The customers feed: changes as CSV, out of order, some a day late, some twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.sample_data.draws import Ints, below, key_of, shuffled
from lakehouse.sample_data.people import (
    INSERT,
    PHONE_CHANGES,
    SEGMENT_CHANGES,
    Changes,
    changes,
    city_at,
    epoch,
    of_epoch,
    registered_at,
)
from lakehouse.sample_data.shop import Shop, business_date
from lakehouse.sample_data.spoil import (
    CLEAN,
    Codes,
    Spoil,
    broken_csv,
    code_of,
    codes,
    constant,
    european,
    in_blanks,
    in_capitals,
    missing,
    not_a_number,
    spoiled,
)
from lakehouse.sample_data.text import (
    Columns,
    as_text,
    chosen,
    file_bytes,
    joined,
    micro_timestamps,
    padded_text,
    timestamps,
)
from lakehouse.sample_data.words import CITIES, FIRST_NAMES, LAST_NAMES, SEGMENTS

FEED = "customers"
_CHUNK = 150_000
_OPS = ("I", "U", "D")
_MAIL_NAMES = str.maketrans("ëéöüí", "eeoui", "'")
_SPOILS: Mapping[str, Mapping[str, Spoil]] = {
    "null_key": {"customer_id": missing},
    "null_value": {"email": missing},
    "wrong_type": {"customer_id": not_a_number},
    "future_date": {"updated_at": constant("2099-12-31T23:59:59.000000Z")},
    "outer_blanks": {"cust_nm": in_blanks, "city": in_blanks},
    "mixed_case": {"email": in_capitals, "segment": in_capitals},
    "date_format": {"registered_at": european},
    "key_duplicate": {"phone": constant("+1-555-0000000")},
}


def files(shop: Shop, day: int) -> Iterator[tuple[str, bytes]]:
    """The day's files, name and content: the changes of the day that are not late, and those of the day before that are."""
    arrived, kinds = _arrived(shop, day)
    order = shuffled(key_of(shop.seed, FEED, "order", day), len(kinds))
    for part, start in enumerate(range(0, len(order), _CHUNK)):
        rows = order[start : start + _CHUNK]
        lines = Changes(arrived.customer[rows], arrived.moment[rows], arrived.op[rows])
        columns, broken = spoiled(FEED, _columns(shop, lines), kinds[rows], _SPOILS)
        mixed = shuffled(key_of(shop.seed, FEED, "lines", day, part), len(broken))
        content = file_bytes(broken_csv(FEED, columns, broken).take(mixed), ",".join(columns) + "\n")
        yield f"{FEED}_{business_date(day)}_{part:03d}.csv", content


def _arrived(shop: Shop, day: int) -> tuple[Changes, Codes]:
    """The changes that the day's files hold, and each one's kind of dirt."""
    today, kinds = _changes(shop, day)
    before, kinds_before = _changes(shop, day - 1)
    late, again = code_of(FEED, "late"), code_of(FEED, "redelivered")
    now = np.flatnonzero(kinds != late)
    then = np.flatnonzero(np.isin(kinds_before, [late, again]))
    arrived = Changes(
        np.concatenate([today.customer[now], before.customer[then]]),
        np.concatenate([today.moment[now], before.moment[then]]),
        np.concatenate([today.op[now], before.op[then]]),
    )
    arrived_kinds = np.concatenate([kinds[now], kinds_before[then]])
    arrived_kinds[np.isin(arrived_kinds, [late, again])] = CLEAN  # nothing is wrong with the line itself
    return arrived, arrived_kinds


def _changes(shop: Shop, day: int) -> tuple[Changes, Codes]:
    """A day's changes and each one's kind of dirt. An insert is late only where nothing else can be: orders wait for it."""
    of_day = changes(shop, day, _CHUNK)
    size = len(of_day.op)
    kinds = codes(FEED, key_of(shop.seed, FEED, "dirt", day), np.arange(size, dtype=np.int64), max(size, 1))
    late = kinds == code_of(FEED, "late")
    waited_for = np.flatnonzero(late & (of_day.op == INSERT))
    others = np.flatnonzero(~late & (of_day.op != INSERT))[: len(waited_for)]
    waited_for = waited_for[: len(others)]
    kinds[waited_for], kinds[others] = kinds[others], kinds[waited_for]
    return of_day, kinds


def _columns(shop: Shop, lines: Changes) -> Columns:
    ids = lines.customer
    city = city_at(shop, ids, lines.moment)
    first = below(key_of(shop.seed, "first name"), ids, len(FIRST_NAMES))
    last = below(key_of(shop.seed, "last name"), ids, len(LAST_NAMES))
    segment = of_epoch(shop, "segment", ids, epoch(shop, SEGMENT_CHANGES, ids, lines.moment), len(SEGMENTS))
    return {
        "op": chosen(_OPS, lines.op.astype(np.int64)),
        "customer_id": as_text(ids),
        "cust_nm": joined(chosen(FIRST_NAMES, first), " ", chosen(LAST_NAMES, last)),
        "email": joined(
            chosen(_mail(FIRST_NAMES), first), ".", chosen(_mail(LAST_NAMES), last), as_text(ids), "@example.com"
        ),
        "phone": _phones(shop, ids, lines.moment),
        "city": chosen([place.name for place in CITIES], city),
        "state": chosen([place.state for place in CITIES], city),
        "country": chosen([place.country for place in CITIES], city),
        "segment": chosen(SEGMENTS, segment),
        "registered_at": timestamps(registered_at(shop, ids)),
        "updated_at": micro_timestamps(lines.moment),
    }


def _mail(names: tuple[str, ...]) -> list[str]:
    return [name.lower().translate(_MAIL_NAMES) for name in names]


def _phones(shop: Shop, ids: Ints, moment: Ints) -> pa.Array:
    """A tenth is empty."""
    number = of_epoch(shop, "phone", ids, epoch(shop, PHONE_CHANGES, ids, moment), 10_000_000)
    return pc.if_else(
        pa.array(number % 10 == 0), pa.scalar(None, pa.string()), joined("+1-555-", padded_text(number, 7))
    )
