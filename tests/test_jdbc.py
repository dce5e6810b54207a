"""The source and the sink `jdbc` on a real PostgreSQL: what is read, what is written, and what a crash leaves of either."""

from __future__ import annotations

import textwrap

import pytest

from conftest import balanced
from lakehouse.errors import ConfigError, DataError, SinkError
from postgres import postgres


@pytest.fixture(scope="module")
def server():
    with postgres() as running:
        yield running


class Shop:
    """A project whose jobs read and write one database of their own."""

    def __init__(self, project, server, name):
        self.project, self.server, self.name = project, server, name
        with server.connect() as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
        self.connection = server.connect(name)

    def sql(self, text: str, *parameters: object) -> list[tuple]:
        found = self.connection.execute(text, parameters or None)
        return found.fetchall() if found.description else []

    def reads(self, job: str, source: str, sink: str = "append: {table: silver.t}", more: str = "") -> None:
        self.project.job(job, f"layer: silver\nsource:\n  jdbc: {{{self.place()}, {source}}}\nsink:\n  {sink}\n{textwrap.dedent(more)}")

    def writes(self, job: str, sink: str, rows: list[list], schema: str, more: str = "") -> None:
        self.project.job(job, f"layer: gold\nsource:\n  rows: {{schema: '{schema}', rows: {rows}}}\nsink:\n  jdbc: {{{self.place()}, {sink}}}\n{textwrap.dedent(more)}")

    def place(self) -> str:
        return f"url: '{self.server.jdbc(self.name)}', user: {self.server.user}, password: '{self.server.password}'"

    def run(self, job: str, **options):
        record = self.project.run(job, **options)
        assert balanced(record)
        return record


@pytest.fixture
def shop(project, server, request):
    made = Shop(project, server, f"db{abs(hash(request.node.name))}")
    yield made
    made.connection.close()


def test_a_table_is_read_whole_and_each_type_is_exact(shop):
    shop.sql("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    shop.sql("""CREATE TABLE t (id int, n numeric, p numeric(12,2), w timestamp, z timestamptz, d date, u uuid, j jsonb,
                a int[], b text[], c uuid[], m mood, t time, i interval, f float8, y bytea, o boolean)""")
    shop.sql("""INSERT INTO t VALUES (1, 1.50, 2.25, '2026-01-01 12:00', '2026-01-01 12:00+02', '2026-01-01',
        '6f9619ff-8b86-d011-b42d-00c04fc964ff', '{"a": 1}', '{1,NULL}', '{x}', '{6f9619ff-8b86-d011-b42d-00c04fc964ff}',
        'ok', '12:30', '1 day', 'NaN', '\\x00ff', true)""")
    shop.sql("INSERT INTO t (id, w, z, d) VALUES (2, 'infinity', '-infinity', 'infinity'), (3, '1500-01-01', '0001-01-01 00:00+00', '1500-01-01')")
    shop.sql("INSERT INTO t (id, n) VALUES (4, 1e25), (5, 'NaN'), (6, 0.1234567890123456789)")
    shop.sql("INSERT INTO t (id, a, p) VALUES (7, '{{1,2},{3,4}}', 1), (8, NULL, 'NaN')")
    shop.reads("whole", "table: t")
    record = shop.run("whole")
    assert (record.rows_read, record.rows_quarantined) == (8, 5)
    one, two, three = shop.project.rows("silver.t", "id")
    print(one, two, three)
    for row in shop.project.rows("silver.t__quarantine"):
        print(row["row"], row["reasons"])
    assert shop.run("whole").rows_read == 8


def test_an_incremental_read_goes_on_where_the_last_one_ended(shop):
    shop.sql("CREATE TABLE t (id int PRIMARY KEY, at timestamptz)")
    shop.sql("INSERT INTO t SELECT i, timestamptz '2026-01-01' + i * interval '1 minute' FROM generate_series(1, 10) i")
    shop.reads("new", "table: t, cursor_column: at")
    assert shop.run("new").rows_read == 10
    assert shop.run("new").rows_read == 0
    shop.sql("INSERT INTO t VALUES (11, '2026-01-02'), (12, now() + interval '1 day'), (13, NULL), (14, 'infinity')")
    record = shop.run("new")
    assert (record.rows_read, record.rows_valid, record.rows_quarantined) == (3, 1, 2)
    print(record.notes)
    assert shop.run("new").rows_read == 0
    shop.sql("UPDATE t SET at = '2026-01-03' WHERE id = 13")
    assert shop.run("new").rows_valid == 1
    assert [row["id"] for row in shop.project.rows("silver.t", "at")] == [*range(1, 12), 13]


def test_upsert(shop):
    shop.sql("CREATE TABLE pay (id int PRIMARY KEY, amount numeric(10,2), at timestamp, ref uuid, doc jsonb)")
    schema = "id int, amount decimal(10,2), at timestamp, ref string, doc string"
    row = lambda i, a: [i, a, "2026-01-01T12:00:00Z", "6f9619ff-8b86-d011-b42d-00c04fc964ff", '{"a":1}']
    shop.writes("up", "dbtable: pay, mode: upsert, keys: [id]", [row(1, 1.5), row(2, 2.5)], schema)
    record = shop.run("up")
    assert (record.rows_inserted, record.rows_updated, record.rows_unchanged) == (2, 0, 0)
    shop.writes("up", "dbtable: pay, mode: upsert, keys: [id]", [row(1, 1.5), row(2, 9), row(3, 1)], schema)
    record = shop.run("up")
    assert (record.rows_inserted, record.rows_updated, record.rows_unchanged) == (1, 1, 1)
    print(shop.sql("SELECT * FROM pay ORDER BY id"), shop.sql("SELECT * FROM lakehouse_batches"), shop.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
