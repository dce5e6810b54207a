"""The source and the sink `jdbc` on a real PostgreSQL: what is read, what is written, and what a crash leaves of either."""

from __future__ import annotations

import json
import os
import re
import signal
import textwrap
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import balanced
from lakehouse.cli import command
from lakehouse.databases import copying, retries
from lakehouse.databases.address import address_of, for_psycopg, for_spark
from lakehouse.errors import ConfigError, DataError, LakehouseError, SinkError
from lakehouse.pipeline import advance
from lakehouse.planning.planner import plan_job
from lakehouse.redaction import without_secrets
from lakehouse.sinks import jdbc as jdbc_sink
from shop import ROOT, program

UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


class Killed(LakehouseError):
    """Stands for the end of the process: what was to come after it does not."""


def dies(*_: object) -> None:
    raise Killed("here")


class Database:
    """A project whose jobs read and write one database of its own."""

    def __init__(self, project, server, name: str) -> None:
        self.project, self.server, self.name = project, server, name
        with server.connect() as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
        self.connection = server.connect(name)

    def sql(self, text: str, *parameters: object) -> list[tuple]:
        found = self.connection.execute(text, parameters or None)
        return found.fetchall() if found.description else []

    @property
    def place(self) -> str:
        return f"url: '{self.server.jdbc(self.name)}', user: {self.server.user}, password: '{self.server.password}'"

    def reads(self, job: str, source: str, sink: str = "append: {table: silver.t}", layer: str = "silver") -> None:
        text = f"layer: {layer}\nsource:\n  jdbc: {{{self.place}, {source}}}\nsink:\n  {sink}\n"
        self.project.job(job, text)

    def writes(self, job: str, sink: str, schema: str, *rows: list) -> None:
        source = f"rows: {{schema: '{schema}', rows: {json.dumps(rows)}}}"
        self.project.job(job, f"layer: gold\nsource:\n  {source}\nsink:\n  jdbc: {{{self.place}, {sink}}}\n")

    def run(self, job: str, **options):
        record = self.project.run(job, **options)
        assert balanced(record)
        return record

    def ids(self, table: str = "silver.t") -> list[int]:
        return sorted(row["id"] for row in self.project.rows(table))

    def tables(self) -> set[str]:
        return {row[0] for row in self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


@pytest.fixture
def db(project, database_server, request):
    made = Database(project, database_server, re.sub(r"\W", "", request.node.name)[-50:])
    yield made
    made.connection.close()


# addresses and secrets


@pytest.mark.parametrize(
    ("url", "user", "password", "shown", "given"),
    [
        ("jdbc:postgresql://db/shop", "ann", "p", "database shop at db:5432", ("ann", "p")),
        ("jdbc:postgresql://db:6/shop?user=ann&password=p%26q&sslmode=require", None, None, "database shop at db:6", ("ann", "p&q")),
        ("jdbc:postgresql://ann:p%40q@db/shop", None, None, "database shop at db:5432", ("ann", "p@q")),
        ("jdbc:postgresql://a:1,b:2/shop?user=x", "ann", "p", "database shop at a:1,b:2", ("ann", "p")),
        ("jdbc:postgresql://[::1]:7/shop", None, None, "database shop at ::1:7", (None, None)),
    ],
)  # fmt: skip
def test_an_address_comes_out_of_the_url_and_the_options(url, user, password, shown, given):
    address = address_of(url, user, password)
    assert str(address) == shown
    assert (address.user, address.password) == given
    assert "p%" not in for_spark(address)["url"]
    assert "password" not in for_spark(address)["url"] + repr(address)
    assert for_psycopg(address).get("sslmode") == ("require" if "sslmode" in url else None)


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:mysql://db/shop?password=hush",
        "postgresql://db/shop",
        "jdbc:postgresql://db",
        "jdbc:postgresql://a:b:hush@x:y/z/",
    ],
)
def test_a_wrong_url_is_refused_without_being_shown(url):
    with pytest.raises(ValueError, match=r"must be like jdbc:postgresql://host:5432/database") as refused:
        address_of(url, None, None)
    assert "hush" not in str(refused.value)


def test_secrets_are_taken_out_of_what_is_shown_or_hashed(project):
    value = {
        "url": "jdbc:postgresql://db/x?user=a&password=hush&ssl=true",
        "password": "hush",
        "list": ["postgres://a:hush@db"],
    }
    assert without_secrets(value) == {
        "url": "jdbc:postgresql://db/x?user=a&password=***&ssl=true", "password": "***", "list": ["postgres://a:***@db"],
    }  # fmt: skip
    text = "layer: silver\nsource:\n  jdbc: {{url: 'jdbc:postgresql://db/x', table: t, password: {}}}\nsink:\n  append: {{table: silver.t}}"
    plans = [plan_job(project.job("one", text.format(word)), lake="/nowhere") for word in ("first", "second")]
    assert plans[0].fingerprint == plans[1].fingerprint
    assert "first" not in repr(plans[0].source)
    with pytest.raises(ConfigError, match="'password' must be text") as refused:
        plan_job(project.job("one", text.format(73310042)), lake="/nowhere")
    assert "73310042" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("table: t, query: 'SELECT 1'", r"needs either 'table' or 'query'"),
        ("table: t, lookback: 1 hour, cursor_column: at", r"'lookback' reads rows again and needs 'keys'"),
        ("table: t, partition_column: id", r"'partition_column' and 'num_partitions' go together"),
        ("table: t, fetch_size: 0", r"'fetch_size' and 'num_partitions' are at least 1"),
        ("table: t, isolation: serializable", r"'isolation' cannot be 'serializable'"),
        ("url: 'jdbc:oracle:thin:@x', table: t", r"must be like jdbc:postgresql://"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused_before_anything_starts(project, source, told):
    source = source if "url" in source else f"url: 'jdbc:postgresql://db/x', {source}"
    job = project.job("one", f"layer: silver\nsource:\n  jdbc: {{{source}}}\nsink:\n  append: {{table: silver.t}}")
    with pytest.raises(ConfigError, match=told) as refused:
        plan_job(job, lake="/nowhere")
    assert str(refused.value).startswith(f"{job}:3: ") or "conf/one.yml:3: " in str(refused.value)


def test_a_sink_and_a_read_that_cannot_be_are_refused_too(project):
    sink = "jdbc: {url: 'jdbc:postgresql://db/x', dbtable: t, mode: upsert}"
    rows = "rows: {schema: 'id int', rows: [[1]]}"
    with pytest.raises(ConfigError, match="'mode: upsert' needs 'keys'"):
        plan_job(project.job("one", f"layer: gold\nsource:\n  {rows}\nsink:\n  {sink}"), lake="/nowhere")
    text = "layer: silver\nsource:\n  jdbc: {url: 'jdbc:postgresql://db/x', table: t}\nread: incremental\nsink:\n  append: {table: silver.t}"
    with pytest.raises(ConfigError, match="or name the cursor_column"):
        plan_job(project.job("one", text), lake="/nowhere")


# the source


def test_a_table_is_read_whole_and_each_type_is_exact(db):
    db.sql("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    db.sql("""CREATE TABLE t (id int, n numeric, p numeric(12,2), w timestamp, z timestamptz, d date, u uuid, j jsonb,
              a int[], c uuid[], m mood, t time, f float8, y bytea, "Odd ""name" boolean)""")
    db.sql(f"""INSERT INTO t VALUES (1, 1.50, 2.25, '2026-01-01 12:00', '2026-01-01 12:00+02', '2026-01-01', '{UUID}',
        '{{"a": 1}}', '{{1,NULL}}', '{{{UUID}}}', 'ok', '12:30', 0.1, '\\x00ff', true)""")
    db.sql("INSERT INTO t (id, w, z, d) VALUES (2, 'infinity', '-infinity', 'infinity'), "
           "(3, '1500-01-01', '0001-01-01 00:00+00', '1500-01-01')")  # fmt: skip
    db.sql("INSERT INTO t (id, n, p, a) VALUES (4, 1e25, 1, NULL), (5, 'NaN', 1, NULL), (6, 0.1234567890123456789, 1, NULL), "
           "(7, 1, 1, '{{1,2},{3,4}}'), (8, 1, 'NaN', NULL)")  # fmt: skip
    db.reads("whole", "table: t", "overwrite: {table: silver.t}")
    record = db.run("whole")
    assert (record.rows_read, record.rows_valid, record.rows_quarantined) == (8, 3, 5)
    one, two, three = db.project.rows("silver.t", "id")
    assert (one["n"], one["p"], one["d"]) == (Decimal("1.5"), Decimal("2.25"), date(2026, 1, 1))
    assert [str(one["w"]), str(one["z"])] == ["2026-01-01 12:00:00+00:00", "2026-01-01 10:00:00+00:00"]
    assert (one["u"], one["j"], one["a"], one["c"]) == (UUID, '{"a": 1}', [1, None], [UUID])
    assert (one["m"], one["t"], one["f"], one["y"], one['Odd "name']) == ("ok", "12:30:00", 0.1, b"\x00\xff", True)
    assert [str(two["w"]), str(two["z"]), str(two["d"])] == [
        "9999-12-31 23:59:59.999999+00:00",
        "0001-01-01 00:00:00+00:00",
        "9999-12-31",
    ]
    assert [str(three["w"]), str(three["z"]), str(three["d"])] == [
        "1500-01-01 00:00:00+00:00",
        "0001-01-01 00:00:00+00:00",
        "1500-01-01",
    ]
    broken = {json.loads(row["row"])["id"]: row for row in db.project.rows("silver.t__quarantine")}
    assert {number: row["reasons"][0]["message"][-1] for number, row in broken.items()} == {
        4: "n",
        5: "n",
        6: "n",
        7: "a",
        8: "p",
    }
    assert "0.1234567890123456789" in broken[6]["row"]
    assert json.loads(broken[7]["row"])["a"] == [[1, 2], [3, 4]]
    db.reads("bronze", "query: 'SELECT id, n FROM t WHERE id > 5;'", "append: {table: bronze.t}", "bronze")
    assert db.run("bronze").rows_valid == 3  # bronze keeps the row, and what fits no column beside it
    rescued = [json.loads(row["_rescued_data"])["n"] for row in db.project.rows("bronze.t") if row["_rescued_data"]]
    assert rescued == ["0.1234567890123456789"]


def test_an_incremental_read_goes_on_where_the_last_one_ended_and_loses_no_row_without_a_place(db):
    # columns whose names SQL could take for the row
    db.sql("CREATE TABLE t (id int PRIMARY KEY, at timestamptz, source text DEFAULT 'app', t int, lakehouse_rows int)")
    db.sql("INSERT INTO t SELECT i, timestamptz '2026-01-01' + i * interval '1 minute' FROM generate_series(1, 10) i")
    db.reads("new", "table: public.t, cursor_column: at")
    assert db.run("new").rows_read == 10
    assert db.run("new").rows_read == 0
    db.sql("INSERT INTO t VALUES (11, '2026-01-02'), (12, now() + interval '1 day'), (13, NULL), (14, 'infinity')")
    record = db.run("new")
    assert (record.rows_read, record.rows_valid, record.rows_quarantined) == (3, 1, 2)
    assert record.notes == ("1 row waits: at is still to come",)
    assert [item.name for item in record.inputs] == ["public.t"]
    assert {json.loads(row["row"])["id"] for row in db.project.rows("silver.t__quarantine")} == {13, 14}
    assert db.run("new").rows_read == 0  # neither the row to come nor those in the quarantine
    db.sql("UPDATE t SET at = '2026-01-03' WHERE id IN (12, 13)")
    assert db.run("new").rows_valid == 2
    assert db.ids() == [*range(1, 14)]
    assert len(db.project.rows("silver.t__quarantine")) == 2
    kept = list((db.project.lake / "_checkpoints/new/read").rglob("*.parquet"))
    assert not kept, "no row stays in the checkpoint once its batch is finished"
    db.reads("new", "table: public.t, cursor_column: id")
    with pytest.raises(DataError, match="the last run went by at, which says nothing of id"):
        db.run("new")


def test_a_cursor_is_shown_and_set_to_a_value_whose_rows_are_read_again(db, monkeypatch, capsys):
    def said(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert command(["checkpoint", *words]) == code
        return "".join(capsys.readouterr())

    monkeypatch.chdir(db.project.root)
    db.sql("CREATE TABLE t (id int, at timestamp)")
    db.sql("INSERT INTO t SELECT i, timestamp '2026-01-01' + i * interval '1 day' FROM generate_series(1, 5) i")
    db.reads("new", "table: t, cursor_column: at, lookback: 1 day, keys: [id]")
    assert db.run("new").rows_read == 5
    assert "taken      at up to 2026-01-06 00:00:00" in said("show", "new")
    assert "Do it with --yes" in said("reset", "new", "--to", "2026-01-04")
    assert db.run("new").rows_read == 0
    said("reset", "new", "--to", "2026-01-04", "--yes")
    assert "nothing since the reset" in said("list")
    assert '{"from": "2026-01-04"}, after a reset' in said("show", "new")
    assert [db.run("new").rows_read for _ in range(2)] == [3, 0]
    assert db.ids() == [1, 2, 3, 3, 4, 4, 5, 5]  # what an append does, as it was told
    said("reset", "new", "--to", "2027-01-01", "--yes")
    assert db.run("new").rows_read == 0
    db.sql("INSERT INTO t VALUES (6, '2026-01-07'), (7, '2027-01-01')")
    said("reset", "new", "--to", "no time", "--yes")
    with pytest.raises(DataError, match="invalid input syntax for type timestamp"):
        db.run("new")
    said("reset", "new", "--to", "2026-01-06 12:00", "--yes")
    assert db.run("new").rows_read == 1  # and 2027 is still to come
    db.reads("whole", "table: t", "overwrite: {table: silver.whole}")
    db.run("whole")
    assert "reads all of its source each time" in said("reset", "whole", "--to", "1", "--yes", code=2)


@pytest.mark.parametrize(
    ("sink", "in_the_table"),
    [
        ("append: {table: silver.t}", [1, 2, 2, 3, 4, 5, 6]),
        ("merge: {table: silver.t, keys: [id]}", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_rows_committed_late_are_taken_within_the_lookback_and_none_is_taken_twice(db, sink, in_the_table):
    db.sql("CREATE TABLE t (id int, at timestamp)")
    db.sql("INSERT INTO t VALUES (1, '2026-01-01 00:10'), (2, '2026-01-01 00:20'), (3, '2026-01-01 00:30')")
    db.reads("late", "table: t, cursor_column: at, lookback: 15 minutes, keys: [id]", sink)
    assert db.run("late").rows_read == 3
    with db.server.connect(db.name) as other:
        other.autocommit = False
        other.execute("INSERT INTO t VALUES (4, '2026-01-01 00:25')")  # begun now, committed after the next run
        db.sql("INSERT INTO t VALUES (5, '2026-01-01 00:31')")
        assert db.run("late").rows_read == 1
        assert db.run("late").rows_read == 0
        other.commit()
    db.sql("UPDATE t SET at = '2026-01-01 00:32' WHERE id = 2")  # a new version of a row that was taken
    db.sql("INSERT INTO t VALUES (6, '2026-01-01 00:31')")  # the time of a row that was taken
    assert db.run("late").rows_read == 3
    assert db.run("late").rows_read == 0
    assert db.ids() == in_the_table
    for file in (db.project.lake / "_checkpoints/late/read").rglob("_SUCCESS"):
        file.unlink()  # what says which rows were taken is damaged
    with pytest.raises(SinkError, match="is gone, which says what was taken of the lookback; run the job with --full"):
        db.project.run("late")


def test_the_example_job_follows_the_payments_of_a_database(db, monkeypatch):
    db.sql("CREATE TABLE payments (payment_id text PRIMARY KEY, order_id text, method text, amount numeric, paid_at timestamptz, "
           "status text, updated_at timestamptz, remark text)")  # fmt: skip
    paid = "'2026-01-01 10:00+00'"
    db.sql(f"INSERT INTO payments VALUES ('P1', 'O1', ' Card', 10.5, {paid}, 'captured', {paid}), "
           f"('P2', 'O2', 'cash', -1, {paid}, 'captured', {paid}), ('P3', 'O3', 'cash', 7, {paid}, 'captured', {paid})")  # fmt: skip
    db.project.write(
        "conf/silver_payments_pg.yml", (ROOT / "examples/postgres/conf/silver_payments_pg.yml").read_text()
    )
    for name, value in (("URL", db.server.jdbc(db.name)), ("USER", db.server.user), ("PASSWORD", db.server.password)):
        monkeypatch.setenv(f"PAYMENTS_{name}", value)
    record = db.run("silver_payments_pg")
    assert (record.rows_read, record.rows_quarantined, record.ignored_columns) == (3, 1, ("remark",))
    db.sql("UPDATE payments SET status = 'refunded', updated_at = '2026-01-01 09:59+00' WHERE payment_id = 'P1'")
    db.sql("UPDATE payments SET status = 'refunded', updated_at = '2026-01-01 10:01+00' WHERE payment_id = 'P3'")
    record = db.run("silver_payments_pg")
    assert (record.rows_read, record.rows_updated, record.rows_unchanged) == (2, 1, 1)  # the older one does not count
    held = {
        row["payment_id"]: (row["method"], row["amount"], row["status"])
        for row in db.project.rows("silver.payments_pg")
    }
    assert held == {"P1": ("card", Decimal("10.50"), "captured"), "P3": ("cash", Decimal("7.00"), "refunded")}


def test_a_cursor_that_cannot_be_one_is_refused_with_what_to_do(db):
    db.sql("CREATE TABLE t (id int, on_day date, doc jsonb)")
    for source, told in (
        ("cursor_column: doc", "doc is jsonb, which has no order to go by"),
        ("cursor_column: on_day", "on_day is date: more rows of its last day come later; set lookback: 1 day"),
        ("cursor_column: id, lookback: 1 hour, keys: [id]", "a lookback is a length of time for a time"),
        ("cursor_column: idd", "there is no column 'idd'. Did you mean 'id'"),
        ("partition_column: doc, num_partitions: 2", "partition_column doc is jsonb; name a number, a date or a time"),
        ("query: 'SELECT id, 1 AS ID FROM t'", "two columns are called id; give each a name of its own (AS)"),
        ("query: 'SELECT id FORM t'", 'syntax error at or near "t"'),
        ("query: 'SELECT 100 % id AS x FROM t -- a remark'", None),
    ):
        db.reads("wrong", source if source.startswith("query") else f"table: t, {source}")
        if told is None:
            assert db.run("wrong").rows_read == 0
            continue
        with pytest.raises(DataError, match=re.escape(told)):
            db.run("wrong")


@pytest.mark.parametrize("isolation", ["repeatable_read", "read_committed"])
def test_parts_read_every_row_once_and_see_one_snapshot_where_asked(db, isolation, monkeypatch):
    db.sql(
        "CREATE TABLE t AS SELECT i AS id, timestamp '2026-01-01' + i * interval '1 hour' AS at FROM generate_series(1, 100) i"
    )
    db.sql("INSERT INTO t VALUES (101, NULL), (102, 'infinity'), (103, '-infinity')")
    real, parts = copying.frame, []

    def rows_come_meanwhile(*given):
        rows = real(*given)
        parts.append(rows.rdd.getNumPartitions())
        db.sql("INSERT INTO t VALUES (104, '2026-01-01'), (105, '2026-01-09')")
        return rows

    monkeypatch.setattr(copying, "frame", rows_come_meanwhile)
    db.reads("parts", f"table: t, partition_column: at, num_partitions: 3, isolation: {isolation}")
    record = db.run("parts")
    assert parts == [3]
    one = isolation == "repeatable_read"
    assert db.ids() == [*range(1, 104 if one else 106)]
    assert record.notes == (
        () if one else ("the parts were read at different moments: no snapshot (isolation: repeatable_read gives one)",)
    )


def when(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_a_connection_that_ends_within_a_read_is_made_again_and_no_half_table_stays(db, monkeypatch):
    db.sql("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 4000) i")
    ended, over = set(), threading.Event()  # a backend takes a while to end

    def end(times: int) -> None:
        with db.server.connect(db.name) as other:
            while len(ended) < times and not over.is_set():
                ended.update(row[0] for row in other.execute(
                    "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND query LIKE '%lakehouse_rows%' AND query LIKE '%pg_sleep%' AND query NOT LIKE '%1=0%' AND state = 'active' "
                    "AND clock_timestamp() - query_start > interval '100 ms' AND pid <> pg_backend_pid()"))  # fmt: skip
                time.sleep(0.02)

    db.reads("slow", "query: 'SELECT id, pg_sleep(0.0003)::text AS nap FROM t', fetch_size: 100")
    killer = threading.Thread(target=end, args=(1,))
    killer.start()
    record = db.run("slow")
    killer.join()
    assert (len(ended), record.rows_read, db.ids()) == (1, 4000, [*range(1, 4001)])
    monkeypatch.setattr(retries, "ATTEMPTS", 2)
    db.reads("lost", "query: 'SELECT id, pg_sleep(0.0003)::text AS nap FROM t'", "append: {table: silver.lost}")
    killer = threading.Thread(target=end, args=(100,))
    killer.start()
    with pytest.raises(DataError) as failed:
        db.project.run("lost")
    over.set()
    killer.join()
    assert len(ended) == 3
    place = f"database {db.name} at 127.0.0.1:{db.server.port}"
    assert (
        str(failed.value)
        == f"source 'jdbc': {place}: FATAL: terminating connection due to administrator command (2 tries)"
    )
    assert not (db.project.lake / "silver/lost").exists()


def test_a_database_that_cannot_be_asked_is_named_without_the_password(db, monkeypatch):
    monkeypatch.setattr(retries, "ATTEMPTS", 2)
    for url, user, table, told in (
        ("jdbc:postgresql://127.0.0.1:9/shop", "ann", "t", r"database shop at 127\.0\.0\.1:9: .*refused.* \(2 tries\)"),
        (
            db.server.jdbc(db.name),
            "ann",
            "t",
            rf"database {db.name} at .*password authentication failed for user \"ann\"$",
        ),
        (db.server.jdbc("nowhere"), db.server.user, "t", r"database nowhere at .*database \"nowhere\" does not exist"),
        (db.server.jdbc(db.name), db.server.user, "tt", r"has no table tt that .* can see\. Did you mean 't'"),
    ):
        db.sql("CREATE TABLE IF NOT EXISTS t (id int)")
        password = db.server.password if user == db.server.user else "hush-hush"
        source = f"jdbc: {{url: '{url}', user: {user}, password: {password}, table: {table}}}"
        db.project.job("away", f"layer: silver\nsource:\n  {source}\nsink:\n  append: {{table: silver.t}}")
        with pytest.raises(DataError, match=told) as failed:
            db.project.run("away")
        assert password not in str(failed.value)


def test_a_batch_in_hand_is_finished_with_the_rows_it_was_begun_with(db, monkeypatch):
    db.sql("CREATE TABLE t (id int, at timestamptz)")
    db.sql("INSERT INTO t VALUES (1, '2026-01-01'), (2, '2026-01-02')")
    db.reads("dies", "table: t, cursor_column: at", "append: {table: silver.t}")
    with monkeypatch.context() as patch:
        patch.setattr(advance.progress, "save", dies)
        with pytest.raises(Killed):
            db.project.run("dies")
    db.sql("INSERT INTO t VALUES (3, '2026-01-01 12:00')")  # into the range of the batch that is in hand
    db.sql("INSERT INTO t VALUES (4, '2026-01-03')")
    record = db.run("dies")
    assert record.rows_read == 3
    assert db.ids() == [1, 2, 4]  # 3 was committed late: that is what a lookback is for
    with monkeypatch.context() as patch:
        db.sql("INSERT INTO t VALUES (5, '2026-01-05')")
        patch.setattr(advance.progress, "save", dies)
        with pytest.raises(Killed):
            db.project.run("dies")
    for file in (db.project.lake / "_checkpoints/dies/read").rglob("_SUCCESS"):
        file.unlink()
    with pytest.raises(SinkError, match="the rows of the batch in hand, are gone; run the job with --full-refresh"):
        db.project.run("dies")


# the sink

PAY = "id int, amount decimal(10,2), at timestamp, ref string, doc string"


def payment(number: int, amount: float) -> list:
    return [number, amount, "2026-01-01T12:00:00Z", UUID, '{"a":1}']


def test_rows_are_upserted_once_and_the_counts_say_what_each_did(db):
    db.sql(
        "CREATE TABLE pay (id int PRIMARY KEY, amount numeric(10,2), at timestamp, ref uuid, doc jsonb, made_at timestamptz DEFAULT now())"
    )
    sink = "dbtable: pay, mode: upsert, keys: [id]"
    db.writes("up", sink, PAY, payment(1, 1.5), payment(2, 2.5))
    record = db.run("up")
    assert (record.rows_inserted, record.rows_updated, record.rows_unchanged) == (2, 0, 0)
    before = dict(db.sql("SELECT id, xmin::text FROM pay"))
    db.writes("up", sink, PAY, payment(1, 1.5), payment(2, 9), payment(3, 1), payment(3, 1))
    record = db.run("up")
    assert (record.rows_inserted, record.rows_updated, record.rows_unchanged) == (1, 1, 2)
    assert dict(db.sql("SELECT id, xmin::text FROM pay"))[1] == before[1]  # an equal row is not even written
    assert db.sql("SELECT id, amount, at::text, ref::text, doc FROM pay ORDER BY id") == [
        (number, Decimal(amount), "2026-01-01 12:00:00", UUID, {"a": 1})
        for number, amount in ((1, "1.50"), (2, "9.00"), (3, "1.00"))
    ]
    assert db.sql("SELECT job, batch, rows, inserted, updated, unchanged FROM lakehouse_batches ORDER BY batch") == [
        ("up", 0, 2, 2, 0, 0), ("up", 1, 4, 1, 1, 2),
    ]  # fmt: skip
    assert db.tables() == {"pay", "lakehouse_batches"}
    assert (record.rows_read, record.rows_to_sink) == (4, 4)  # counted by the very write
    db.sql("CREATE TABLE refs (ref uuid PRIMARY KEY)")  # one uuid, written in two ways
    db.writes("refs", "dbtable: refs, mode: upsert, keys: [ref]", "ref string", [UUID], [UUID.upper()])
    with pytest.raises(SinkError, match=rf"1 key has different rows in one batch \(ref={UUID}\)"):
        db.project.run("refs")
    db.sql("CREATE TABLE parted (day date, id int, x int, PRIMARY KEY (day, id)) PARTITION BY RANGE (day)")
    db.sql("CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
    for x, effects in ((1, (2, 0, 0)), (2, (0, 1, 1))):
        db.writes("parted", "dbtable: parted, mode: upsert, keys: [day, id]", "day date, id int, x int",
                  ["2026-01-05", 1, x], ["2026-01-06", 1, 1])  # fmt: skip
        record = db.run("parted")
        assert (record.rows_inserted, record.rows_updated, record.rows_unchanged) == effects


def test_what_the_table_cannot_take_is_refused_before_a_row_is_moved(db):
    db.sql(
        "CREATE TABLE pay (id int, amount numeric(8,2) CHECK (amount > 0), code varchar(3), ref uuid, who text NOT NULL DEFAULT 'x')"
    )
    db.sql("CREATE TABLE strict (id int, must text NOT NULL, made int GENERATED ALWAYS AS (id + 1) STORED)")
    schema = "id int, amount decimal(8,2), code string, ref string"
    up, good = "mode: upsert, keys: [id]", [1, 2, "abc", UUID]
    for sink, columns, rows, told in (
        (
            "dbtable: pey",
            schema,
            [good],
            'has no table pey; its owner makes it, for these rows: CREATE TABLE pey ("id" integer, "amount" numeric(8, 2), "code" text, "ref" text)',
        ),
        (
            f"dbtable: pay, {up}",
            schema,
            [good],
            'has no unique constraint on ("id"). ALTER TABLE public.pay ADD UNIQUE ("id") makes it',
        ),
        ("dbtable: pay", "id bigint, amount decimal(12,4), ref int, colour string", [[1, 1, 1, "x"]], None),
        ("dbtable: strict", "id int, made int", [[1, 2]], None),
        ("dbtable: pay", schema, [good, [2, -7777.77, "abc", UUID]], 'violates check constraint "pay_amount_check"'),
        ("dbtable: pay", schema, [good, [2, 1, "secret-text", UUID]], "value too long for type character varying(3)"),
        ("dbtable: pay", schema, [good, [2, 1, "abc", "secret-text"]], 'invalid input syntax for type uuid: "..."'),
    ):
        db.writes("no", sink, columns, *rows)
        with pytest.raises(SinkError) as refused:
            db.project.run("no")
        said = str(refused.value)
        assert "secret-text" not in said
        assert "7777" not in said
        assert f"database {db.name} at 127.0.0.1:{db.server.port}" in said
        if told is not None:
            assert told in said
        elif "strict" in sink:
            assert "its column 'must' must be set" in said
            assert "it makes its column 'made' itself" in said
        else:
            assert "it has no column 'colour'" in said
            for misfit in (
                "'id' is bigint, and the column there int4",
                "'amount' is decimal(12,4), and the column there numeric(8,2)",
                "'ref' is int",
            ):
                assert misfit in said
    db.writes("no", "dbtable: pay", schema, [1, 1, "a\0b", UUID])
    with pytest.raises(SinkError, match="a text holds a NUL character, which PostgreSQL cannot keep"):
        db.project.run("no")
    db.sql("ALTER TABLE pay ADD UNIQUE (id)")
    for rows, told in (
        ([good, [1, 3, "abc", UUID]], "1 key has different rows in one batch (id=1)"),
        ([good, [None, 3, "abc", UUID]], "1 row has NULL in the key (id)"),
    ):
        db.writes("no", f"dbtable: pay, {up}", schema, *rows)
        with pytest.raises(SinkError, match=re.escape(told)):
            db.project.run("no")
    assert db.sql("SELECT count(*) FROM pay") == [(0,)]
    db.writes("no", f"dbtable: pay, {up}", schema, good)
    assert db.run("no").rows_inserted == 1
    assert db.tables() == {"pay", "strict", "lakehouse_batches"}  # what the refused tries staged is gone


def test_a_connection_that_ends_while_rows_are_staged_doubles_none_and_a_replay_goes_the_same_way(db, monkeypatch):
    db.sql("CREATE TABLE many (id int, x int CHECK (x < 100))")
    db.project.job("many", f"""
        layer: gold
        source:
          rows: {{schema: 'x int', rows: [[1], [-1]]}}
        rules:
          - in_range: {{column: x, min: 0}}
        transforms:
          - derive: {{columns: {{id: 'sequence(1, 20000)'}}}}
          - explode: {{column: id}}
        sink:
          jdbc: {{{db.place}, dbtable: many, batch_size: 20}}
    """)  # fmt: skip
    ended = []

    def end() -> None:
        with db.server.connect(db.name) as other:
            while not ended:
                ended.extend(other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND query LIKE 'INSERT INTO %lakehouse_staging%' AND pid <> pg_backend_pid()").fetchall())  # fmt: skip

    killer = threading.Thread(target=end)
    killer.start()
    record = db.run("many")
    killer.join()
    assert (len(ended), record.rows_read, record.rows_quarantined, record.rows_inserted) == (1, 2, 1, 20_000)
    assert db.sql("SELECT count(*), count(DISTINCT id) FROM many") == [(20_000, 20_000)]
    monkeypatch.chdir(db.project.root)
    assert (
        command(["quarantine", "fix", "gold.many", "--rule", "in_range(x)", "--sql", "x = abs(x)", "--why", "a sign"])
        == 0
    )
    for _ in range(2):
        assert command(["quarantine", "replay", "gold.many"]) == 0
        assert db.sql("SELECT count(*), count(DISTINCT id) FROM many") == [(40_000, 20_000)]


@pytest.mark.parametrize("place", ["before the transaction", "after the transaction"])
def test_a_batch_that_died_is_in_the_table_once(db, monkeypatch, place):
    db.sql("CREATE TABLE pay (id int, amount numeric(10,2))")
    db.project.write("landing/one.csv", "id,amount\n1,10\n2,20\n")
    db.project.job("add", textwrap.dedent(f"""
        layer: silver
        source:
          files: {{path: landing, format: csv}}
        schema: id int, amount decimal(10,2)
        sink:
          jdbc: {{{db.place}, dbtable: pay}}
    """))  # fmt: skip
    with monkeypatch.context() as patch:
        if place == "before the transaction":
            patch.setattr(jdbc_sink, "move", dies)
        else:
            patch.setattr(advance.progress, "save", dies)
        with pytest.raises(Killed):
            db.project.run("add")
    moved = place == "after the transaction"
    assert db.sql("SELECT count(*) FROM pay") == [(2 if moved else 0,)]
    assert any("staging" in name for name in db.tables()) is not moved
    db.project.write("landing/two.csv", "id,amount\n3,30\n")
    record = db.run("add")
    assert record.rows_inserted == 3
    assert db.sql("SELECT id FROM pay ORDER BY id") == [(1,), (2,), (3,)]
    assert db.run("add").rows_read == 0
    assert db.tables() == {"pay", "lakehouse_batches"}


def test_a_database_that_tells_another_story_than_the_checkpoint_is_refused(db):
    db.sql("CREATE TABLE pay (id int)")
    for _ in range(3):
        db.writes("add", "dbtable: pay", "id int", [1])
        db.run("add")
    with pytest.raises(
        SinkError, match=r"was filled by this job under another checkpoint.* DELETE FROM \"public\".lakehouse_batches"
    ):
        db.project.run("add", full_refresh=True)
    db.sql("DELETE FROM lakehouse_batches; DELETE FROM pay")
    assert db.run("add").rows_inserted == 1
    db.run("add")
    db.sql("DELETE FROM lakehouse_batches WHERE batch = 1")  # as a backup of yesterday has it
    with pytest.raises(SinkError, match=r"was set back behind the job's checkpoint \(batch 0 there, 1 here\)"):
        db.project.run("add")
    db.sql("UPDATE lakehouse_batches SET batch = 7")
    with pytest.raises(SinkError, match=r"is ahead of the job's checkpoint \(batch 7 there, 1 here\)"):
        db.project.run("add")


def is_set_back(db, job: str) -> None:
    """Nothing that the database has lost is taken for a batch without rows."""
    db.sql("DELETE FROM lakehouse_batches WHERE batch = (SELECT max(batch) FROM lakehouse_batches)")
    with pytest.raises(SinkError, match="was set back behind the job's checkpoint"):
        db.project.run(job)


@pytest.mark.parametrize("options", ["on_bad_file: quarantine", "skip_same_content: true"])
def test_a_batch_all_of_whose_files_are_set_aside_leaves_no_gap_in_the_database(db, monkeypatch, options):
    db.sql("CREATE TABLE pay (id int)")
    source = f"files: {{path: landing, format: json, {options}}}"
    db.project.job(
        "add", f"layer: silver\nsource:\n  {source}\nschema: id int\nsink:\n  jdbc: {{{db.place}, dbtable: pay}}\n"
    )
    db.project.write("landing/1.json", '{"id": 1}\n')
    db.run("add")
    aside = b"no gzip" if "bad" in options else b'{"id": 1}\n'
    db.project.write("landing/2.json.gz" if "bad" in options else "landing/2.json", aside)
    with monkeypatch.context() as patch:
        patch.setattr(advance.progress, "save", dies)  # the database knows the batch, the job does not
        with pytest.raises(Killed):
            db.project.run("add")
    assert db.run("add").rows_read == 0
    db.project.write("landing/3.json", '{"id": 3}\n')
    assert db.run("add").rows_inserted == 1
    assert db.sql("SELECT id FROM pay ORDER BY id") == [(1,), (3,)]
    assert db.sql("SELECT batch, rows FROM lakehouse_batches ORDER BY batch") == [(0, 1), (1, 0), (2, 1)]
    db.project.write("landing/4.json.gz" if "bad" in options else "landing/4.json", aside)
    is_set_back(db, "add")


def test_a_micro_batch_that_closes_no_window_leaves_no_gap_in_the_database(db, spark):
    db.sql("CREATE TABLE words (window_start timestamp, window_end timestamp, word text, words bigint)")
    db.project.job("count", f"""
        layer: gold
        source: {{delta: {{table: bronze.words}}}}
        read: incremental
        stream: {{watermark: {{column: at, delay: 10 minutes}}}}
        transforms:
          - window: {{time_column: at, size: 10 minutes, group_by: [word], measures: {{words: count(*)}}}}
        sink: {{jdbc: {{{db.place}, dbtable: words}}}}
    """)  # fmt: skip

    def come(*times: str) -> None:
        rows = [(datetime.fromisoformat(f"2026-01-01T{time}:00+00:00"), "cat") for time in times]
        path = str(db.project.lake / "bronze/words")
        spark.createDataFrame(rows, "at timestamp, word string").write.format("delta").mode("append").save(path)

    for times, closed in ((["12:01"], 0), (["12:31"], 1), (["12:32"], 0), (["12:33"], 0), (["12:59"], 1)):
        come(*times)
        assert db.run("count").rows_inserted == closed
    assert db.sql("SELECT words FROM words ORDER BY window_start") == [(1,), (3,)]
    come("13:00")
    is_set_back(db, "count")


# the password, and a kill that nothing softens


def test_the_password_is_nowhere_and_a_run_killed_while_it_moves_rows_is_finished(db, tmp_path, capsys, monkeypatch):
    canary = 'Kanarie%27vogel+/=&"9x'
    db.sql(
        f"CREATE ROLE teller LOGIN PASSWORD {json.dumps(canary).replace(chr(34), chr(39)).replace(chr(92) + chr(39), chr(34))}"
    )
    db.sql(
        "CREATE TABLE t AS SELECT i AS id, timestamptz '2026-01-01' AS at FROM generate_series(1, 5) i; CREATE TABLE pay (id int PRIMARY KEY, at timestamptz)"
    )
    db.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO teller; GRANT ALL ON SCHEMA public TO teller")
    place = f"url: '{db.server.jdbc(db.name)}', user: teller, password: '${{PG_PASSWORD}}'"
    db.project.job("through", f"""
        layer: silver
        source:
          jdbc: {{{place}, table: t, cursor_column: at, lookback: 1 hour, keys: [id]}}
        sink:
          jdbc: {{{place.replace("PG_PASSWORD", "secret:shop/teller")}, dbtable: pay, mode: upsert, keys: [id]}}
    """)  # fmt: skip
    store = tmp_path / "secrets"
    (store / "shop").mkdir(parents=True)
    (store / "shop" / "teller").write_text(f"{canary}\n")
    monkeypatch.setenv("LAKE_SECRETS", str(store))
    events = tmp_path / "events"
    events.mkdir()
    submit = f"--conf spark.eventLog.enabled=true --conf spark.eventLog.compress=false --conf spark.eventLog.dir=file://{events} pyspark-shell"
    more = {
        "PG_PASSWORD": canary,
        "LAKE_SECRETS": str(store),
        "LAKEHOUSE_LOG": "1",
        "LAKEHOUSE_SPARK_LOG": "info",
        "PYSPARK_SUBMIT_ARGS": submit,
    }
    lake, conf = str(db.project.lake), str(db.project.root / "conf/through.yml")
    with db.server.connect(db.name) as other:
        other.autocommit = False
        other.execute("LOCK TABLE pay IN EXCLUSIVE MODE")  # it can be read, and not written
        process = program(lake, "run", conf, **more)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO public.pay%'"
        when(lambda: db.sql(waiting) or process.poll() is not None, 240)
        assert process.poll() is None, process.communicate()[0]
        lines = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if readable(file)]
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        other.rollback()
    when(lambda: not db.sql(waiting))
    assert db.sql("SELECT count(*) FROM pay") == [(0,)]
    assert any("staging" in name for name in db.tables())
    monkeypatch.setenv("PG_PASSWORD", canary)
    monkeypatch.setenv("LAKE", lake)
    assert command(["plan", conf]) == 0
    assert command(["run", conf]) == 0
    assert db.sql("SELECT count(*) FROM pay") == [(5,)]
    assert db.tables() == {"t", "pay", "lakehouse_batches"}
    monkeypatch.setenv("PG_PASSWORD", f"{canary}-wrong")
    assert command(["run", conf]) == 3
    printed = capsys.readouterr()
    assert "password authentication failed" in printed.err
    assert "password: ***" in printed.out
    assert re.search(r"next +t: \{'to': '2026-01-01 00:00:00\+00'\}", printed.out)
    kept = [file.read_bytes() for folder in (events, db.project.lake) for file in folder.rglob("*") if file.is_file()]
    assert any(b"JDBCRelation" in text or b"lakehouse_rows" in text for text in kept), "the event log must have been on"
    everything = b"\n".join([said.encode(), printed.out.encode(), printed.err.encode(), *lines, *kept])
    for form in (
        canary,
        b64encode(canary.encode()).decode(),
        quote(canary, safe=""),
        quote(canary),
        canary.encode().hex(),
        json.dumps(canary)[1:-1],
    ):
        assert form.encode() not in everything


def readable(file: Path) -> bool:
    try:
        file.read_bytes()
    except OSError:
        return False
    return True
