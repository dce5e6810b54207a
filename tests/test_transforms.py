"""Transforms: frames in, frames out; NULLs, wrong columns, rows that err, hidden columns, any order of rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame

from lakehouse import ConfigError, registry
from lakehouse.frames import EXTRA, ROW, visible
from lakehouse.session import job_session

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def session(spark):
    return job_session(spark, {})


@pytest.fixture(scope="module")
def make(session):
    """A frame of rows with a schema in DDL."""
    return lambda kinds, *rows: session.createDataFrame(list(rows), kinds).coalesce(1)  # no shuffle: half the time


def apply(word: str, df: DataFrame, tables: Mapping[str, DataFrame] | None = None, **options: Any) -> DataFrame:
    """The transform's answer, its options checked as a plan checks them (`with_` is YAML's `with`)."""
    entry = registry.find("transform", word)
    assert entry is not None
    model = entry.options.model_validate(
        {name.rstrip("_"): value for name, value in options.items()}, context={"now": NOW}
    )
    given_ = {"tables": tables or {}} if "tables" in entry.given else {}
    return entry.function(df, **registry.call_options(entry, model), **given_)


def same(found: DataFrame, expected: DataFrame) -> None:
    assert_df_equality(found.coalesce(1), expected, ignore_nullable=True, ignore_row_order=True)


def kept(df: DataFrame) -> DataFrame:
    """What a pipeline goes on with: the rows that no reason takes out."""
    return df.where(f"{EXTRA} IS NULL").drop(EXTRA)


def taken_out(df: DataFrame) -> list[tuple[Any, ...]]:
    """The rows that are taken out: first column and reason."""
    return sorted((row[0], row[EXTRA]) for row in df.where(f"{EXTRA} IS NOT NULL").collect())


# --- columns


def test_select_takes_columns_in_their_order_and_carries_the_hidden_ones(make):
    df = make(f"a int, b string, c int, {ROW} string", (1, "x", 2, "r"))
    same(apply("select", df, columns=["c", "a"]), make(f"c int, a int, {ROW} string", (2, 1, "r")))
    same(apply("select", df, columns="b"), make(f"b string, {ROW} string", ("x", "r")))


def test_rename_keeps_order_and_other_columns(make):
    df = make("a int, b string, C int", (1, "x", None))
    same(apply("rename", df, columns={"a": "z", "c": "d"}), make("z int, b string, d int", (1, "x", None)))
    same(apply("rename", df, columns={"a": "b", "b": "a"}), make("b int, a string, C int", (1, "x", None)))
    with pytest.raises(ValueError, match=r"^two columns would be called B, b$"):
        apply("rename", df, columns={"a": "B"})


def test_standardise_gives_one_spelling_per_value(make):
    df = make("id int, s string", (1, " PAID "), (2, "pd"), (3, "other"), (4, None), (5, ""))
    mapping = {"paid": "paid", "PD": "paid"}
    same(
        apply("standardise", df, column="s", mapping=mapping),
        make("id int, s string", (1, "paid"), (2, "paid"), (3, "other"), (4, None), (5, "")),
    )
    same(
        apply("standardise", df, column="s", mapping=mapping, ignore_case=False, otherwise="null"),
        make("id int, s string", *[(number, None) for number in range(1, 6)]),
    )
    with pytest.raises(ValueError, match="'mapping' makes ' pd' both 'paid' and 'open'"):
        apply("standardise", df, column="s", mapping={"PD": "paid", " pd": "open"})
    with pytest.raises(ValueError, match="id is no text"):
        apply("standardise", df, column="id", mapping=mapping)


def test_pivot_gives_the_same_columns_whatever_the_rows_hold(make):
    df = make(
        "day int, status string, amount int",
        (1, "paid", 5),
        (1, "paid", 6),
        (1, "open", 7),
        (2, "odd", 9),
        (2, None, 1),
    )
    same(
        apply(
            "pivot", df, group_by=["day"], column="status", values=["paid", "open"], measures={"total": "sum(amount)"}
        ),
        make("day int, paid bigint, open bigint", (1, 11, 7), (2, None, None)),
    )
    measures = {"orders": "count(*)", "share": "sum(amount) / count(*)"}
    found = apply("pivot", df, group_by=["day"], column="status", values=["paid"], measures=measures)
    same(found, make("day int, paid_orders bigint, paid_share double", (1, 2, 5.5), (2, 0, None)))
    with pytest.raises(ValueError, match="two columns would be called day"):
        apply("pivot", df, group_by=["day"], column="status", values=["day"], measures={"n": "count(*)"})
    with pytest.raises(ValueError, match="'x' is no int"):
        apply("pivot", df, group_by=["status"], column="day", values=["x"], measures={"n": "count(*)"})


def test_mask_leaves_no_more_of_a_value_than_it_says(make):
    kinds = "a string, b string, c string, d date, e string, f int"
    df = make(
        kinds,
        ("ann@x.org", "DE02500105175", "short", date(1984, 5, 6), "Ann", 7),
        (None,) * 6,
        ("@x", "12345678", "", None, "", 0),
    )
    how = {"a": "email", "b": "last_4", "c": "redact", "d": "year", "e": "hash", "f": "null"}
    hashed = [sha256(text.encode()).hexdigest() for text in ("Ann", "")]
    same(
        apply("mask", df, columns=how),
        make(
            kinds,
            ("a***@x.org", "***5175", "***", date(1984, 1, 1), hashed[0], None),
            (None,) * 6,
            ("***", "***5678", "***", None, hashed[1], None),
        ),
    )
    same(apply("mask", df, columns={"f": "hash"}).select("f").limit(1), make("f string", (sha256(b"7").hexdigest(),)))
    for name, wrong in (("f", "email"), ("a", "year")):
        with pytest.raises(ValueError, match=f"'{wrong}' is for"):
            apply("mask", df, columns={name: wrong})


def test_drop_takes_columns_away(make):
    same(apply("drop", make("a int, b int, c int", (1, 2, 3)), columns=["b", "C"]), make("a int", (1,)))


def test_columns_of_odd_names_are_columns(make):
    df = make("`a b` int, `x.y` string, `t``k` int", (1, None, 2))
    for word, options, kinds, row in [
        ("select", {"columns": ["x.y", "a b", "t`k"]}, "`x.y` string, `a b` int, `t``k` int", (None, 1, 2)),
        ("rename", {"columns": {"x.y": "y"}}, "`a b` int, y string, `t``k` int", (1, None, 2)),
        ("fill_nulls", {"columns": {"x.y": "z"}}, "`a b` int, `x.y` string, `t``k` int", (1, "z", 2)),
        ("drop", {"columns": ["x.y", "t`k"]}, "`a b` int", (1,)),
    ]:
        assert_df_equality(apply(word, df, **options), make(kinds, row), ignore_nullable=True)


@pytest.mark.parametrize(
    ("word", "options"),
    [
        ("select", {"columns": ["amuont"]}), ("rename", {"columns": {"amuont": "x"}}), ("drop", {"columns": ["amuont"]}),
        ("cast", {"columns": {"amuont": "int"}}), ("trim", {"columns": ["amuont"]}), ("fill_nulls", {"columns": {"amuont": 1}}),
        ("keep_latest", {"keys": ["amuont"], "order_by": ["id"]}), ("keep_latest", {"keys": ["id"], "order_by": ["amuont"]}),
        ("deduplicate", {"keys": ["amuont"]}), ("explode", {"column": "amuont"}), ("flatten", {"column": "amuont"}),
        ("aggregate", {"group_by": ["amuont"], "measures": {"n": "count(*)"}}), ("surrogate_key", {"name": "k", "columns": ["amuont"]}),
        ("join", {"with_": "a.b", "on": ["amuont"]}), ("join", {"with_": "a.b", "on": {"id": "amuont"}}),
        ("lookup", {"table": "a.b", "on": ["amuont"], "columns": ["amount"]}), ("lookup", {"table": "a.b", "on": ["id"], "columns": ["amuont"]}),
    ],
)  # fmt: skip
def test_an_unknown_column_is_named_beside_the_one_that_was_meant(make, word, options):
    df = make("id int, amount int")
    with pytest.raises(ValueError, match=r"^no column 'amuont'\. Did you mean 'amount'\? Known: amount, id\.$"):
        apply(word, df, {"a.b": df}, **options)


# --- values


def test_trim_takes_white_space_off_every_text(make):
    df = make(f"a string, b string, n int, {ROW} string", (" x y\t\n", "\r\n", 1, " r "), (None, "", 2, None))
    same(
        apply("trim", df), make(f"a string, b string, n int, {ROW} string", ("x y", "", 1, " r "), (None, "", 2, None))
    )
    same(
        apply("trim", df, columns=["b"]),
        make(f"a string, b string, n int, {ROW} string", (" x y\t\n", "", 1, " r "), (None, "", 2, None)),
    )
    with pytest.raises(ValueError, match=r"^n: no text"):
        apply("trim", df, columns=["a", "n"])


def test_fill_nulls_keeps_a_columns_type(make):
    df = make(
        "n int, t string, d date, b boolean, m decimal(6,2)",
        (None, None, None, None, None),
        (1, "", date(2026, 1, 1), False, Decimal("1.00")),
    )
    filled = apply("fill_nulls", df, columns={"n": 0, "t": "none", "d": "1970-01-01", "b": True, "m": 2})
    same(filled, make("n int, t string, d date, b boolean, m decimal(6,2)",
                      (0, "none", date(1970, 1, 1), True, Decimal("2.00")), (1, "", date(2026, 1, 1), False, Decimal("1.00"))))  # fmt: skip


@pytest.mark.parametrize(("column", "value"), [("n", "many"), ("d", "soon"), ("m", 99999999)])
def test_fill_nulls_refuses_a_value_of_another_type(make, column, value):
    with pytest.raises(ValueError, match=rf"^{value!r} is no "):
        apply("fill_nulls", make("n int, d date, m decimal(6,2)"), columns={column: value})


def test_cast_takes_out_what_does_not_fit(make):
    df = make(
        "id int, n string, d string",
        (1, "5", "2026-01-01"),
        (2, "x", "2026-01-01"),
        (3, None, None),
        (4, "5.5", "soon"),
        (5, "", None),
    )
    found = apply("cast", df, columns={"n": "int", "d": "date"})
    same(kept(found), make("id int, n int, d date", (1, 5, date(2026, 1, 1)), (3, None, None)))
    assert taken_out(found) == [(2, "n is no int"), (4, "n is no int"), (5, "n is no int")]


def test_derive_sees_what_was_derived_before_and_takes_out_rows_that_err(make):
    df = make("id int, t string", (1, "4"), (2, "x"), (3, "0"), (4, None))
    found = apply("derive", df, columns={"n": "cast(t as int)", "half": "8 / n", "t": "upper(t)"})
    same(kept(found), make("id int, t string, n int, half double", (1, "4", 4, 2.0), (4, None, None, None)))
    assert taken_out(found) == [
        (2, "the expression of n fails for this row"),
        (3, "the expression of half fails for this row"),
    ]


def test_derive_has_the_runs_start_for_now(make):
    same(kept(apply("derive", make("id int", (1,)), columns={"d": "current_date()", "t": "now()"})),
         make("id int, d date, t timestamp", (1, date(2026, 3, 1), NOW)))  # fmt: skip


def test_filter_keeps_what_is_true_and_takes_out_rows_that_err(make):
    df = make("id int, t string", (1, "4"), (2, "x"), (3, "-4"), (4, None))
    found = apply("filter", df, where="cast(t as int) > 0")
    same(kept(found), make("id int, t string", (1, "4")))
    assert taken_out(found) == [(2, "the condition fails for this row")]
    assert apply("filter", df, where="false").count() == 0


def test_surrogate_keys_keep_parts_and_nulls_apart(make):
    df = make(
        "id int, a string, b string",
        (1, "ab", "c"),
        (2, "a", "bc"),
        (3, None, "x"),
        (4, "", "x"),
        (5, "x", None),
        (6, '","', ""),
    )
    keys = {row["id"]: row["k"] for row in apply("surrogate_key", df, name="k", columns=["a", "b"]).collect()}
    assert len(set(keys.values())) == len(keys)
    assert keys[1] == sha256(b'["ab","c"]').hexdigest()
    other = make("id bigint, a string, b string", (9, "ab", "c"))
    assert apply("surrogate_key", other, name="k", columns=["a", "b"]).collect()[0]["k"] == keys[1]
    assert apply("surrogate_key", df, name="k", columns=["b", "a"]).where("id = 1").collect()[0]["k"] != keys[1]


# --- one row per key

ROWS = [("a", 1, "x", 1.0), ("a", 2, "y", 2.0), ("a", 2, "z", 1.0), ("a", 2, "z", None), ("b", None, "p", 1.0), ("b", None, None, 2.0), (None, 1, "n", 1.0), (None, 0, "m", 1.0)]  # fmt: skip
KINDS = "k string, t int, v string, w double"


def test_keep_latest_keeps_the_greatest_by_order_and_the_greater_row_of_a_tie(make):
    found = apply("keep_latest", make(KINDS, *ROWS), keys=["k"], order_by=["t"])
    same(kept(found), make(KINDS, ("a", 2, "z", 1.0), ("b", None, "p", 1.0), (None, 1, "n", 1.0)))
    assert {row[EXTRA] for row in found.where(f"{EXTRA} IS NOT NULL").collect()} == {"a later row has the same k"}


def test_keep_latest_goes_upwards_where_told_and_puts_nulls_last(make):
    df = make("k string, `a b` int, v int", ("a", 2, 1), ("a", None, 9), ("a", 1, 5), ("a", 1, 6))
    same(
        kept(apply("keep_latest", df, keys="k", order_by=["a b ASC", "v asc"])),
        make("k string, `a b` int, v int", ("a", 1, 5)),
    )
    same(kept(apply("keep_latest", df, keys="k", order_by=["a b"])), make("k string, `a b` int, v int", ("a", 2, 1)))
    same(
        kept(apply("keep_latest", df, keys="k", order_by=["a b desc"])), make("k string, `a b` int, v int", ("a", 2, 1))
    )
    with pytest.raises(ValueError, match="no column 'v down'"):
        apply("keep_latest", df, keys="k", order_by=["v down"])


def test_keep_latest_and_deduplicate_take_rows_with_maps(make):
    df = make(
        "k int, m map<string,int>, s struct<m:map<string,int>>",
        (1, {"a": 1}, ({"x": 1},)),
        (1, {"b": 1}, ({"x": 1},)),
        (1, {"b": 1}, ({"x": 1},)),
    )
    one = make("k int, m map<string,int>, s struct<m:map<string,int>>", (1, {"b": 1}, ({"x": 1},)))
    assert kept(apply("keep_latest", df, keys=["k"], order_by=["k"])).collect() == one.collect()
    assert kept(apply("deduplicate", df)).count() == 2


@given(st.permutations(ROWS))
@settings(max_examples=5, deadline=None)
def test_keep_latest_and_deduplicate_do_not_depend_on_the_order_of_rows(make, rows):
    df = make(KINDS, *rows).repartition(3)
    latest = kept(apply("keep_latest", df, keys=["k"], order_by=["t"])).collect()
    assert sorted(map(str, map(tuple, latest))) == sorted(
        map(str, [("a", 2, "z", 1.0), ("b", None, "p", 1.0), (None, 1, "n", 1.0)])
    )
    one = kept(apply("deduplicate", df, keys=["k"])).collect()
    assert sorted(map(str, map(tuple, one))) == sorted(
        map(str, [("a", 1, "x", 1.0), ("b", None, None, 2.0), (None, 0, "m", 1.0)])
    )


def test_deduplicate_takes_repeats_of_whole_rows_out(make):
    df = make(
        f"a int, b string, {ROW} string",
        (1, None, "first"),
        (1, None, "second"),
        (1, "", "third"),
        (None, None, "x"),
        (None, None, "y"),
    )
    found = apply("deduplicate", df)
    same(kept(found).drop(ROW), make("a int, b string", (1, None), (1, ""), (None, None)))
    assert [row[EXTRA] for row in found.where(f"{EXTRA} IS NOT NULL").collect()] == ["a repeat of another row"] * 2


def test_deduplicate_keeps_the_smallest_row_of_a_key(make):
    df = make("k int, v int", (1, 5), (1, 3), (2, None), (2, 1))
    found = apply("deduplicate", df, keys=["k"])
    same(kept(found), make("k int, v int", (1, 3), (2, None)))
    assert taken_out(found) == [(1, "another row has the same k"), (2, "another row has the same k")]


# --- other tables


@pytest.fixture(scope="module")
def customers(make):
    return make(
        "id int, name string, _run_id string", (1, "Ann", "r"), (2, "Bob", "r"), (2, "Bea", "r"), (None, "Nobody", "r")
    )


def test_a_join_matches_on_columns_of_one_name_or_of_two_and_null_matches_nothing(make, customers):
    orders = make("no int, customer int", (10, 1), (11, 2), (12, 3), (13, None))
    by_two = {"with_": "s.c", "on": {"customer": "id"}}
    tables = {"s.c": customers}
    same(
        apply("join", orders, tables, **by_two),
        make("customer int, no int, name string", (1, 10, "Ann"), (2, 11, "Bob"), (2, 11, "Bea")),
    )
    same(apply("join", orders, tables, **by_two, how="left_anti"), make("customer int, no int", (3, 12), (None, 13)))
    same(apply("join", orders, tables, **by_two, how="left_semi"), make("customer int, no int", (1, 10), (2, 11)))
    left = apply("join", orders.withColumnRenamed("customer", "id"), tables, with_="s.c", on="id", how="left")
    same(
        left,
        make(
            "id int, no int, name string",
            (1, 10, "Ann"),
            (2, 11, "Bob"),
            (2, 11, "Bea"),
            (3, 12, None),
            (None, 13, None),
        ),
    )


def test_a_join_refuses_columns_that_both_sides_have(make, customers):
    orders = make("customer int, NAME string")
    with pytest.raises(ValueError, match=r"^both sides have name; rename or drop them, or use 'lookup'$"):
        apply("join", orders, {"s.c": customers}, with_="s.c", on={"customer": "id"})
    assert apply("join", orders, {"s.c": customers}, with_="s.c", on={"customer": "id"}, how="left_anti").columns == [
        "customer",
        "NAME",
    ]


def test_a_join_carries_hidden_columns(make, customers):
    found = apply("join", make(f"id int, {ROW} string", (1, "r")), {"s.c": customers}, with_="s.c", on=["id"])
    same(found, make(f"id int, {ROW} string, name string", (1, "r", "Ann")))


def test_a_lookup_never_multiplies_rows(make, customers):
    orders = make(f"no int, customer int, {ROW} string", (10, 1, "a"), (11, 2, "b"), (12, 3, "c"), (13, None, "d"))
    found = apply(
        "lookup", orders, {"s.c": customers}, table="s.c", on={"customer": "id"}, columns={"who": "name", "ref": "id"}
    )
    same(found, make(f"no int, customer int, {ROW} string, who string, ref int",
                     (10, 1, "a", "Ann", 1), (11, 2, "b", "Bob", 2), (12, 3, "c", None, None), (13, None, "d", None, None)))  # fmt: skip


def test_a_lookup_takes_several_keys_and_columns_of_one_name(make):
    rates = make("day date, code string, rate double", (date(2026, 1, 1), "EUR", 1.5), (date(2026, 1, 1), "USD", 1.0))
    sales = make("day date, code string", (date(2026, 1, 1), "EUR"), (date(2026, 1, 2), "EUR"))
    same(apply("lookup", sales, {"s.r": rates}, table="s.r", on=["day", "code"], columns=["rate"]),
         make("day date, code string, rate double", (date(2026, 1, 1), "EUR", 1.5), (date(2026, 1, 2), "EUR", None)))  # fmt: skip


def test_a_lookup_as_of_takes_the_version_that_was_valid_then(make):
    history = make("id int, city string, __START_AT int, __END_AT int",
                   (1, "Rome", 10, 20), (1, "Oslo", 20, 30), (1, "Bonn", 40, None), (2, None, 5, None))  # fmt: skip
    facts = [(1, 9), (1, 10), (1, 19), (1, 20), (1, 35), (1, 99), (2, 7), (3, 7), (None, 7), (1, None)]
    found = apply("lookup", make("id int, t int", *facts), {"s.h": history}, table="s.h", on=["id"], as_of="t",
                  columns={"city": "city", "since": "__START_AT"}, unknown={"since": -1})  # fmt: skip
    cities = [None, "Rome", "Rome", "Oslo", None, "Bonn", None, None, None, None]
    since = [-1, 10, 10, 20, -1, 40, 5, -1, -1, -1]
    expected = [(*fact, city, start) for fact, city, start in zip(facts, cities, since, strict=True)]
    same(found, make("id int, t int, city string, since int", *expected))


def test_a_lookup_as_of_goes_by_the_first_of_several_sequence_columns(make):
    history = make("id int, v string, f struct<t:int,n:int>, u struct<t:int,n:int>",
                   (1, "a", (1, 1), (1, 2)), (1, "b", (1, 2), (5, 1)), (1, "c", (5, 1), None))  # fmt: skip
    found = apply("lookup", make("id int, t int", (1, 1), (1, 4), (1, 5)), {"s.h": history}, table="s.h", on=["id"],
                  as_of="t", columns=["v"], start_column="f", end_column="u")  # fmt: skip
    same(found, make("id int, t int, v string", (1, 1, "b"), (1, 4, "b"), (1, 5, "c")))


def test_a_lookup_as_of_says_what_it_cannot_do(make, customers):
    facts = make("id int, t int", (1, 1))
    with pytest.raises(ValueError, match="it is no history: it has no column __START_AT and no __END_AT"):
        apply("lookup", facts, {"s.c": customers}, table="s.c", on=["id"], columns=["name"], as_of="t")
    with pytest.raises(ValueError, match="'unknown' names 'nmae', which is none of 'columns': name"):
        apply("lookup", facts, {"s.c": customers}, table="s.c", on=["id"], columns=["name"], unknown={"nmae": 1})


def test_a_union_goes_by_name_and_fills_what_is_missing(make):
    first, second, third = make("a int, b string", (1, "x")), make("b string, a int", ("y", 2)), make("c int", (3,))
    same(apply("union", first, {"s.b": second, "s.c": third}, tables_=["s.b", "s.c"]),
         make("a int, b string, c int", (1, "x", None), (2, "y", None), (None, None, 3)))  # fmt: skip


def test_sql_sees_the_frame_so_far_and_the_inputs(make, customers):
    orders = make("no int, customer int", (10, 1), (11, 9))
    query = "SELECT {input}.no, c.name FROM {input} LEFT JOIN s.c c ON customer = c.id WHERE '{input}' <> '' AND c.name rlike '^A.{2}$'"
    same(apply("sql", orders, {"s.c": customers}, query=query), make("no int, name string", (10, "Ann")))
    same(
        apply("sql", orders, query="SELECT count(*) AS n, current_date AS d FROM {input}"),
        make("n bigint, d date", (2, date(2026, 3, 1))),
    )
    with pytest.raises(ValueError, match="only one SELECT"):
        apply("sql", orders, query="DROP TABLE x")


# --- shape


def test_explode_gives_a_row_per_element_in_the_arrays_place(make):
    df = make(
        f"a int, Items array<string>, b int, {ROW} string", (1, ["x", None], 2, "r"), (3, [], 4, "s"), (5, None, 6, "t")
    )
    kinds = f"a int, Items string, b int, {ROW} string"
    same(
        apply("explode", df, column="Items"),
        make(kinds, (1, "x", 2, "r"), (1, None, 2, "r"), (3, None, 4, "s"), (5, None, 6, "t")),
    )
    same(apply("explode", df, column="items", outer=False), make(kinds, (1, "x", 2, "r"), (1, None, 2, "r")))


def test_flatten_puts_a_structs_fields_in_its_place(make):
    kinds = "a int, Address struct<city:string,geo:struct<lat:double>>, b int"
    df = make(kinds, (1, ("Rome", (41.9,)), 2), (3, None, 4))
    same(
        apply("flatten", df, column="address"),
        make(
            "a int, address_city string, address_geo struct<lat:double>, b int",
            (1, "Rome", (41.9,), 2),
            (3, None, None, 4),
        ),
    )
    assert apply("flatten", df, column="Address", prefix="").columns == ["a", "city", "geo", "b"]
    with pytest.raises(ValueError, match=r"^'a' is no struct but int$"):
        apply("flatten", df, column="a")


def test_aggregate_gives_a_row_per_group_and_null_is_a_group(make):
    df = make("k string, v int", ("a", 1), ("a", None), (None, 3), (None, 4))
    same(apply("aggregate", df, group_by=["k"], measures={"n": "count(*)", "total": "sum(v)", "share": "sum(v) / count(*)"}),
         make("k string, n bigint, total bigint, share double", ("a", 2, 1, 0.5), (None, 2, 7, 3.5)))  # fmt: skip
    same(apply("aggregate", df.where("false"), group_by=[], measures={"n": "count(*)"}), make("n bigint", (0,)))


# --- in a job

JOB = """\
layer: silver
source:
  rows: {schema: "id int, t string, a array<int>", rows: [[1, "4", [1, 2]], [2, x, []], [3, null, null]]}
transforms:
  - STEP
sink:
  append: {table: silver.x}
"""


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("select: {columns: [idd]}", "transform 'select': no column 'idd'. Did you mean 'id'? Known: a, id, t."),
        ("cast: {columns: {t: itn}}", "transform 'cast': [UNSUPPORTED_DATATYPE]"),
        ("cast: {columns: {a: int}}", "transform 'cast': [DATATYPE_MISMATCH"),
        ("derive: {columns: {x: 'nope + 1'}}", "transform 'derive': [UNRESOLVED_COLUMN"),
        ("derive: {columns: {x: 'id +'}}", "transform 'derive': [PARSE_SYNTAX_ERROR]"),
        ("derive: {columns: {x: 'sum(id)'}}", "transform 'derive': ["),
        ("filter: {where: id}", "transform 'filter': [DATATYPE_MISMATCH"),
        ("explode: {column: t}", "transform 'explode': [DATATYPE_MISMATCH"),
        ("rename: {columns: {id: t}}", "transform 'rename': two columns would be called t"),
        ("fill_nulls: {columns: {id: none}}", "transform 'fill_nulls': 'none' is no int"),
        ("aggregate: {group_by: [id], measures: {}}", "transform 'aggregate': 'measures' must not be empty"),
        ("aggregate: {group_by: [id], measures: {x: t}}", "transform 'aggregate': [MISSING_AGGREGATION]"),
        ("sql: {query: 'SELECT * FROM silver.y'}", "transform 'sql': `silver`.`y` is not among the job's inputs; add it under 'inputs:'"),
        ("sql: {query: 'DELETE FROM {input}'}", "transform 'sql': only one SELECT"),
    ],
)  # fmt: skip
def test_a_transform_that_cannot_be_done_is_a_config_error_at_its_line(project, step, message):
    project.job("x", JOB.replace("STEP", step))
    with pytest.raises(ConfigError) as refused:
        project.run("x")
    assert str(refused.value).startswith(f"{project.root}/conf/x.yml:5: {message}")
    assert not (project.lake / "silver").exists()


def test_rows_that_err_in_a_transform_are_quarantined_as_they_came_and_the_rest_goes_on(project):
    steps = [
        "derive: {columns: {n: cast(t as int)}}",
        "rename: {columns: {t: text}}",
        "explode: {column: a}",
        "cast: {columns: {text: int}}",
        "filter: {where: '6 / coalesce(a, 1) > 0'}",
    ]
    project.job("x", JOB.replace("  - STEP", "\n".join(f"  - {step}" for step in steps)))
    record = project.run("x")
    assert (record.rows_read, record.rows_quarantined, record.rows_to_sink) == (3, 1, 3)
    assert project.rows("silver.x") == [
        {"id": 1, "text": 4, "a": 1, "n": 4},
        {"id": 1, "text": 4, "a": 2, "n": 4},
        {"id": 3, "text": None, "a": None, "n": None},
    ]
    (row,) = project.rows("silver.x__quarantine")
    assert row["row"] == '{"id":2,"t":"x","a":[]}'
    assert row["reasons"] == [{"rule": "derive", "column": None, "message": "the expression of n fails for this row"}]


def test_no_transform_forgets_the_hidden_columns(make, customers):
    """But those whose rows are not the frame's, or come of two."""
    df = make(f"id int, t string, l array<int>, s struct<x:int>, {ROW} string", (1, "a", [1], (2,), "r"))
    options: dict[str, dict[str, Any]] = {
        "select": {"columns": ["id"]}, "rename": {"columns": {"t": "u"}}, "drop": {"columns": ["t"]}, "cast": {"columns": {"id": "string"}},
        "derive": {"columns": {"n": "id + 1"}}, "filter": {"where": "true"}, "trim": {}, "fill_nulls": {"columns": {"t": "x"}},
        "keep_latest": {"keys": "id", "order_by": "t"}, "deduplicate": {}, "join": {"with_": "s.c", "on": "id"},
        "lookup": {"table": "s.c", "on": "id", "columns": "name"}, "union": {"tables_": ["s.c"]}, "explode": {"column": "l"},
        "flatten": {"column": "s"}, "surrogate_key": {"name": "k", "columns": "id"}, "mask": {"columns": {"t": "redact"}},
        "standardise": {"column": "t", "mapping": {"a": "b"}},
    }  # fmt: skip
    others = {"sql", "aggregate", "pivot", "window", "session_window", "stream_join"}
    assert options.keys() == {entry.name for entry in registry.known("transform")} - others
    for word, given_ in options.items():
        found = apply(word, df, {"s.c": customers}, **given_)
        assert ROW in found.columns, word
        assert not [name for name in visible(found.drop(EXTRA)) if name.startswith("__")], word
