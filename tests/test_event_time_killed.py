"""Streams with state that go on, killed amid their micro-batches: each row read is in one place, no window is there twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from conftest import balanced
from lakehouse import runs
from lakehouse.cli import command
from programs import program, until

SOURCE = """
layer: gold
source: {{delta: {{table: bronze.clicks}}}}
read: incremental
stream: {{trigger: 0.2 seconds, watermark: {watermark}}}
"""
WATERMARK = "{column: clicked_at, delay: 10 minutes}"
COUNTED = f"""{SOURCE.format(watermark=WATERMARK)}
rules: [not_null: {{column: buyer}}]
transforms:
  - window: {{time_column: clicked_at, size: 10 minutes, group_by: [buyer], measures: {{clicks: count(*), ids: sum(click_id)}}}}
sink: {{append: {{table: gold.counted}}}}
"""
ONCE = f"""{SOURCE.format(watermark=WATERMARK)}
transforms:
  - deduplicate: {{keys: [click_id], within: 10 minutes}}
sink: {{append: {{table: gold.once}}}}
"""
BOTH = "{bronze.clicks: {column: clicked_at, delay: 1 day}, bronze.orders: {column: ordered_at, delay: 1 day}}"
PAIRED = f"""{SOURCE.format(watermark=BOTH)}
inputs: [bronze.orders]
transforms:
  - stream_join: {{with: bronze.orders, on: [buyer], within: 1 hour, how: inner}}
sink: {{append: {{table: gold.paired}}}}
"""
JOBS = {"counted": COUNTED, "once": ONCE, "paired": PAIRED}
CLICK, ORDER = (
    "click_id bigint, buyer bigint, clicked_at timestamp",
    "order_id bigint, buyer bigint, ordered_at timestamp",
)
BUYERS, PARTS, EACH = 5, 8, 60


def made(draw: random.Random, part: int) -> tuple[list[tuple], list[tuple]]:
    """Clicks of half an hour, some far behind, some twice, some without a buyer or a time; and the orders of that half hour."""
    begins, clicks, orders = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(minutes=30 * part), [], []
    for index in range(EACH):
        moment = begins + timedelta(seconds=30 * index) - timedelta(minutes=draw.choice([0, 0, 0, 3, 8, 35, 70]))
        clicks.append((part * EACH + index, draw.randrange(BUYERS), moment))
        if index % 10 == 0:
            orders.append((part * EACH + index, draw.randrange(BUYERS), moment + timedelta(seconds=1)))
    clicks += [*draw.sample(clicks, 5), (-1 - part, None, begins), (-100 - part, 1, None)]
    draw.shuffle(clicks)
    return clicks, orders


def window(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 10 * 10, second=0)


@pytest.mark.soak
def test_stateful_streams_killed_at_any_moment_lose_and_double_nothing(spark, project, monkeypatch):
    monkeypatch.chdir(project.root)
    for name, text in JOBS.items():
        project.job(name, text)
    draw = random.Random(20261122)
    parts = [made(draw, part) for part in range(PARTS)]
    arrived = iter(parts)

    def arrive() -> None:
        for name, schema, rows in zip(("clicks", "orders"), (CLICK, ORDER), next(arrived), strict=True):
            place = project.lake / "bronze" / name
            spark.createDataFrame(rows, schema).coalesce(1).write.format("delta").mode("append").save(str(place))

    arrive()
    for _ in range(3):
        before = {name: newest(project, name) for name in JOBS}
        with program(project.root, "run", "--all") as process:
            arrive()
            for name, was in before.items():
                until(lambda name=name, was=was: newest(project, name) > was, process, 300)
            arrive()
            time.sleep(draw.uniform(0, 2))
            os.killpg(process.pid, signal.SIGKILL)
    arrive()
    assert command(["run", "--all", "--once"]) == 0
    assert next(arrived, None) is None
    assert command(["stream", "flush", "counted"]) == 0
    for name in JOBS:
        assert all(map(balanced, runs.read(runs.Layout(str(project.lake)), name))), name
    clicks = [click for taken, _ in parts for click in taken]
    orders = [order for _, taken in parts for order in taken]
    require_counted(project, clicks)
    require_once(project, clicks)
    pairs = [
        (click, order)
        for click, buyer, clicked in clicks
        for order, by, ordered in orders
        if buyer == by and clicked is not None and timedelta(0) <= ordered - clicked <= timedelta(hours=1)
    ]
    assert Counter((row["click_id"], row["order_id"]) for row in project.rows("gold.paired")) == Counter(pairs)


def newest(project, job: str) -> int:
    """The last micro-batch that Spark has finished for a job."""
    commits = (project.lake / f"_checkpoints/{job}/stream/commits").glob("[0-9]*")
    return max((int(file.name) for file in commits), default=-1)


def require_counted(project, clicks: list[tuple]) -> None:
    """Each good click is in its finished window or, with the window it missed, among the late ones."""
    windows, late = project.rows("gold.counted"), project.rows("gold.counted__late")
    found = Counter({(row["window_start"], row["buyer"]): row["clicks"] for row in windows})
    assert len(found) == len(windows)
    found.update((row["_window_start"], row["buyer"]) for row in late)
    good = [(number, buyer, moment) for number, buyer, moment in clicks if moment is not None and buyer is not None]
    assert found == Counter((window(moment), buyer) for _, buyer, moment in good)
    assert sum(row["ids"] for row in windows) + sum(row["click_id"] for row in late) == sum(
        number for number, *_ in good
    )
    assert late
    assert len(project.rows("gold.counted__quarantine")) == len(clicks) - len(good)


def require_once(project, clicks: list[tuple]) -> None:
    """Each click with a time is there once, or late, or both where it came again."""
    once, late = project.rows("gold.once"), project.rows("gold.once__late")
    taken = [row["click_id"] for row in once]
    assert len(set(taken)) == len(taken)
    expected = Counter(number for number, _, moment in clicks if moment is not None)
    assert {*taken, *(row["click_id"] for row in late)} == expected.keys()
    behind = Counter(row["click_id"] for row in late)
    assert all(count <= expected[number] for number, count in behind.items())
