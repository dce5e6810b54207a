"""Batches that are newer than all before them: what must not be taken from the open rows alone."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import Project, balanced
from lakehouse import lake

JOB = """
layer: silver
source:
  files: {{path: data, format: parquet}}
sink:
  {sink}: {{table: silver.t, keys: [id], sequence_by: [at], except_column_list: {dropped}{more}}}
"""
SCHEMA = {"id": pa.int64(), "at": pa.int64(), "n": pa.string(), "x": pa.int64()}


class Feed:
    """A job fed file by file; a row has the columns that it names."""

    def __init__(self, project: Project, sink: str = "scd2", **words: str) -> None:
        self.project, self.count = project, 0
        self.becomes(sink, **words)

    def becomes(self, sink: str = "scd2", dropped: str = "[at]", more: str = "") -> None:
        self.project.job("x", JOB.format(sink=sink, dropped=dropped, more=more))

    def send(self, *rows: dict[str, Any], **kinds: pa.DataType):
        self.count += 1
        (self.project.root / "data").mkdir(exist_ok=True)
        names = dict.fromkeys(name for row in rows for name in row)
        schema = pa.schema([(name, {**SCHEMA, **kinds}[name]) for name in names])
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), self.project.root / f"data/{self.count:03}.parquet")
        record = self.project.run("x")
        assert balanced(record)
        return record

    def rows(self, *columns: str) -> list[Sequence[Any]]:
        return sorted((tuple(row[name] for name in columns) for row in self.project.rows("silver.t")), key=str)


BOUNDS = ("n", "__START_AT", "__END_AT")


def test_a_column_that_a_batch_lacks_is_null_in_its_rows(project):
    feed = Feed(project, "scd1", dropped="[]")
    feed.send({"id": 1, "at": 1, "x": 5})
    feed.send({"id": 1, "at": 2}, {"id": 2, "at": 2})
    assert feed.rows("id", "at", "x") == [(1, 2, None), (2, 2, None)]


def test_a_column_that_came_with_what_changed_nothing_holds_no_later_batch_up(project):
    feed = Feed(project)
    feed.send({"id": 1, "at": 1, "n": "a"})
    feed.send({"id": 1, "at": 2, "n": "a", "x": None})
    feed.send({"id": 1, "at": 3, "n": "b"})
    feed.send({"id": 1, "at": 4, "n": "b", "x": 5})
    assert feed.rows(*BOUNDS, "x") == [("a", 1, 3, None), ("b", 3, 4, None), ("b", 4, None, 5)]


def test_a_null_within_a_sequence_is_older_than_any_value(project):
    place = pa.struct([("a", pa.int64()), ("b", pa.int64())])
    feed = Feed(project)
    feed.send({"id": 1, "at": {"a": 1, "b": 1}, "n": "a"}, {"id": 1, "at": {"a": 2, "b": 1}, "n": "b"}, at=place)
    feed.send({"id": 1, "at": {"a": None, "b": 7}, "n": "b"}, {"id": 2, "at": {"a": 9, "b": 1}, "n": "z"}, at=place)
    feed.send({"id": 1, "at": {"a": 10, "b": 1}, "n": "c"}, at=place)
    bounds = [(name, start["a"], end and end["a"]) for name, start, end in feed.rows(*BOUNDS)]
    assert bounds == [("a", 1, 2), ("b", 2, 10), ("b", None, 1), ("c", 10, None), ("z", 9, None)]


def test_a_column_that_is_kept_no_more_makes_no_versions(project):
    feed = Feed(project)
    feed.send({"id": 1, "at": 1, "n": "a", "x": 1}, {"id": 1, "at": 2, "n": "a", "x": 2})
    feed.becomes(dropped="[at, x]")
    feed.send({"id": 1, "at": 3, "n": "a", "x": 2})
    assert feed.rows(*BOUNDS) == [("a", 1, None)]
    feed.becomes()  # what was not kept then is not known now
    feed.send({"id": 1, "at": 4, "n": "a", "x": 2})
    assert feed.rows(*BOUNDS, "x") == [("a", 1, 2, 1), ("a", 2, 3, 2), ("a", 3, 4, None), ("a", 4, None, 2)]


@pytest.mark.parametrize("dropped", [False, True], ids=["another type", "gone"])
def test_a_column_that_somebody_changed_in_the_target_is_taken_from_the_events(project, spark, dropped):
    feed = Feed(project, more=", type_widening: true, table_properties: {delta.columnMapping.mode: name}")
    feed.send({"id": 1, "at": 1, "n": "a", "x": 5}, {"id": 2, "at": 1, "n": "b", "x": 6}, x=pa.int32())
    place = f"delta.`{project.lake}/silver/t`"
    spark.sql(f"ALTER TABLE {place} " + ("DROP COLUMN x" if dropped else "ALTER COLUMN x TYPE bigint"))
    feed.send({"id": 1, "at": 2, "n": "a", "x": 5}, x=pa.int32())
    feed.send({"id": 1, "at": 3, "n": "c", "x": 5}, x=pa.int32())
    found = lake.read(spark, f"{project.lake}/silver/t").where("id = 1").select(*BOUNDS, "x").collect()
    assert sorted(map(tuple, found)) == [("a", 1, 3, 5), ("c", 3, None, 5)]


def test_dates_of_years_that_python_does_not_know_are_keys_and_sequences(project, spark):
    project.job("x", """
        layer: silver
        source:
          files: {path: data, format: csv}
        schema: "id date, n string, at date"
        sink:
          scd2: {table: silver.t, keys: [id], sequence_by: [at], except_column_list: [at]}
        """)  # fmt: skip
    for name, rows in {
        "1": ["a,2024-01-01", "b,+12000-01-01"],
        "2": ["c,+12000-01-02"],
        "3": ["z,-0044-03-15"],
    }.items():
        project.write(f"data/{name}.csv", "\n".join(["id,n,at", *(f"+11000-05-05,{row}" for row in rows)]) + "\n")
        assert balanced(project.run("x"))
    found = lake.read(spark, str(project.lake / "silver/t")).selectExpr("n", "string(__START_AT)", "string(__END_AT)")
    assert sorted(map(tuple, found.collect())) == [
        ("a", "2024-01-01", "+12000-01-01"), ("b", "+12000-01-01", "+12000-01-02"), ("c", "+12000-01-02", None),
        ("z", "-0044-03-15", "2024-01-01"),
    ]  # fmt: skip


def test_a_table_keyed_by_date_is_read_by_it(project):
    feed = Feed(project)
    for at, day in enumerate(("2024-01-01", "2024-02-01", "2024-01-01")):
        feed.send({"id": datetime.date.fromisoformat(day), "at": at, "n": str(at)}, id=pa.date32())
    assert feed.rows(*BOUNDS) == [("0", 0, 2), ("1", 1, None), ("2", 2, None)]


CLOSED = ", schema_evolution: none"


@pytest.mark.parametrize("sink", ["scd1", "scd2"])
def test_a_new_column_that_the_table_does_not_take_is_left_out_and_named(project, sink):
    feed = Feed(project, sink, dropped="[at]", more=CLOSED)
    feed.send({"id": 1, "at": 2, "n": "Ann"})
    record = feed.send({"id": 1, "at": 5, "n": "Ann", "x": 1}, {"id": 1, "at": 3, "n": "Bea", "x": 2})
    late = feed.send({"id": 1, "at": 1, "n": "Cid", "x": 3})
    assert (record.ignored_columns, late.ignored_columns) == (("x",), ("x",))
    assert "x" not in project.rows("silver.t")[0]
    if sink == "scd1":
        assert feed.rows("id", "n") == [(1, "Ann")]
    else:
        assert feed.rows(*BOUNDS) == [("Ann", 2, 3), ("Ann", 5, None), ("Bea", 3, 5), ("Cid", 1, 2)]


@pytest.mark.parametrize("sink", ["scd1", "scd2"])
def test_a_table_that_takes_no_new_columns_is_widened_where_it_may_be(project, spark, sink):
    feed = Feed(project, sink, more=f"{CLOSED}, type_widening: true")
    feed.send({"id": 1, "at": 1, "x": 5}, {"id": 2, "at": 1, "x": 6}, x=pa.int32())
    feed.send({"id": 1, "at": 2, "x": 2**40}, {"id": 3, "at": 1, "x": 7})
    found = lake.read(spark, str(project.lake / "silver/t")).select("id", "x").collect()
    first = [(1, 5)] if sink == "scd2" else []
    assert sorted(tuple(row) for row in found) == [*first, (1, 2**40), (2, 6), (3, 7)]


@pytest.mark.parametrize("sink", ["scd1", "scd2", "scd3"])
def test_a_column_spelled_in_another_case_is_the_same_column(project, sink):
    more = ", keep_previous: [n]" if sink == "scd3" else ""
    feed = Feed(project, sink, more=more)
    feed.send({"id": 1, "at": 2, "n": "b"}, {"id": 2, "at": 5, "n": "z"})
    kinds = {"ID": pa.int64(), "At": pa.int64(), "N": pa.string()}
    feed.send({"ID": 1, "At": 9, "N": "d"}, {"ID": 3, "At": 9, "N": "x"}, **kinds)
    feed.send({"ID": 1, "At": 5, "N": "c"}, {"ID": 2, "At": 1, "N": "y"}, **kinds)
    if sink == "scd2":
        own = [("x", 9, None), ("y", 1, 5), ("z", 5, None)]
        assert feed.rows(*BOUNDS) == [("b", 2, 5), ("c", 5, 9), ("d", 9, None), *own]
    else:
        assert feed.rows("id", "n") == [(1, "d"), (2, "z"), (3, "x")]
    if sink == "scd3":
        assert feed.rows("id", "previous_n") == [(1, "c"), (2, "y"), (3, None)]


@pytest.mark.parametrize("sink", ["scd1", "scd2"])
def test_maps_within_maps_compare_whatever_the_order_of_their_entries(project, sink):
    kind = pa.map_(pa.string(), pa.map_(pa.string(), pa.int64()))
    one = [("a", [("x", 1), ("y", 2)]), ("b", [])]
    same = [("b", []), ("a", [("y", 2), ("x", 1)])]
    other = [("a", [("x", 1), ("y", 3)]), ("b", [])]
    feed = Feed(project, sink)
    feed.send({"id": 1, "at": 1, "m": one}, m=kind)
    again = feed.send({"id": 1, "at": 2, "m": same}, m=kind)
    late = feed.send({"id": 1, "at": 0, "m": other}, {"id": 1, "at": 2, "m": other}, m=kind)
    assert (again.rows_inserted, again.rows_updated) == (0, 0)
    kept = [dict(row["m"])["a"] for row in project.rows("silver.t")]
    assert len(kept) == (1 if sink == "scd1" else 3)
    assert [("x", 1), ("y", 3)] in kept
    assert late.rows_quarantined == 0
