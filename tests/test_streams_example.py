"""examples/streams over the shop's own feeds: day by day, killed on the way, and as one batch, the tables are the same."""

from __future__ import annotations

import shutil

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from conftest import balanced
from lakehouse import run
from lakehouse.ending import Ending
from lakehouse.pipeline.run import run_plan
from lakehouse.planning.planner import plan_job
from lakehouse.sample_data import write_shop
from shop import ROOT

EXAMPLE = ROOT / "examples" / "streams" / "conf"
SCORES = "gold_fraud_scores"
JOBS = ("silver_order_events", "silver_click_events", "silver_placed_orders")
GOLD = ("gold_order_minutes", "gold_sessions", "gold_click_to_order")
BRONZE = ("bronze_order_events", "bronze_clicks", "bronze_orders")


def flushed(plan, spark):
    return run_plan(plan, spark, Ending(plan.layout, plan.name, once=True, flush=True))


def table(lake, name):
    opened = DeltaTable(str(lake / name))
    rows = pa.table(QueryBuilder().register("t", opened).execute("SELECT * FROM t").read_all()).to_pylist()
    return sorted(rows, key=str)


@pytest.fixture(scope="module")
def lakes(spark, tmp_path_factory):
    """A lake that took two days one after the other, and one that found both: their records by job."""
    folder, records = tmp_path_factory.mktemp("streams"), {"daily": [], "whole": []}
    daily, whole = folder / "daily", folder / "whole"
    patch = pytest.MonkeyPatch()
    patch.setenv("LAKE", str(daily))
    for day in (1, 2):
        write_shop(daily / "landing", first_day=day, days=1, scale=0.05, seed=7)
        for name in BRONZE:
            run(ROOT / "conf" / f"{name}.yml", lake=str(daily))
        records["daily"] += [run(EXAMPLE / f"{name}.yml", lake=str(daily)) for name in (*JOBS, *GOLD)]
    shutil.copytree(daily / "bronze", whole / "bronze")
    records["whole"] += [run(EXAMPLE / f"{name}.yml", lake=str(whole)) for name in (*JOBS, SCORES)]
    for lake, names in ((daily, GOLD), (whole, GOLD)):
        for name in names:
            records[lake.name].append(flushed(plan_job(EXAMPLE / f"{name}.yml", lake=str(lake)), spark))
    patch.undo()
    return daily, whole, records


def test_a_stream_of_two_days_gives_what_one_batch_gives(lakes):
    daily, whole, _ = lakes
    for name in ("silver/order_events", "gold/order_minutes", "gold/sessions", "gold/click_to_order"):
        assert table(daily, name), name
        assert table(daily, name) == table(whole, name), name


def test_every_row_read_is_accounted_for(lakes):
    records = [record for each in lakes[2].values() for record in each]
    assert all(map(balanced, records))
    assert all(record.rows_open == 0 for record in records[-3:])
    assert any(record.rows_quarantined for record in records)
    assert any("late rows were added" in note for record in records for note in record.notes)


# Each order with its customer's orders of the hour and the day before it: exact arithmetic, as SQL without Spark says it.
FEATURES = """
    SELECT this.order_id, sum((past.ordered_at > this.ordered_at - INTERVAL 1 HOUR)::INT)::BIGINT AS orders_1h,
           coalesce(sum(past.amount) FILTER (WHERE past.ordered_at > this.ordered_at - INTERVAL 1 HOUR), 0) AS spent_1h,
           count(*) AS orders_24h, sum(past.amount) AS spent_24h
    FROM orders AS this JOIN orders AS past ON past.customer_id = this.customer_id
     AND past.ordered_at > this.ordered_at - INTERVAL 24 HOURS AND past.ordered_at <= this.ordered_at
    WHERE this.amount IS NOT NULL GROUP BY ALL
"""


def test_fraud_scores_are_what_duckdb_counts_and_each_alert_has_its_reasons(lakes):
    whole = lakes[1]
    orders = pa.Table.from_pylist(table(whole, "silver/placed_orders"))
    with duckdb.connect() as connection:
        connection.register("orders", orders)
        expected = connection.sql(FEATURES).to_arrow_table().to_pylist()
    scores = {row["order_id"]: row for row in table(whole, "gold/fraud_scores")}
    assert len(scores) == len(expected) > 50
    for row in expected:
        assert {name: scores[row["order_id"]][name] for name in row} == row
    alerts = table(whole, "gold/fraud_alerts")
    assert 0 < len(alerts) < len(scores)
    assert {row["order_id"] for row in alerts} == {name for name, row in scores.items() if row["reasons"]}
