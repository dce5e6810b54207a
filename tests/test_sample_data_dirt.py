"""The dirt in the sample data is that of its table: every kind is looked for in the files and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from lakehouse.sample_data import DIRT, feeds, write_shop
from landing_files import Row, number, rows_of, whole_rows

DAYS = 3
FEEDS = [feed.name for feed in feeds()]
COLUMNS = {feed.name: [column.name for column in feed.columns] for feed in feeds()}
CARRIED = ("late", "redelivered")  # seen in the next day's file
KEYS = {
    "customers": ("customer_id", "updated_at"),
    "order_items": ("order_id", "line_no"),
    "payments": ("payment_id",),
    "clicks": ("click_id",),
}
WORDS = {  # the column that shows blanks and capitals
    "customers": ("cust_nm", "segment"),
    "products": ("name", "category"),
    "orders": ("status", "status"),
    "order_items": ("product_id", "note"),
    "payments": ("method", "method"),
    "campaigns": ("name", "channel"),
    "clicks": ("campaign_id", "campaign_id"),
    "order_events": ("event_type", "event_type"),
}
VALUES = {  # what must be there, the number, the time that may lie in the future, the time in two formats
    "customers": ("email", "customer_id", "updated_at", "registered_at"),
    "products": ("name", "price", None, None),
    "orders": ("status", "amount", "updated_at", "order_ts"),
    "order_items": ("quantity", "unit_price", None, None),
    "payments": ("paid_at", "amount", "paid_at", None),
    "campaigns": ("name", "budget", None, "start_date"),
    "clicks": ("clicked_at", "cost", "clicked_at", "clicked_at"),
    "order_events": ("event_type", "amount", "event_time", None),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days at scale 1."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder, days=DAYS)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days at scale 0.02."""
    folder = tmp_path_factory.mktemp("tiny")
    write_shop(folder, days=DAYS, scale=0.02)
    return folder


def row_kinds(folder: Path, feed: str, row: Row) -> Iterator[str]:
    """The kinds of dirt that a row shows by itself or by its references."""
    if "_kind" in row:
        yield row["_kind"]
        return
    blanks, words = WORDS[feed]
    needed, amount, future, formatted = VALUES[feed]
    size = number(row[amount])
    key = KEYS.get(feed, (COLUMNS[feed][0],))[0]
    tests = {
        "null_key": row[key] is None,
        "null_value": row[needed] is None,
        "wrong_type": row[amount] is not None and size is None,
        "negative_amount": (size or 0) < 0 or (number(row.get("quantity")) or 0) < 0,
        "absurd_amount": feed != "customers" and (size or 0) >= 10**9,
        "future_date": future is not None and str(row[future]).startswith("2099"),
        "date_format": formatted is not None and "/" in str(row[formatted]),
        "outer_blanks": str(row[blanks]) != str(row[blanks]).strip(),
        "mixed_case": row[words] is not None and words != "note" and row[words] != row[words].lower(),
        **dangling(folder, feed, row),
    }
    yield from (kind for kind, holds in tests.items() if holds)


def dangling(folder: Path, feed: str, row: Row) -> dict[str, bool]:
    """Which of the row's references lead nowhere."""
    targets = {"customer_id": "customers", "product_id": "products", "campaign_id": "campaigns", "order_id": "orders"}
    found = {}
    for column, target in targets.items():
        if column in row and target != feed and row[column] is not None:
            value = str(row[column]).strip().lower()
            found[f"dangling_{column.removesuffix('_id')}"] = value not in ids_of(folder, target, column)
    return found


@cache
def ids_of(folder: Path, feed: str, column: str) -> frozenset[str]:
    """All ids of a feed."""
    return frozenset(str(row[column]).strip().lower() for row in whole_rows(folder, feed))


def repeated_kinds(folder: Path, feed: str) -> Counter[str]:
    """The kinds that show only in several rows or in a file's date: duplicates, late and repeated events."""
    by_file = Counter(json.dumps(row, default=str, sort_keys=True) for row in whole_rows(folder, feed))
    found: Counter[str] = Counter(exact_duplicate=sum(count - 1 for count in by_file.values()))
    rows = [json.loads(text) for text in by_file]
    if feed == "orders":
        return found + Counter(key_duplicate=sum(row["channel"] == "phone" for row in rows))
    moved = {"customers": "updated_at", "order_events": "event_time"}.get(feed)
    old = [row for row in rows if moved and row[moved] < row["_date"]]
    events = Counter(json.dumps({**row, "_date": ""}) for row in rows)
    found["redelivered"] = sum(count - 1 for count in events.values()) if feed == "customers" else 0
    found["late"] = len(old) - found["redelivered"]
    found["key_duplicate"] = repeated_keys(feed, [json.loads(event) for event in events])
    return found


def repeated_keys(feed: str, rows: list[Row]) -> int:
    """How many rows have the key of another; those without a key or a needed value are not looked at."""
    whole = [row for row in rows if feed in KEYS and None not in [row[part] for part in (*KEYS[feed], VALUES[feed][0])]]
    keys = Counter(tuple(row[part] for part in KEYS[feed]) for row in whole)
    return len(whole) - len(keys)


def payment_kinds(folder: Path) -> Counter[str]:
    """The kinds that show only when payments are held against orders."""
    orders = [
        row
        for row in whole_rows(folder, "orders")
        if (number(row["amount"]) or 0) > 0 and number(row["amount"]) != 10**9
    ]
    amounts = {row["order_id"]: Decimal(row["amount"]) for row in orders if row["order_id"]}
    cancelled = {row["order_id"] for row in orders if str(row["status"]).strip().lower() == "cancelled"}
    captured = [row for row in whole_rows(folder, "payments") if row["status"] == "captured"]
    paid = {row["order_id"] for row in captured} | {
        f"O{row['payment_id'][1:-2]}" for row in captured if row["payment_id"]
    }
    times = Counter(row["payment_id"] for row in captured)
    single = [row for row in captured if times[row["payment_id"]] == 1 and 0 < row["amount"] < 10**9]
    apart = [abs(row["amount"] - amounts[row["order_id"]]) for row in single if row["order_id"] in amounts]
    return Counter(
        unpaid_order=len(amounts.keys() - cancelled - paid),
        rounding_difference=sum(difference == Decimal("0.01") for difference in apart),
        amount_mismatch=sum(difference >= 1 for difference in apart),
    )


@cache
def kinds_found(folder: Path, feed: str) -> Counter[str]:
    """How many lines of each kind a feed has, found in the files alone."""
    found = Counter(kind for row in rows_of(folder, feed) for kind in row_kinds(folder, feed, row))
    found += repeated_kinds(folder, feed)
    return found + payment_kinds(folder) if feed == "payments" else found


@pytest.mark.parametrize("feed", FEEDS)
def test_each_kind_of_dirt_has_its_rate(shop: Path, feed: str) -> None:
    lines, found = len(rows_of(shop, feed)), kinds_found(shop, feed)
    earlier = sum(row["_date"] < "2026-01-03" for row in rows_of(shop, feed))
    stated = {dirt.kind: dirt.rate * (earlier if dirt.kind in CARRIED else lines) for dirt in DIRT if dirt.feed == feed}
    wrong = {
        kind: (found[kind], round(due, 1)) for kind, due in stated.items() if abs(found[kind] - due) > 0.25 * due + 2
    }
    assert wrong == {}


@pytest.mark.parametrize("feed", FEEDS)
def test_no_dirt_but_that_of_the_table(shop: Path, feed: str) -> None:
    stated = {dirt.kind for dirt in DIRT if dirt.feed == feed}
    assert {kind for kind, count in kinds_found(shop, feed).items() if count} <= stated


@pytest.mark.parametrize("feed", FEEDS)
def test_a_tiny_shop_has_every_kind(tiny: Path, feed: str) -> None:
    stated = {dirt.kind for dirt in DIRT if dirt.feed == feed}
    assert stated - {kind for kind, count in kinds_found(tiny, feed).items() if count} == set()


@pytest.mark.parametrize("feed", FEEDS)
def test_a_strict_validation_would_refuse_about_five_percent(shop: Path, feed: str) -> None:
    refused = sum(kinds_found(shop, feed)[dirt.kind] for dirt in DIRT if dirt.feed == feed and dirt.refused)
    assert 0.035 <= refused / len(rows_of(shop, feed)) <= 0.075
