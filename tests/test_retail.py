"""The retail example on real files, held against DuckDB over the same files."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from lakehouse import DataError, run

ROOT = Path(__file__).parent.parent
CONF = ROOT / "examples" / "retail" / "conf"
SHARED = ROOT.parent / "shared" / "data" / "online-retail"
FILES = Path(os.environ.get("ONLINE_RETAIL_DIR", SHARED))

pytestmark = pytest.mark.skipif(
    not FILES.is_dir(), reason="no Online Retail files: set ONLINE_RETAIL_DIR to their folder"
)

GOLD = ("gold_daily_revenue", "gold_monthly_active_customers", "gold_top_products", "gold_customer_scores")

# What the silver tables must hold, from the raw files by another engine.
RAW = f"""
CREATE TABLE raw AS SELECT *, row_number() OVER (
    PARTITION BY InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country) AS copy
FROM read_csv('{FILES}/*.csv', all_varchar=true, header=true, union_by_name=true);
CREATE TABLE judged AS SELECT *,
    coalesce(CustomerID, '') = '' OR try_cast(UnitPrice AS decimal(12,3)) <= 0
    OR (InvoiceNo NOT LIKE 'C%' AND (try_cast(Quantity AS int) <= 0 OR NOT regexp_full_match(InvoiceNo, '[0-9]{{6}}'))) AS broken
FROM raw;
CREATE TABLE good AS SELECT InvoiceNo, StockCode, trim(Description) AS description, Quantity::int AS quantity,
    UnitPrice::decimal(12,3) AS unit_price, (Quantity::int * UnitPrice::decimal(12,3))::decimal(14,3) AS amount,
    InvoiceDate::timestamp AS invoiced_at, CustomerID::double::int AS customer_id, Country AS country
FROM judged WHERE NOT broken AND copy = 1;
"""


@pytest.fixture(scope="module")
def expected():
    connection = duckdb.connect()
    connection.execute(RAW)
    return connection


@pytest.fixture(scope="module")
def lake(tmp_path_factory, spark):
    """December twice (its files under new names the second time), after January, without the gate."""
    folder = tmp_path_factory.mktemp("retail")
    landing = folder / "landing"
    landing.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLINE_RETAIL_DIR", str(landing))
        patch.setenv("MAX_QUARANTINED", "100%")
        patch.setenv("LAKE", str(folder / "lake"))
        for prefix, month in (("a-", "2011-01"), ("b-", "2010-12"), ("c-", "2010-12")):
            for file in FILES.glob(f"{month}*.csv"):
                (landing / f"{prefix}{file.name}").symlink_to(file)
            run(CONF / "bronze_invoice_lines.yml")
            record = run(CONF / "silver_invoice_lines.yml")
            assert record.rows_read == record.rows_valid + record.rows_quarantined + record.rows_dropped
            assert record.rows_to_sink == record.rows_inserted + record.rows_unchanged == record.rows_valid
        assert record.rows_inserted == 0
        for job in GOLD:
            run(CONF / f"{job}.yml")
    return folder / "lake"


def query(lake: Path, table: str, sql: str):
    opened = DeltaTable(str(lake / table.replace(".", "/")))
    found = pa.table(QueryBuilder().register("t", opened).execute(sql).read_all())
    return [tuple(row.values()) for row in found.to_pylist()]


@pytest.mark.parametrize("month", ["2010-12", "2011-01"])
def test_the_gate_stops_a_month_and_says_why(month, tmp_path, spark, monkeypatch):
    monkeypatch.setenv("ONLINE_RETAIL_DIR", str(FILES))
    monkeypatch.setenv("MONTH", month)
    monkeypatch.setenv("LAKE", str(tmp_path))
    run(CONF / "bronze_invoice_lines.yml")
    with pytest.raises(DataError, match=r"are broken \(.*not_null\(CustomerID\).*quality_gate allows 35\.0%"):
        run(CONF / "silver_invoice_lines.yml")
    assert not (tmp_path / "silver" / "invoice_lines").exists()


def test_the_gate_leaves_evidence_and_every_line_is_in_one_place(lake, expected):
    lines, broken = expected.execute("SELECT count(*), count_if(broken OR copy > 1) FROM judged").fetchone()
    sales = query(lake, "silver.invoice_lines", "SELECT count(*) FROM t")[0][0]
    cancelled = query(lake, "silver.cancellations", "SELECT count(*) FROM t")[0][0]
    december = expected.execute(
        "SELECT count_if(broken OR copy > 1) FROM judged WHERE InvoiceDate LIKE '2010-12%'"
    ).fetchone()[0]
    quarantined = query(lake, "silver.silver_invoice_lines__quarantine", "SELECT count(*) FROM t")[0][0]
    assert sales + cancelled + broken == lines
    assert quarantined == broken + december  # December came twice


def test_silver_holds_the_lines_that_duckdb_finds(lake, expected):
    sums = "count(*), sum(quantity), sum(amount), count(DISTINCT customer_id), min(invoiced_at), max(invoiced_at)"
    for table, where in (("silver.invoice_lines", "NOT LIKE 'C%'"), ("silver.cancellations", "LIKE 'C%'")):
        ours = query(lake, table, f"SELECT {sums} FROM t")[0]
        theirs = expected.execute(f"SELECT {sums} FROM good WHERE InvoiceNo {where}").fetchone()
        assert [str(value).replace("+00:00", "") for value in ours] == [str(value) for value in theirs]


@pytest.mark.parametrize(("table", "columns", "sql"), [
    ("gold.daily_revenue", "day, country, invoices, units, revenue",
     "SELECT invoiced_at::date AS day, country, count(DISTINCT InvoiceNo) AS invoices, sum(quantity) AS units, sum(amount) AS revenue FROM good WHERE InvoiceNo NOT LIKE 'C%' GROUP BY ALL"),
    ("gold.monthly_active_customers", "month, active_customers",
     "SELECT date_trunc('month', invoiced_at)::date AS month, count(DISTINCT customer_id) AS active_customers FROM good WHERE InvoiceNo NOT LIKE 'C%' GROUP BY ALL"),
    ("gold.top_products", "stock_code, units, revenue",
     "SELECT upper(StockCode) AS stock_code, sum(quantity) AS units, sum(amount) AS revenue FROM good WHERE InvoiceNo NOT LIKE 'C%' GROUP BY ALL ORDER BY revenue DESC, stock_code LIMIT 20"),
    ("gold.customer_scores", "customer_id, recency, frequency, monetary",
     "SELECT customer_id, date_diff('day', max(invoiced_at)::date, (SELECT max(invoiced_at)::date FROM good WHERE InvoiceNo NOT LIKE 'C%')) AS recency, count(DISTINCT InvoiceNo) AS frequency, sum(amount) AS monetary FROM good WHERE InvoiceNo NOT LIKE 'C%' GROUP BY ALL"),
])  # fmt: skip
def test_gold_holds_what_duckdb_computes(lake, expected, table, columns, sql):
    ours = query(lake, table, f"SELECT {columns} FROM t")
    theirs = expected.execute(f"SELECT {columns} FROM ({sql})").fetchall()
    assert sorted(map(str, ours)) == sorted(map(str, theirs))
