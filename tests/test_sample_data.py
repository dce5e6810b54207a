"""The sample data: deterministic, written whole, quick at any scale, and a shop that makes sense."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lakehouse.sample_data import feeds, write_shop
from landing_files import Row, number, rows_of, whole_rows

FEEDS = [feed.name for feed in feeds()]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five days at scale 1."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder, days=5)
    return folder


def digests(folder: Path) -> dict[str, str]:
    """A hash per file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("once", "twice"):
        write_shop(tmp_path / name, days=2, scale=0.1)
    assert digests(tmp_path / "once") == digests(tmp_path / "twice")


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    write_shop(tmp_path / "here", days=1, scale=0.02)
    code = (
        "import sys, pathlib; from lakehouse.sample_data import write_shop;"
        "write_shop(pathlib.Path(sys.argv[1]), days=1, scale=0.02)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=True)
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


@pytest.mark.parametrize(("seed", "scale", "same"), [(8, 0.1, set()), (7, 0.2, {"campaigns"})])
def test_another_seed_or_scale_gives_other_bytes(tmp_path: Path, seed: int, scale: float, same: set[str]) -> None:
    write_shop(tmp_path / "one", days=1, scale=0.1)
    write_shop(tmp_path / "other", days=1, scale=scale, seed=seed)
    one, other = digests(tmp_path / "one"), digests(tmp_path / "other")
    assert {name.split("/")[0] for name in one if one[name] == other.get(name)} == same


def test_a_day_alone_equals_the_day_among_others(shop: Path, tmp_path: Path) -> None:
    alone = write_shop(tmp_path, first_day=3, days=1)
    assert {path.relative_to(tmp_path) for path in alone} == {
        path.relative_to(shop) for path in shop.rglob("*2026-01-03*")
    }
    assert digests(tmp_path).items() <= digests(shop).items()


def test_writing_again_touches_no_file(tmp_path: Path) -> None:
    first = write_shop(tmp_path, days=1, scale=0.02)
    before = {path: path.stat() for path in first}
    assert write_shop(tmp_path, days=1, scale=0.02) == first
    assert {path: path.stat().st_mtime_ns for path in first} == {
        path: found.st_mtime_ns for path, found in before.items()
    }
    assert {path: path.stat().st_ino for path in first} == {path: found.st_ino for path, found in before.items()}


def test_a_damaged_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    written = write_shop(tmp_path, days=1, scale=0.02)
    whole = digests(tmp_path)
    written[0].write_bytes(b"x" * written[0].stat().st_size)
    written[1].with_name(f"_{written[1].name}.tmp").write_bytes(b"what an interrupted try left")
    written[1].unlink()
    write_shop(tmp_path, days=1, scale=0.02)
    assert digests(tmp_path) == whole


def test_a_write_that_fails_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Path, _target: Path) -> Path:
        raise OSError("disk gone")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_shop(tmp_path, days=1, scale=0.02)
    assert [path.name[0] for path in tmp_path.rglob("*") if path.is_file()] == ["_"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": 0}, "days must be 1 or more"),
        ({"days": 1, "first_day": 0}, "first_day is 0"),
        ({"days": 1, "scale": 0}, "scale is 0"),
        ({"days": 1, "scale": float("nan")}, "scale is nan"),
        ({"days": 1, "scale": 1e6}, "scale is 1000000"),
    ],
)
def test_options_that_make_no_shop_are_refused(tmp_path: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_shop(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_importing_is_cheap() -> None:
    code = (
        "import sys, lakehouse; before = set(sys.modules); import time; start = time.process_time();"
        "import lakehouse.sample_data; took = time.process_time() - start;"
        "print(took, *{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    took, *loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"numpy", "pyarrow", "pyspark"} & set(loaded)
    assert float(took) < 0.1  # about 4 ms; the rest is for a busy machine


def test_scale_fifty_takes_seconds_and_has_fifty_times_the_orders(tmp_path: Path) -> None:
    start = time.process_time()
    written = write_shop(tmp_path, days=1, scale=50)
    assert time.process_time() - start < 5  # about 1.5 s
    orders = [path for path in written if path.parent.name == "orders"]
    created = sum(path.read_bytes().count(b'"created"') for path in orders)
    assert 0.95 * 50_000 < created < 1.02 * 50_000


@pytest.mark.parametrize("feed", FEEDS)
def test_the_columns_are_those_of_the_docs(shop: Path, feed: str) -> None:
    columns = {column.name for found in feeds() if found.name == feed for column in found.columns}
    assert all(set(row) - {"_date"} == columns for row in whole_rows(shop, feed))
    pattern = next(found.files for found in feeds() if found.name == feed)
    shape = re.sub(
        "YYYY-MM-DD|NNN|HH",
        lambda part: {"NNN": r"\\d{3}", "HH": r"\\d\\d"}.get(part[0], r"\\d{4}-\\d\\d-\\d\\d"),
        pattern,
    )
    assert all(re.fullmatch(shape.replace("\\\\", "\\"), path.name) for path in (shop / feed).iterdir())


def test_item_files_differ_in_their_headers_and_one_has_a_bom(shop: Path) -> None:
    for day in range(1, 6):
        first, second = sorted((shop / "order_items").glob(f"*2026-01-0{day}*"))
        headers = [path.read_text("utf-8-sig").split("\n")[0].split(",") for path in (first, second)]
        assert headers[0] != headers[1]
        assert sorted(headers[0]) == sorted(headers[1])
        assert [path.read_bytes().startswith(b"\xef\xbb\xbf") for path in (first, second)] == [False, True]


def test_notes_hold_commas_line_breaks_and_quotes(shop: Path) -> None:
    for path in (shop / "order_items").iterdir():
        text = path.read_text("utf-8-sig")
        assert all(note in text for note in ('"wrap it, please"', '"first line\nsecond line"', '""hello""'))


def clean_amounts(rows: list[Row]) -> dict[str, Decimal]:
    """The amount of each order that has one good line at least."""
    good = [row for row in rows if row["order_id"] and row["status"] and 0 < (number(row["amount"]) or 0) < 10**9]
    return {row["order_id"]: Decimal(row["amount"]) for row in good}


def test_an_order_costs_what_its_items_cost(shop: Path) -> None:
    amounts, totals = clean_amounts(whole_rows(shop, "orders")), defaultdict[str, Decimal](Decimal)
    latest = {
        (row["order_id"], row["line_no"]): row
        for row in sorted(whole_rows(shop, "order_items"), key=lambda row: row["updated_at"])
    }
    for (order, _), row in latest.items():
        quantity, price = number(row["quantity"]), number(row["unit_price"])
        if order and quantity and quantity > 0 and price and price < 10**9:
            totals[order] += quantity * price * (1 - Decimal(row["discount"]))
    equal = [amount == totals[order].quantize(Decimal("0.01"), ROUND_HALF_UP) for order, amount in amounts.items()]
    assert sum(equal) / len(equal) > 0.88  # an item in twenty-five is lost to dirt, and an order has two or three


def test_order_states_follow_each_other(shop: Path) -> None:
    steps = defaultdict[str, list[tuple[str, str]]](list)
    for row in whole_rows(shop, "orders"):
        if row["order_id"] and row["status"] and not row["updated_at"].startswith("2099") and row["channel"] != "phone":
            steps[row["order_id"]].append((row["updated_at"], row["status"].strip().lower()))
    ways = Counter(tuple(dict.fromkeys(state for _, state in sorted(found))) for found in steps.values())
    whole = ("created", "paid", "shipped", "delivered", "returned")
    common = {way for way, count in ways.items() if count > 100}
    assert common == {whole[:2], whole[:3], whole[:4], ("created", "cancelled")}
    assert whole in ways


def test_customers_come_change_go_and_return_out_of_order(shop: Path) -> None:
    rows = [
        row for row in whole_rows(shop, "customers") if row["customer_id"] and not row["updated_at"].startswith("2099")
    ]
    ops = defaultdict[str, str](str)
    for row in sorted(rows, key=lambda row: row["updated_at"]):
        ops[row["customer_id"]] += row["op"]
    assert {"I", "D", "U"} == set("".join(ops.values()))
    assert any(re.search("I+U*D+I", found) for found in ops.values())
    times = [row["updated_at"] for row in rows if row["_date"] == "2026-01-02"]
    assert times != sorted(times)
    assert sum(row["op"] == "I" and row["_date"] == "2026-01-01" for row in rows) >= 500


def test_products_change_price_come_go_and_return(shop: Path) -> None:
    days = defaultdict[str, dict[str, str]](dict)
    for row in whole_rows(shop, "products"):
        days[row["_date"]][row["product_id"]] = row["price"]
    first, second, *_, last = (days[date] for date in sorted(days))
    assert second.keys() - first.keys()
    assert first.keys() - second.keys()
    assert (first.keys() & last.keys()) - second.keys()
    assert any(first[product] != second[product] for product in first.keys() & second.keys())


def test_payments_are_typed(shop: Path) -> None:
    schema = pq.read_schema(next((shop / "payments").iterdir()))
    assert str(schema.field("amount").type) == "decimal128(12, 2)"
    assert str(schema.field("paid_at").type) == "timestamp[us, tz=UTC]"


def test_orders_from_a_campaign_have_a_click_before_them(shop: Path) -> None:
    clicks = {(row["campaign_id"], row["customer_id"]) for row in whole_rows(shop, "clicks")}
    led = [row for row in whole_rows(shop, "orders") if row["campaign_id"] and row["status"] == "created"]
    found = [(row["campaign_id"], str(row["customer_id"])) in clicks for row in led]
    assert sum(found) / len(found) > 0.9


def test_events_arrive_in_their_six_hours_or_late(shop: Path) -> None:
    for path in (shop / "order_events").iterdir():
        date, hour = re.findall(r"(\d{4}-\d\d-\d\d)_(\d\d)", path.name)[0]
        times = re.findall(r'"event_time":"(20[23]\d[^"]*)"', path.read_text())
        today = [time for time in times if time.startswith(date)]
        assert all(f"{date}T{max(int(hour) - 1, 0):02d}" <= time < f"{date}T{int(hour) + 6:02d}" for time in today)
        assert len(today) > 0.9 * len(times)


def test_each_feed_has_a_folder_and_files_for_each_day(shop: Path) -> None:
    assert sorted(path.name for path in shop.iterdir()) == sorted(FEEDS)
    assert all(len({row["_date"] for row in rows_of(shop, feed)}) == 5 for feed in FEEDS)
