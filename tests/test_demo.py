"""The example shop from landing files to gold: two days, on a folder and on S3, and killed again and again."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from lakehouse.sample_data import write_shop
from servers import in_environment, minio
from shop import ROOT, SCALE, finished, program, tables

KILLS = 10


def test_the_demo_fills_every_table_and_shows_what_it_did(demo):
    lake, (first, second) = demo
    jobs = {file.stem for file in (ROOT / "conf").glob("*.yml")}
    for job in jobs:
        assert re.search(rf"^{job} +succeeded", first, re.MULTILINE), job
    assert {"silver.orders", "gold.fct_orders", "gold.payment_reconciliation"} <= set(tables(lake))
    assert "gold.daily_revenue: the last days' revenue" in first
    assert "day 2 took" in second


def test_the_second_day_reads_only_what_is_new(demo):
    _, (first, second) = demo
    pattern = re.compile(r"^bronze_campaigns +succeeded +(\d+) ", re.MULTILINE)
    rows = [int(pattern.search(text)[1]) for text in (first, second)]
    assert rows[1] < rows[0] * 1.5  # both days' lists together would be twice as many


def test_every_run_of_the_demo_balances(demo):
    lake, _ = demo
    runs = pa.table(
        QueryBuilder().register("t", DeltaTable(f"{lake}/_runs")).execute("SELECT * FROM t").read_all()
    ).to_pylist()
    for run in runs:
        assert (
            run["rows_read"] == run["rows_valid"] + run["rows_quarantined"] + run["rows_dropped"] + run["rows_late"]
        ), run
        effects = run["rows_inserted"] + run["rows_updated"] + run["rows_deleted"] + run["rows_unchanged"]
        assert run["rows_to_sink"] == effects, run


def test_facts_point_to_dimensions(demo):
    lake, _ = demo
    engine = QueryBuilder()
    for name in ("fct_orders", "dim_customers", "dim_campaigns"):
        engine.register(name, DeltaTable(f"{lake}/gold/{name}"))
    for dim, key in (("dim_customers", "customer_key"), ("dim_campaigns", "campaign_key")):
        sql = f"SELECT count(*) AS n FROM fct_orders f LEFT JOIN {dim} d ON d.{key} = f.{key} WHERE d.{key} IS NULL"
        assert pa.table(engine.execute(sql).read_all()).to_pylist() == [{"n": 0}]
        sql = f"SELECT count(*) AS n FROM fct_orders WHERE {key} = 'unknown'"
        assert pa.table(engine.execute(sql).read_all()).to_pylist()[0]["n"] > 0


@pytest.mark.soak
def test_the_demo_on_s3_gives_the_same_tables(demo):
    lake, _ = demo
    with minio("lake") as server, in_environment(server.environment()):
        for _ in range(2):
            finished(program("s3a://lake/demo", "demo"))
        on_s3 = tables("s3a://lake/demo", {**server.environment(), "aws_conditional_put": "etag"})
    here = tables(lake)
    assert on_s3.keys() == here.keys()
    for name, rows in here.items():
        assert on_s3[name] == rows, name


@pytest.mark.soak
def test_killed_at_any_moment_the_shop_ends_in_the_same_tables(tmp_path):
    """SIGKILL to the driver and its JVM at seeded moments; the next run needs no hand. A day comes once the last is done."""
    moments = random.Random(20260101)
    lake, hits, day = str(tmp_path / "killed"), 0, 1
    write_shop(Path(lake) / "landing", days=1, scale=SCALE)
    while hits < KILLS:
        with program(lake, "run", "--all") as process:
            try:
                said, _ = process.communicate(timeout=moments.uniform(4, 25))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                assert process.returncode == -signal.SIGKILL
                hits += 1
                continue
        assert process.returncode == 0, said
        day += 1
        write_shop(Path(lake) / "landing", first_day=day, days=1, scale=SCALE)
    finished(program(lake, "run", "--all"))
    reference = str(tmp_path / "reference")
    for number in range(1, day + 1):
        write_shop(Path(reference) / "landing", first_day=number, days=1, scale=SCALE)
        finished(program(reference, "run", "--all"))
    killed, expected = tables(lake), tables(reference)
    assert killed.keys() == expected.keys()
    for name, rows in expected.items():
        assert killed[name] == rows, name
