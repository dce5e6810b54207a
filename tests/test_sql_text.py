"""A user's SQL: which names and clocks are replaced, what is left alone, and what a query may see."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse import ConfigError, frames
from lakehouse.session import job_session
from lakehouse.sql_text import is_query, mentions, tokens, with_clock, with_views

NOW = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)
VIEWS = {"silver.orders": "v1", "silver.customers": "v2", "input": "v3"}


# --- names


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM silver.orders", "SELECT * FROM v1 AS `orders`"),
        ("SELECT * FROM silver.orders o", "SELECT * FROM v1 o"),
        ("SELECT * FROM silver.orders AS o", "SELECT * FROM v1 AS o"),
        ("SELECT * FROM `silver`.`orders`", "SELECT * FROM v1 AS `orders`"),
        ("SELECT * FROM silver . orders", "SELECT * FROM silver . orders"),
        ("SELECT * FROM silver.orders WHERE 1=1", "SELECT * FROM v1 AS `orders` WHERE 1=1"),
        ("SELECT * FROM silver.orders -- silver.orders\nORDER BY 1", "SELECT * FROM v1 AS `orders` -- silver.orders\nORDER BY 1"),
        ("SELECT 'silver.orders', \"silver.orders\" /* silver.orders */", "SELECT 'silver.orders', \"silver.orders\" /* silver.orders */"),
        (r"SELECT 'it''s silver.orders', 'a\'silver.orders', r'\silver.orders'", r"SELECT 'it''s silver.orders', 'a\'silver.orders', r'\silver.orders'"),
        ("SELECT `silver.orders` FROM {input}", "SELECT `silver.orders` FROM v3 AS `input`"),
        ("SELECT xsilver.orders, silver.ordersx, silver.order_s", "SELECT xsilver.orders, silver.ordersx, silver.order_s"),
        ("SELECT silver.orders.amount FROM silver.orders", "SELECT `orders`.`amount` FROM v1 AS `orders`"),
        ("SELECT silver.orders.a.b.c FROM silver.orders", "SELECT `orders`.`a`.`b`.`c` FROM v1 AS `orders`"),
        ("SELECT silver.orders.`a.b` FROM silver.orders", "SELECT `orders`.`a.b` FROM v1 AS `orders`"),
        ("SELECT silver.orders.* FROM silver.orders", "SELECT `orders`.* FROM v1 AS `orders`"),
        ("FROM silver.orders, silver.customers c", "FROM v1 AS `orders`, v2 c"),
        ("FROM silver.orders LEFT JOIN silver.customers USING (id)", "FROM v1 AS `orders` LEFT JOIN v2 AS `customers` USING (id)"),
        ("FROM (silver.orders) x", "FROM (v1 AS `orders`) x"),
        ("FROM {input}", "FROM v3 AS `input`"),
        ("FROM {input} i JOIN silver.orders ON true", "FROM v3 i JOIN v1 AS `orders` ON true"),
        ("SELECT {input}.id, {input}.* FROM {input}", "SELECT `input`.id, `input`.* FROM v3 AS `input`"),
        ("SELECT id FROM {input} WHERE a rlike '^[0-9]{4}$' AND b = '{input}'", "SELECT id FROM v3 AS `input` WHERE a rlike '^[0-9]{4}$' AND b = '{input}'"),
        ("SELECT {other}, ${x}, {", "SELECT {other}, ${x}, {"),
        ("WITH orders AS (SELECT * FROM silver.orders) SELECT orders.id FROM orders",
         "WITH orders AS (SELECT * FROM v1 AS `orders`) SELECT orders.id FROM orders"),
        ("SELECT * FROM bronze.orders", "SELECT * FROM bronze.orders"),
    ],
)  # fmt: skip
def test_a_declared_name_becomes_its_view_and_nothing_else_is_touched(sql, expected):
    assert with_views(sql, VIEWS) == expected


def test_two_tables_that_end_alike_keep_apart():
    sql = "FROM silver.orders JOIN bronze.orders ON silver.orders.id = bronze.orders.id"
    views = {"silver.orders": "v1", "bronze.orders": "v2"}
    assert with_views(sql, views) == "FROM v1 AS `v1` JOIN v2 AS `v2` ON `v1`.`id` = `v2`.`id`"


@given(st.text(max_size=120) | st.text("select.{}'\"`-/*\n oin(),", max_size=60))
@settings(max_examples=300, deadline=None)
def test_what_names_no_table_and_no_clock_comes_back_as_it_was(sql):
    assert "".join(token.text for token in tokens(sql)) == sql
    assert with_views(sql, {"nowhere.atall": "v"}) == sql


def test_a_name_is_mentioned_only_as_a_name():
    assert mentions("a._source_file || 'x'", "_source_file")
    assert mentions("`_source_file`", "_source_file")
    assert not mentions("'_source_file' -- _source_file", "_source_file")
    assert not mentions("my_source_file", "_source_file")


# --- the clock


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("now()", "TIMESTAMP '2026-03-01 12:30:15.250000Z'"),
        ("NOW ( )", "TIMESTAMP '2026-03-01 12:30:15.250000Z'"),
        ("current_timestamp", "TIMESTAMP '2026-03-01 12:30:15.250000Z'"),
        ("current_timestamp() - x", "TIMESTAMP '2026-03-01 12:30:15.250000Z' - x"),
        ("Current_Date", "DATE '2026-03-01'"),
        ("date_sub(current_date(), 1)", "date_sub(DATE '2026-03-01', 1)"),
        ("curdate()", "DATE '2026-03-01'"),
        ("current_time", "TIME '12:30:15.250000'"),
        ("localtimestamp()", "TIMESTAMP_NTZ '2026-03-01 12:30:15.250000'"),
        ("unix_timestamp()", "1772368215L"),
        *[(sql, sql) for sql in (
            "now", "a.now", "`now`()", "now(1)", "unix_timestamp(ts)", "'now()'", "-- now()", "nowhere()", "x AS current_date",
            "o.current_date", "`current_date`", "is_now()", "current_dates", "a - curdate", "current_user()",
        )],
    ],
)  # fmt: skip
def test_a_clock_shows_the_runs_start_and_a_column_of_that_name_is_left_alone(sql, expected):
    assert with_clock(sql, NOW) == expected


def test_the_runs_start_is_told_in_utc():
    from datetime import timedelta, timezone

    assert (
        with_clock("current_date", NOW.replace(hour=1).astimezone(timezone(timedelta(hours=-8)))) == "DATE '2026-03-01'"
    )


# --- one query


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1", "  select 1 ; ", "-- a comment\nSELECT ';'", "VALUES (1), (2)", "(SELECT 1) UNION (SELECT 2)", "FROM a SELECT b",
        "WITH a AS (SELECT 1) SELECT * FROM a", "with a (x, y) as (select (1), 2), b AS (SELECT (3)) select * from a, b",
        "WITH a AS (SELECT 1) (SELECT * FROM a)", "SELECT 'insert; delete' AS `drop`", "FROM a |> WHERE b > 1",
    ],
)  # fmt: skip
def test_a_query_is_one(sql):
    assert is_query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "", " ", "-- SELECT 1", ";", "DROP TABLE silver.orders", "CREATE TABLE a AS SELECT 1", "INSERT INTO a SELECT 1", "DELETE FROM a",
        "UPDATE a SET b = 1", "MERGE INTO a USING b ON true", "TRUNCATE TABLE a", "ALTER TABLE a", "SET x = 1", "USE a", "SHOW TABLES",
        "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE a", "EXPLAIN SELECT 1", "BEGIN SELECT 1; END", "CALL x()", "VACUUM a", "WITH",
        "FROM a INSERT INTO b SELECT *", "WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a", "WITH a AS (SELECT 1) DELETE FROM silver.orders",
        "WITH a AS (SELECT 1), b AS (SELECT 2) MERGE INTO silver.orders USING b ON true WHEN MATCHED THEN DELETE",
        "WITH a (x) AS (SELECT 1) UPDATE silver.orders SET amount = 0", "EXECUTE IMMEDIATE 'DROP TABLE a'",
    ],
)  # fmt: skip
def test_what_is_no_query_or_more_than_one_is_none(sql):
    assert not is_query(sql)


# --- on Spark


@pytest.fixture(scope="module")
def session(spark):
    return job_session(spark, {})


@pytest.fixture(scope="module")
def tables(session):
    return {
        "silver.orders": session.createDataFrame([(1, 10, 2.5), (2, 20, 4.0)], "id int, customer int, amount double"),
        "silver.customers": session.createDataFrame([(10, "Ann"), (30, "Bob")], "id int, name string"),
        "bronze.orders": session.createDataFrame([(1, "x")], "id int, raw string"),
        "input": session.createDataFrame([(2, "2024", "silver.orders")], "id int, year string, text string"),
    }


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) FROM silver.orders", [(2,)]),
        ("SELECT orders.id, silver.orders.amount FROM silver.orders WHERE silver.orders.id = 1", [(1, 2.5)]),
        ("SELECT o.id, c.name FROM silver.orders o JOIN silver.customers AS c ON o.customer = c.id", [(1, "Ann")]),
        ("SELECT orders.id, customers.name FROM silver.orders, silver.customers WHERE customer = customers.id", [(1, "Ann")]),
        ("SELECT silver.orders.id, raw FROM silver.orders JOIN bronze.orders ON silver.orders.id = bronze.orders.id", [(1, "x")]),
        ("WITH orders AS (SELECT max(id) AS id FROM silver.orders) SELECT id FROM orders", [(2,)]),
        ("SELECT {input}.id, amount FROM {input} JOIN silver.orders USING (id)", [(2, 4.0)]),
        ("SELECT text FROM {input} WHERE year rlike '^[0-9]{4}$' AND text = 'silver.orders'", [("silver.orders",)]),
        ("SELECT input.id FROM {input} WHERE id IN (SELECT id FROM silver.orders)", [(2,)]),
        ("SELECT id FROM silver.orders WHERE amount = (SELECT max(amount) FROM silver.orders)", [(2,)]),
        ("SELECT a.id FROM silver.orders a LEFT ANTI JOIN {input} b ON a.id = b.id", [(1,)]),
        ("SELECT id FROM (SELECT * FROM silver.orders) x WHERE x.id > 1 -- FROM nowhere.atall", [(2,)]),
        ("SELECT extract(YEAR FROM date'2024-05-01'), trim(BOTH 'x' FROM 'xax')", [(2024, "a")]),
    ],
)  # fmt: skip
def test_a_query_sees_the_declared_tables_under_their_names(session, tables, sql, rows):
    assert [tuple(row) for row in frames.query(session, sql, tables).collect()] == rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM silver.payments", "SELECT * FROM payments", "SELECT (SELECT max(id) FROM gold.x) FROM silver.orders",
        "SELECT * FROM delta.`{folder}`", "SELECT * FROM parquet.`{folder}`", "SELECT * FROM silver.orders JOIN lake_0 USING (id)",
    ],
)  # fmt: skip
def test_any_other_table_is_an_error(session, tables, tmp_path, sql):
    session.createDataFrame([(1,)], "id int").write.format("delta").save(str(tmp_path))
    with pytest.raises(Exception, match="TABLE_OR_VIEW_NOT_FOUND"):
        frames.query(session, sql.replace("{folder}", str(tmp_path)), tables)


def test_a_table_of_the_sessions_catalog_is_an_error_too(spark, session, tables):
    spark.createDataFrame([(1,)], "id int").createOrReplaceGlobalTempView("leak")
    spark.createDataFrame([(1,)], "id int").createOrReplaceTempView("own_leak")
    with pytest.raises(ValueError, match=r"^global_temp\.leak is not among the job's inputs; add it under 'inputs:'$"):
        frames.query(session, "SELECT * FROM silver.orders WHERE id IN (SELECT id FROM global_temp.leak)", tables)
    with pytest.raises(Exception, match="TABLE_OR_VIEW_NOT_FOUND"):
        frames.query(session, "SELECT * FROM own_leak", tables)
    spark.catalog.dropGlobalTempView("leak")
    spark.catalog.dropTempView("own_leak")


def test_no_view_stays_behind(session, tables):
    frames.query(session, "SELECT * FROM silver.orders", tables)
    with pytest.raises(ValueError, match="only one SELECT"):
        frames.query(session, "WITH a AS (SELECT 1) DELETE FROM silver.orders", tables)
    with pytest.raises(Exception, match="UNRESOLVED_COLUMN"):
        frames.query(session, "SELECT nothing FROM silver.orders", tables)
    assert not [table.name for table in session.catalog.listTables() if table.name.startswith("lake_")]


def test_every_clock_is_a_value_of_its_own_type(session):
    sql = "now(), current_timestamp, current_date, curdate(), current_time, localtimestamp(), unix_timestamp()"
    plain = session.sql(f"SELECT {sql}").schema
    replaced = session.sql(f"SELECT {with_clock(sql, NOW)}")
    assert [field.dataType for field in replaced.schema] == [field.dataType for field in plain]
    assert [str(value) for value in replaced.collect()[0]] == [
        "2026-03-01 12:30:15.250000", "2026-03-01 12:30:15.250000", "2026-03-01", "2026-03-01", "12:30:15.250000",
        "2026-03-01 12:30:15.250000", "1772368215",
    ]  # fmt: skip


def test_an_undeclared_table_is_named_with_its_line_and_remedy(project):
    project.job("x", """\
        layer: gold
        source:
          sql:
            query: |
              SELECT * FROM silver.orders
        sink:
          append: {table: gold.x}
        """)  # fmt: skip
    with pytest.raises(ConfigError) as refused:
        project.run("x")
    assert str(refused.value) == (
        f"{project.root}/conf/x.yml:3: source 'sql': `silver`.`orders` is not among the job's inputs; add it under 'inputs:'"
    )
    assert not (project.lake / "gold").exists()
