"""Row rules: what passes, fails, is NULL or errs; one fate and all reasons a row."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse import ConfigError, registry
from lakehouse.frames import FATE, REASON_TYPE, REASONS
from lakehouse.quality import FATES, VALID, Check, reasons_of, with_fate
from lakehouse.registry import Dimension
from lakehouse.session import job_session

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAN = float("nan")


@pytest.fixture(scope="module")
def session(spark):
    return job_session(spark, {})


def holds(rule: str, **options: Any) -> Column:
    """The rule's verdict, its options checked as a plan checks them."""
    entry = registry.find("rule", rule)
    assert entry is not None
    given_ = {"now": NOW} if "now" in entry.given else {}
    model = entry.options.model_validate(options, context={"now": NOW})
    return entry.function(**registry.call_options(entry, model), **given_)


def check(
    rule: str, *, name: str = "r", on_fail: str = "quarantine", where: str | None = None, **options: Any
) -> Check:
    entry = registry.find("rule", rule)
    assert entry is not None
    total = bool(entry.traits.get("total"))
    return Check(name, options.get("column"), "broken", on_fail, holds(rule, **options), where, total)


def frame(session, kind: str, values: Sequence[Any]) -> DataFrame:
    df = session.createDataFrame([(index, value) for index, value in enumerate(values)], f"i int, x {kind}")
    return df.withColumn(REASONS, F.array().cast(REASON_TYPE))


def judged(rows: DataFrame, checks: Sequence[Check]) -> DataFrame:
    """The rows with their fate and every reason."""
    return with_fate(rows, checks).withColumn(REASONS, reasons_of(checks))


def broken(session, kind: str, values: Sequence[Any], checks: Sequence[Check]) -> list[Any]:
    """The values of the rows that do not pass."""
    found = with_fate(frame(session, kind, values), checks).where(F.col(FATE) != VALID).select("i").collect()
    return [values[row["i"]] for row in sorted(found)]


def at(day: int, hour: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, 0, second, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A rule over one column `x`: values that pass and values that do not."""

    rule: str
    options: dict[str, Any]
    kind: str
    passes: list[Any]
    fails: list[Any]


CASES = [
    Case("not_null", {}, "string", ["a", "", " "], [None]),
    Case("not_null", {}, "double", [0.0, NAN], [None]),
    Case("accepted_values", {"values": ["a", "b"]}, "string", ["a", "b", None], ["A", " a", "", "ab"]),
    Case("accepted_values", {"values": [1, 2]}, "int", [1, 2, None], [0, -1]),
    Case("accepted_values", {"values": [1, "S", True]}, "string", ["1", "S", "true", None], ["01", "s", "", "1.0"]),
    Case("accepted_values", {"values": ["1"]}, "int", [1, None], [2]),
    Case("accepted_values", {"values": [0.5, 1]}, "double", [0.5, 1.0, None], [NAN, 0.0]),
    Case("accepted_values", {"values": [True]}, "boolean", [True, None], [False]),
    Case("accepted_values", {"values": ["2026-03-01"]}, "date", [date(2026, 3, 1), None], [date(2026, 3, 2)]),
    Case("in_range", {"min": 0, "max": 10}, "int", [0, 10, 5, None], [-1, 11]),
    Case("in_range", {"min": 0}, "double", [0.0, -0.0, 1e300, float("inf"), None], [-0.001, NAN, float("-inf")]),
    Case("in_range", {"max": 0}, "double", [0.0, -1.0, float("-inf"), None], [0.001, NAN, float("inf")]),
    Case("in_range", {}, "double", [0.0, None], [NAN]),
    Case("in_range", {"min": 0}, "float", [0.0, None], [-1.0, NAN]),
    Case("in_range", {"min": 0.1, "max": 0.3}, "decimal(12,2)", [Decimal("0.10"), Decimal("0.30"), None], [Decimal("0.09"), Decimal("0.31")]),
    Case("in_range", {"min": 9007199254740993}, "bigint", [9007199254740993, None], [9007199254740992]),
    Case("in_range", {"min": "2026-03-01"}, "date", [date(2026, 3, 1), date(9999, 1, 1), None], [date(2026, 2, 28)]),
    Case("in_range", {"max": "2026-03-01"}, "date", [date(2026, 3, 1), None], [date(2026, 3, 2)]),
    Case("in_range", {"min": "2026-03-01 00:00:00"}, "timestamp", [at(1), None], [at(1) - timedelta(microseconds=1)]),
    Case("in_range", {"min": "2026-03-01"}, "timestamp_ntz", [datetime(2026, 3, 1), None], [datetime(2026, 2, 28)]),
    Case("in_range", {"min": "b"}, "string", ["b", "c", None], ["a", "", "B"]),
    Case("in_range", {"min": 5}, "string", ["5", "10", "5.5", None], ["4", "abc", ""]),
    Case("matches", {"pattern": "b"}, "string", ["b", "abc", "x\nb", None], ["", "B", "ac"]),
    Case("matches", {"pattern": "^[0-9]{3}$"}, "string", ["123", None], ["12", "1234", " 123", "x\n123"]),
    Case("matches", {"pattern": "(?i)^abc$"}, "string", ["ABC", None], ["abcd"]),
    Case("matches", {"pattern": "^1"}, "int", [1, 12, None], [2]),
    Case("length", {"min": 1, "max": 3}, "string", ["a", "abc", "äöü", " ", None], ["", "abcd"]),
    Case("length", {"max": 1}, "string", ["", "\U0001f600", None], ["ab"]),
    Case("length", {"min": 2}, "binary", [b"\xc3\xa4", None], [b"", b"a"]),
    Case("length", {}, "string", ["", "a", None], []),
    Case("expr", {"sql": "x > 0"}, "int", [1, None], [0, -1]),
    Case("expr", {"sql": "cast(x as int) > 0"}, "string", ["1", None], ["0", "x", ""]),
    Case("expr", {"sql": "10 / x > 1"}, "int", [9, None], [0, 10, -1]),
    Case("expr", {"sql": "element_at(array(1, 2), x) = 2"}, "int", [2, None], [1, 3]),
    Case("expr", {"sql": "x <= now()"}, "timestamp", [at(1, 12), None], [at(1, 12, 1)]),
    Case("not_in_future", {}, "timestamp", [at(1, 12), at(1), None], [at(1, 12, 1), at(2)]),
    Case("not_in_future", {"tolerance": "1.5 hours"}, "timestamp", [at(1, 13), None], [at(1, 14)]),
    Case("not_in_future", {"tolerance": " 1 week "}, "timestamp", [at(8, 12), None], [at(8, 12, 1)]),
    Case("not_in_future", {}, "date", [date(2026, 3, 1), None], [date(2026, 3, 2)]),
    Case("not_in_future", {}, "timestamp_ntz", [datetime(2026, 3, 1, 12), None], [datetime(2026, 3, 1, 13)]),
    Case("not_in_future", {}, "string", ["2026-03-01 11:00:00", None], ["2026-03-02", "soon", ""]),
    Case("email", {}, "string", ["a@b.co", "A.b+c_d-e@sub.example-1.org", "'x'@y.zz", "1" * 64 + "@b.co", None], ["", "a@b", "@b.co", "a b@c.de", "a@b..co", ".a@b.co", "a.@b.co", "a..b@c.de", "a@-b.co", "a@b-.co", "a@b.co\n", " a@b.co", "a@@b.co", "a@b@c.de", "a@b.co,c@d.eu", "\u00e4@b.co", "1" * 65 + "@b.co"]),
    Case("uuid", {}, "string", ["123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000", "00000000-0000-0000-0000-000000000000", None], ["", "123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}", "123e4567-e89b-12d3-a456-42661417400g", "123e4567-e89b-12d3-a456-426614174000\n"]),
    Case("iso_date", {}, "string", ["2026-03-01", "2024-02-29", "0001-01-01", "9999-12-31", None], ["", "2026-02-30", "2025-02-29", "2026-3-1", "20260301", "01/03/2026", "2026-03-01T00:00:00", " 2026-03-01", "2026-03-01\n", "2026-13-01", "0000-00-00"]),
    Case("iso_date", {}, "date", [date(2026, 3, 1), None], []),
    Case("url", {}, "string", ["http://a.de", "https://www.a-b.de:8080/x?y=1#z", "HTTP://a.de", "http://localhost", "http://127.0.0.1/x", "http://[::1]:80/", "https://u:p@a.de/", None], ["", "a.de", "ftp://a.de", "http://", "http:///x", "http://a de", "http://a.de/x y", "javascript:alert(1)", "http://-a.de", "http://a..de", "http://a.de\n", "http://a.de:port"]),
    Case("url", {"schemes": ["s3a", "s3"]}, "string", ["s3a://bucket/key", "s3://b", None], ["http://a.de", "s3x://b"]),
    Case("phone", {}, "string", ["+4989123456", "+1 (650) 555-0100", "+44 20 7946 0958", "+1.650.555.0100", "+1234567", "+123456789012345", None], ["", "089 123456", "+0891234567", "+123456", "+1234567890123456", "+49 89  1234567", "+49-89-abc", "++4989123456", "+4989123456\n", "+4989123456 "]),
    Case("phone", {"international": False}, "string", ["089 1234567", "(089) 1234567", "089/1234567", "+49 89 123456", None], ["", "12345", "call me"]),
    Case("phone", {"separators": False}, "string", ["+4989123456", None], ["+49 89123456"]),
    Case("digits", {}, "string", ["0", "007", None], ["", "-1", "1.0", " 1", "1e3", "\u0663", "1\n"]),
    Case("digits", {"min": 2, "max": 3}, "string", ["12", "123", None], ["1", "1234"]),
    Case("digits", {"min": 3, "max": 3}, "int", [123, None], [-12, 12]),
    Case("starts_with", {"prefix": "O-"}, "string", ["O-1", "O-", None], ["", "o-1", " O-1", "O"]),
    Case("starts_with", {"prefix": ["a%", "_"]}, "string", ["a%b", "_", None], ["ab", "b_"]),
    Case("starts_with", {"prefix": "1"}, "int", [1, 12, None], [2, -1]),
    Case("not_blank", {}, "string", ["a", " a ", "0"], [None, "", " ", "\t\n", "\u00a0", "\u2003"]),
    Case("no_outer_blanks", {}, "string", ["", "a", "a b", None], [" a", "a ", "a\n", "\u00a0a", " "]),
    Case("valid_json", {}, "string", ['{"a": [1, null]}', "[]", "1", '"a"', "null", " true ", None], ["", " ", "{", "{'a':1}", '{"a":1} x', "1 2", "1,2", "1],[2", '1,"b":2', "NaN", "[1,]", '{"a":1,"a":2}', "01"]),
    Case("json_has", {"path": "$.a.b"}, "string", ['{"a":{"b":0}}', '{"a":{"b":""}}', None], ["", "{", "{}", '{"a":null}', '{"a":{"b":null}}', '{"a":"b"}', '{"a":{"b":1}} x', "[1]"]),
    Case("json_has", {"path": "$.a[1]['x y']"}, "string", ['{"a":[0,{"x y":1}]}', None], ['{"a":[{"x y":1}]}']),
]  # fmt: skip


@pytest.fixture(scope="module")
def verdicts(session) -> list[list[Any]]:
    """Of each case the values that break its rule: all cases in one Spark job, each over a column of its own."""
    height = max(len(case.passes) + len(case.fails) for case in CASES)
    columns = [[*case.passes, *case.fails] + [None] * height for case in CASES]
    kinds = ", ".join(f"x{index} {case.kind}" for index, case in enumerate(CASES))
    rows = session.createDataFrame(
        [(row, *(values[row] for values in columns)) for row in range(height)], f"i int, {kinds}"
    )
    found = sorted(rows.select("i", F.array(*[_asked(index, case) for index, case in enumerate(CASES)])).collect())
    sizes = [len(case.passes) + len(case.fails) for case in CASES]
    return [[columns[n][i] for i, fails_ in found if i < size and fails_[n]] for n, size in enumerate(sizes)]


def _asked(index: int, case: Case) -> Column:
    options = case.options if case.rule == "expr" else {"column": "x", **case.options}
    if case.rule == "expr":
        return check("expr", sql=re.sub(r"\bx\b", f"x{index}", options["sql"])).fails
    return check(case.rule, **{**options, "column": f"x{index}"}).fails


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case.rule} {case.options} {case.kind}" for case in CASES])
def test_a_rule_passes_fails_and_lets_null_pass(verdicts, number):
    assert list(map(repr, verdicts[number])) == list(map(repr, CASES[number].fails))


def test_every_rule_has_cases():
    assert {entry.name for entry in registry.known("rule")} == {case.rule for case in (*CASES, *PAIRS)}


# --- several columns

PAIRS = [
    Case("one_of_columns_set", {"columns": ["a", "b"]}, "string", [("x", None), (None, ""), ("x", "y")], [(None, None)]),
    Case("one_of_columns_set", {"columns": ["a", "b"], "exactly_one": True}, "int", [(0, None), (None, 1)], [(None, None), (1, 1)]),
    Case("one_of_columns_set", {"columns": "a"}, "int", [(0, None)], [(None, 1)]),
    Case("columns_equal", {"columns": ["a", "b"]}, "string", [("x", "x"), (None, "x"), ("x", None), (None, None)], [("x", "X"), ("x", "x ")]),
    Case("columns_equal", {"columns": ["a", "b"]}, "double", [(NAN, NAN), (0.0, -0.0), (None, NAN)], [(0.0, NAN), (0.1, 0.3)]),
    Case("columns_equal", {"columns": ["a", "b"], "tolerance": 0.5}, "double", [(1.0, 1.5), (None, 1.0)], [(1.0, 1.6), (NAN, NAN)]),
    Case("columns_equal", {"columns": ["a", "b"], "tolerance": 0.01}, "decimal(12,2)", [(Decimal("1.00"), Decimal("1.01"))], [(Decimal("1.00"), Decimal("1.02"))]),
    Case("columns_equal", {"columns": ["a", "b"], "tolerance": 1}, "int", [(1, 2)], [(1, 3), (2147483647, -1)]),
    Case("columns_ordered", {"columns": ["a", "b"]}, "int", [(1, 1), (1, 2), (None, 1), (1, None)], [(2, 1)]),
    Case("columns_ordered", {"columns": ["a", "b"], "strict": True}, "date", [(date(2026, 1, 1), date(2026, 1, 2)), (None, None)], [(date(2026, 1, 1), date(2026, 1, 1))]),
    Case("columns_ordered", {"columns": ["a", "b"]}, "double", [(1.0, NAN), (NAN, NAN)], [(NAN, 1.0)]),
    Case("sum_of_columns", {"columns": ["a", "a"], "other": "b"}, "int", [(1, 2), (None, 1), (1, None), (-1, -2)], [(1, 1), (2147483647, 1)]),
    Case("sum_of_columns", {"columns": ["a", "b"], "other": "b", "tolerance": 0.1}, "double", [(0.05, 1.0), (None, 1.0)], [(0.2, 1.0), (NAN, 1.0), (1.0, NAN)]),
    Case("sum_of_columns", {"columns": ["a"], "other": "b"}, "decimal(12,2)", [(Decimal("0.10"), Decimal("0.10"))], [(Decimal("0.10"), Decimal("0.11"))]),
]  # fmt: skip


@pytest.mark.parametrize("case", PAIRS, ids=[f"{case.rule} {case.options} {case.kind}" for case in PAIRS])
def test_a_rule_over_several_columns_passes_fails_and_errs_for_a_row_alone(session, case):
    rows = [*case.passes, *case.fails]
    df = session.createDataFrame([(i, *pair) for i, pair in enumerate(rows)], f"i int, a {case.kind}, b {case.kind}")
    found = sorted(df.select("i", check(case.rule, **case.options).fails).collect())
    assert [repr(rows[i]) for i, failed in found if failed] == list(map(repr, case.fails))


def test_a_chain_of_columns_is_in_order_whatever_is_null_in_it(session):
    rows = [(1, 2, 3), (1, None, 3), (3, None, 1), (None, 2, 1), (2, 1, 3)]
    df = session.createDataFrame(rows, "a int, b int, c int")
    found = [row[0] for row in df.select(check("columns_ordered", columns=["a", "b", "c"]).fails).collect()]
    assert found == [False, False, True, True, True]


@pytest.mark.parametrize("name", sorted({case.rule for case in (*CASES, *PAIRS)}))
def test_a_rule_that_claims_to_be_total_never_raises(session, name):
    """What is `total` is evaluated without a net: under every fuzzed text it must give an answer."""
    entry = registry.find("rule", name)
    if not entry.traits.get("total"):
        return
    options = {"prefix": {"prefix": "a"}, "path": {"path": "$.a"}, "columns": {"columns": ["x", "i"]}}
    given_ = {key: value for word, more in options.items() if word in entry.options.model_json_schema()["properties"]
              for key, value in more.items()}  # fmt: skip
    if "column" in entry.options.model_json_schema()["properties"]:
        given_["column"] = "x"
    values = [
        None,
        "",
        "\x00",
        "\ud7ff",
        "9" * 400,
        "{" * 300,
        "-" * 99,
        "2026-99-99",
        "999999999-01-01",
        "+1" + "(" * 20,
    ]
    assert len(frame(session, "string", values).select(holds(name, **given_)).collect()) == len(values)


def test_every_rule_takes_a_name_a_where_a_fate_and_a_dimension_and_has_one():
    for entry in registry.known("rule"):
        assert entry.traits["dimension"] in typing.get_args(Dimension), entry.name


def test_a_field_of_a_struct_can_be_asked_for(session):
    values = [{"city": "Rome"}, {"city": None}, None]
    assert broken(session, "struct<city:string>", values, [check("not_null", column="x.city")]) == values[1:]


# --- where


def test_where_applies_a_rule_to_some_rows(session):
    wheres = ["i < 9", "i > 1", "x > 99", "cast(null as boolean)"]
    rules: dict[str, dict[str, Any]] = {
        "not_null": {"column": "x"},
        "in_range": {"column": "x", "min": 3},
        "expr": {"sql": "x > 2"},
    }
    asked = [check(rule, where=where, **options).fails for rule, options in rules.items() for where in wheres]
    found = sorted(frame(session, "int", [None, 1, 2, 5]).select("i", F.array(*asked)).collect())
    broken_at = [[i for i, failed in found if failed[number]] for number in range(len(asked))]
    assert broken_at == [[0], [], [], [], [1, 2], [2], [], [], [1, 2], [2], [], []]


def test_a_where_that_errs_breaks_the_row(session):
    assert broken(session, "string", ["1", "x", None], [check("not_null", column="x", where="cast(x as int) > 0")]) == [
        "x"
    ]


def test_a_where_keeps_an_expression_from_erring(session):
    assert broken(session, "int", [0, 1, 20], [check("expr", sql="10 / x > 1", where="x <> 0")]) == [20]


# --- fates and reasons


@pytest.mark.parametrize(
    ("on_fails", "fate"),
    [
        (["warn"], "warn"), (["drop", "warn"], "drop"), (["warn", "quarantine", "drop"], "quarantine"),
        (["drop", "fail", "quarantine", "warn"], "fail"),
    ],
)  # fmt: skip
def test_the_gravest_rule_decides_and_every_reason_is_kept(session, on_fails, fate):
    checks = [check("not_null", name=f"{word}{index}", on_fail=word, column="x") for index, word in enumerate(on_fails)]
    row = judged(frame(session, "int", [None]), checks).collect()[0]
    assert row[FATE] == FATES[fate]
    assert [reason.asDict() for reason in row[REASONS]] == [
        {"rule": item.name, "column": "x", "message": "broken"} for item in checks
    ]


def test_a_row_that_conform_found_broken_is_quarantined_with_those_reasons_first(session):
    reason = F.array(
        F.struct(F.lit("type").alias("rule"), F.lit("y").alias("column"), F.lit("is no int").alias("message"))
    )
    rows = frame(session, "int", [1, None]).withColumn(REASONS, reason.cast(REASON_TYPE))
    checks = [check("not_null", name="x is there", on_fail="drop", column="x")]
    found = judged(rows, checks).orderBy("i").collect()
    assert [row[FATE] for row in found] == [FATES["quarantine"]] * 2
    assert [[item["rule"] for item in row[REASONS]] for row in found] == [["type"], ["type", "x is there"]]


def test_without_rules_every_row_is_valid(session):
    rows = frame(session, "int", [1, None])
    assert {row[FATE] for row in judged(rows, []).collect()} == {VALID}


POOL = [None, "", "0", "1", "7", "-3", "x", "a b", "1.5", "99999999999", " 7 "]


def is_int(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit() and abs(int(text)) < 2**31


@dataclass(frozen=True)
class Rule:
    """A rule as Spark sees it beside the same rule in plain Python (None: NULL; an exception: it errs)."""

    rule: str
    options: dict[str, Any]
    reference: Any


RULES = [
    Rule("not_null", {"column": "x"}, lambda x: x is not None),
    Rule("accepted_values", {"column": "x", "values": ["1", "x"]}, lambda x: None if x is None else x in ("1", "x")),
    Rule("length", {"column": "x", "max": 2}, lambda x: None if x is None else len(x) <= 2),
    Rule("matches", {"column": "x", "pattern": "^[0-9]+$"}, lambda x: None if x is None else x != "" and x.isdigit()),
    Rule("expr", {"sql": "cast(x as int) > 0"}, lambda x: None if x is None else int(x) > 0 if is_int(x) else 1 / 0),
    Rule("expr", {"sql": "10 div length(x) > 2"}, lambda x: None if x is None else 10 // len(x) > 2),
]
WHERES = {
    None: lambda _: True,
    "x <> '7'": lambda x: x is not None and x != "7",
    "cast(x as int) < 5": lambda x: x is not None and (int(x) < 5 if is_int(x) else 1 / 0),
}


def fails(rule: Rule, where: str | None, value: str | None) -> bool:
    try:
        return WHERES[where](value) and rule.reference(value) is False
    except ZeroDivisionError:
        return True


@given(
    st.lists(
        st.tuples(st.sampled_from(RULES), st.sampled_from(list(WHERES)), st.sampled_from(list(FATES))),
        min_size=1,
        max_size=7,
    )
)
@settings(max_examples=8, deadline=None)
def test_fates_and_reasons_agree_with_plain_python(session, chosen):
    checks = [
        check(rule.rule, name=f"r{index}", on_fail=on_fail, where=where, **rule.options)
        for index, (rule, where, on_fail) in enumerate(chosen)
    ]
    found = judged(frame(session, "string", POOL), checks).orderBy("i").collect()
    for row, value in zip(found, POOL, strict=True):
        failed = [index for index, (rule, where, _) in enumerate(chosen) if fails(rule, where, value)]
        assert [reason["rule"] for reason in row[REASONS]] == [f"r{index}" for index in failed], value
        assert row[FATE] == max([FATES[chosen[index][2]] for index in failed], default=VALID), value


# --- in a job

JOB = """\
layer: silver
source:
  rows: {schema: "id int, x string, d date", rows: [[1, a, 2026-01-01], [2, null, null]]}
rules:
  - RULE
sink:
  append: {table: silver.x}
"""


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("matches: {column: x, pattern: '['}", "rule 'matches': '[' is no regular expression: Unclosed character class near index 0"),
        ("not_null: {column: y}", "rule 'not_null': [UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `y` cannot be resolved"),
        ("expr: {sql: 'x +'}", "rule 'expr': [PARSE_SYNTAX_ERROR]"),
        ("expr: {sql: 'nofunction(x) > 1'}", "rule 'expr': [UNRESOLVED_ROUTINE] Cannot resolve routine `nofunction`"),
        ("expr: {sql: id}", "rule 'expr': [DATATYPE_MISMATCH"),
        ("in_range: {column: d, min: 1}", "rule 'in_range': [DATATYPE_MISMATCH"),
        ("length: {column: x, where: 'nope > 1'}", "rule 'length': [UNRESOLVED_COLUMN"),
        ("not_in_future: {column: id}", "rule 'not_in_future': [DATATYPE_MISMATCH"),
        ("not_in_future: {column: d, tolerance: soon}", "rule 'not_in_future': 'tolerance' must be like "),
        ("json_has: {column: x, path: a.b}", "rule 'json_has': 'a.b' is no path; it is like $.address.city"),
        ("columns_ordered: {columns: [id]}", "rule 'columns_ordered': 'columns' must"),
        ("columns_equal: {columns: [id, y]}", "rule 'columns_equal': [UNRESOLVED_COLUMN"),
        ("sum_of_columns: {columns: [id], other: d}", "rule 'sum_of_columns': [DATATYPE_MISMATCH"),
        ("accepted_values: {column: x, values: []}", "rule 'accepted_values': 'values' must not be empty"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_asked_is_a_config_error_at_its_line(project, rule, message):
    project.job("x", JOB.replace("RULE", rule))
    with pytest.raises(ConfigError) as refused:
        project.run("x")
    assert str(refused.value).startswith(f"{project.root}/conf/x.yml:5: {message}")
    assert not (project.lake / "silver").exists()


def test_an_invalid_pattern_of_a_contract_is_named_there(project):
    project.write("conf/contracts/c.yml", "name: c\nfields:\n  - {name: id, type: int}\n  - {name: x, pattern: '*'}\n")
    project.job("x", JOB.replace("rules:\n  - RULE\n", "contract: c\n"))
    with pytest.raises(ConfigError, match=r"conf/contracts/c\.yml:4: rule 'matches': '\*' is no regular expression"):
        project.run("x")


def test_a_rules_own_name_and_its_options_are_in_the_reason(project):
    project.job(
        "x",
        JOB.replace("RULE", "length: {column: x, min: 2, name: long enough}\n  - not_null: {column: d, on_fail: drop}"),
    )
    record = project.run("x")
    assert (record.rows_valid, record.rows_quarantined, record.rows_dropped) == (0, 1, 1)
    (row,) = project.rows("silver.x__quarantine")
    assert row["reasons"] == [{"rule": "long enough", "column": "x", "message": "length does not hold (min: 2)"}]


def test_a_reason_tells_all_the_columns_of_its_rule(project):
    project.job("x", JOB.replace("RULE", "columns_equal: {columns: [id, x], where: id = 2 or x is not null}"))
    assert project.run("x").rows_quarantined == 1
    (row,) = project.rows("silver.x__quarantine")
    reason = {"rule": "columns_equal(id, x)", "column": "id, x", "message": "columns_equal does not hold"}
    assert row["reasons"] == [reason]
