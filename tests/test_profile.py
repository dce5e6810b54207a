"""The profile of a table: what it measures, what it never shows, and the rules that it suggests."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from lakehouse import run, runs
from lakehouse.cli import command
from lakehouse.commands.profile_reports import profile_text
from lakehouse.profiling.page import page
from lakehouse.profiling.shapes import expression
from lakehouse.profiling.suggestions import suggested_rules
from lakehouse.profiling.table_profile import profile
from lakehouse.tables import Layout

TYPES = (
    "id bigint, code string, state string, amount decimal(10,2), ratio double, day date, at timestamp, local timestamp_ntz, "
    "ok boolean, raw binary, place struct<city: string, geo: struct<lat: double>>, labels array<string>, "
    "counts map<string,int>, `odd name` int, `a.b` int, nothing string"
)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def row(number):
    nan = float("nan") if number == 3 else number / 4
    return (
        number, f"AB-{1000 + number}", "open" if number % 3 else "done", Decimal(number) / 4, nan, date(2026, 1, 1 + number),
        datetime(2026, 1, 1, 10, number), datetime(2026, 1, 1, 10, number), number % 2 == 0, b"x" * number,
        None if number == 2 else ("Rome" if number % 2 else "Oslo", (1.5,)), ["a"] * number if number else None, {"k": 1}, number,
        number, None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def layout(spark, tmp_path_factory):
    """A lake with one table of every type, and an empty one of the same."""
    found = Layout(str(tmp_path_factory.mktemp("profile")))
    frame = spark.createDataFrame([row(number) for number in range(10)], TYPES)
    options = {
        "delta.columnMapping.mode": "name",
        "delta.enableDeletionVectors": "true",
    }
    for name, rows in (("every", frame), ("empty", frame.limit(0))):
        rows.write.format("delta").options(**options).save(found.table(f"silver.{name}"))
    return found


@pytest.fixture(scope="module")
def columns(layout):
    return {column.name: column for column in profile(layout, "silver.every").columns}


def test_numbers_have_their_bounds_mean_deviation_and_quantiles(columns):
    amount = columns["amount"]
    assert (amount.min, amount.max, amount.mean) == (Decimal("0.00"), Decimal("2.25"), 1.125)
    assert amount.stddev == pytest.approx(0.7569, abs=1e-4)
    assert amount.quantiles["50%"] == pytest.approx(1.125, abs=0.15)
    assert (columns["id"].distinct, columns["id"].counted) == (10, True)


def test_nan_is_counted_and_in_no_other_figure(columns):
    ratio = columns["ratio"]
    assert (ratio.nans, ratio.nulls, ratio.max, ratio.distinct) == (1, 0, 2.25, 9)
    assert ratio.mean == pytest.approx((sum(range(10)) - 3) / 4 / 9)
    assert all(math.isfinite(value) for value in ratio.quantiles.values())


def test_text_has_lengths_frequent_values_and_shapes(columns):
    code, state = columns["code"], columns["state"]
    assert (code.shortest, code.longest, code.mean_length) == (7, 7, 7.0)
    assert [(item.value, item.rows) for item in code.shapes] == [("AA-9999", 10)]
    assert code.pattern == r"^[A-Z]{2}\-[0-9]{4}$"
    assert [(item.value, item.rows) for item in state.top] == [("open", 6), ("done", 4)]
    assert state.all_values


def test_times_have_bounds_and_flags_their_shares(columns):
    assert columns["day"].max == date(2026, 1, 10)
    assert columns["at"].min == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert columns["local"].max == datetime(2026, 1, 1, 10, 9)
    assert {(item.value, item.rows) for item in columns["ok"].top} == {("true", 5), ("false", 5)}


def test_structs_are_taken_apart_and_lists_maps_and_bytes_have_lengths(columns):
    assert (columns["place.city"].nulls, columns["place.geo.lat"].nulls) == (1, 1)
    assert columns["place.city"].distinct == 2
    labels, raw = columns["labels"], columns["raw"]
    assert (labels.nulls, labels.shortest, labels.longest) == (1, 1, 9)
    assert (raw.type, raw.shortest, raw.longest, raw.min, raw.top) == ("binary", 0, 9, None, ())
    assert (columns["counts"].longest, columns["counts"].type) == (1, "map<string,int>")
    assert (columns["odd name"].max, columns["a.b"].max, columns["nothing"].nulls) == (9, 9, 10)
    assert (columns["nothing"].distinct, columns["nothing"].counted) == (0, True)


def test_an_empty_table_has_figures_of_nothing(layout):
    found = profile(layout, "silver.empty")
    assert (found.rows, len(found.columns)) == (0, 17)
    assert all(column.min is None and not column.top for column in found.columns)
    assert "0 rows" in profile_text(found)
    assert "0 rows" in page(found)
    assert suggested_rules(found, NOW).endswith("rules: []\n")


def test_there_are_two_queries_whatever_the_number_of_columns(spark, layout, monkeypatch):
    names = [f"c{number}" for number in range(150)]
    frame = spark.range(3).selectExpr(*[f"concat('v', id) as {name}" for name in names])
    frame.write.format("delta").save(layout.table("silver.wide"))
    asked = []
    monkeypatch.setattr(runs, "rows_of", lambda opened, sql, real=runs.rows_of: asked.append(sql) or real(opened, sql))
    found = profile(layout, "silver.wide")
    assert (len(found.columns), len(asked)) == (150, 2)
    assert {column.distinct for column in found.columns} == {3}


def test_a_version_is_measured_as_it_was(spark, layout):
    for number in (1, 2):
        spark.range(number).write.format("delta").mode("append").save(layout.table("silver.versions"))
    assert [profile(layout, "silver.versions", version=number).rows for number in (0, 1)] == [1, 3]


def test_the_terminals_table_fits_its_window(layout):
    found = profile(layout, "silver.every")
    for width in (60, 80, 120, 200):
        lines = profile_text(found, width).splitlines()
        assert max(map(len, lines[1:])) <= width, width
        assert len(lines) == 20
    assert "Rome 50%" in profile_text(found, 250)


class Tags(HTMLParser):
    """What is open at the end, what was ever opened, and every text."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_stands_alone_and_escapes_what_a_table_holds(spark, layout):
    evil = "<script>alert('1')</script>&\"'"
    spark.createDataFrame([(evil,), (evil,)], f"`{evil.replace('`', '')}` string").write.format("delta").option(
        "delta.columnMapping.mode", "name"
    ).save(layout.table("silver.evil"))
    text = page(profile(layout, "silver.evil"))
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert not {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe"}
    assert not [
        name for _, attributes in tags.seen for name in attributes if name.startswith("on") or name in ("src", "href")
    ]
    assert "http" not in text
    assert "url(" not in text
    assert tags.texts.count(evil) == 4, "the column's name, its bounds and its only value"
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


# --- suggested rules


def test_suggested_rules_load_and_hold_for_the_table_itself(layout, tmp_path):
    rules = suggested_rules(profile(layout, "silver.every"), NOW)
    assert "# id looks unique" in rules
    job = tmp_path / "conf" / "checked.yml"
    job.parent.mkdir()
    source = f"layer: silver\nsource:\n  delta: {{path: {layout.table('silver.every')}}}\nread: full\n"
    job.write_text(
        f"{source}{rules}sink:\n  overwrite: {{table: silver.checked, table_properties: {{delta.columnMapping.mode: name}}}}\n"
    )
    record = run(job, lake=str(tmp_path / "lake"))
    assert (record.rows_read, record.rows_valid, record.rows_warned) == (10, 10, 0)
    for part in ("not_null: {column: id}", r"matches: {column: code, pattern: '^[A-Z]{2}\-[0-9]{4}$'}", "not_in_future: {column: at}",
                 "in_range: {column: amount, min: 0.0, max: 2.25}", "column: state\n    values: [open, done]",
                 "not_null: {column: '`a.b`'}"):  # fmt: skip
        assert part in rules, part
    assert "in_range: {column: ratio" not in rules, "NaN is in no range"


@pytest.mark.parametrize(
    ("shapes", "pattern"),
    [
        (["AA-9999"], r"^[A-Z]{2}\-[0-9]{4}$"),
        (["aaa@aa.aa", "a@aaaa.aaa"], r"^[a-z]{1,3}@[a-z]{2,4}\.[a-z]{2,3}$"),
        (["AA", "99"], None),
        (["Aé"], None),
        ([""], None),
        (["a" * 40], None),
        ([], None),
    ],
)
def test_one_structure_gives_one_pattern(shapes, pattern):
    assert expression(shapes) == pattern
    if pattern:
        texts = [shape.replace("A", "Q").replace("a", "q").replace("9", "7") for shape in shapes]
        assert all(re.fullmatch(pattern[1:-1], text) for text in texts)


# --- the command


CONTRACT = """name: people
fields:
  - {name: id, type: int}
  - {name: mail, type: string, pii: true}
  - {name: age, type: int, pii: true, min: 1}
"""
PEOPLE = """layer: silver
source:
  rows: {schema: "id int, mail string, age int", rows: [[1, ann.canary@example.org, 4711], [2, bob.canary@example.org, -4712]]}
contract: people
transforms:
  - rename: {columns: {mail: address}}
sink:
  append: {table: silver.people}
"""


@pytest.fixture
def people(project, monkeypatch):
    monkeypatch.chdir(project.root)
    project.write("conf/contracts/people.yml", CONTRACT)
    project.job("people", PEOPLE)
    project.run("people")
    return project


def said(capsys, *arguments, code=0):
    capsys.readouterr()
    assert command(["profile", *arguments]) == code
    return capsys.readouterr()


def test_personal_values_are_shown_nowhere(people, capsys):
    for table in ("silver.people", "silver.people__quarantine"):
        for more in ((), ("--json",), ("--suggest",), ("--html", "page.html")):
            found = said(capsys, table, *more)
            shown = found.out + found.err + ((people.root / "page.html").read_text() if "--html" in more else "")
            assert "canary" not in shown
            assert "471" not in shown
    found = json.loads(said(capsys, "silver.people", "--json").out)
    address = next(column for column in found["columns"] if column["name"] == "address")
    assert (address["personal"], address["min"], address["shapes"][0]["value"]) == (
        True,
        "***",
        "aaa.aaaaaa@aaaaaaa.aaa",
    )


def test_a_table_that_only_spark_reads_is_measured_from_a_copy_that_goes(people, capsys, spark):
    table = people.lake / "silver/people"
    spark.sql(f"ALTER TABLE delta.`{table}` SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    found = json.loads(said(capsys, "silver.people", "--json").out)
    assert (found["table"], found["rows"], found["version"]) == ("silver.people", 1, people.version("silver.people"))
    assert not list((people.lake / "_profile").glob("*"))


def test_a_job_that_does_not_plan_and_may_be_the_writer_stops_the_profile(people, capsys):
    people.job("people", PEOPLE.replace("rename", "rname"))
    assert "there is no transform 'rname'" in said(capsys, "silver.people", code=2).err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("silver.nobody",), 3, "there is no table silver.nobody"),
        (("people",), 2, "is no table's name"),
        (
            ("silver.people", "--html", "no/such/page.html"),
            2,
            "--html no/such/page.html cannot be written: No such file",
        ),
        (("silver.people", "--version", "7"), 2, "silver.people has no version 7; its newest is "),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(people, capsys, arguments, code, message):
    err = said(capsys, *arguments, code=code).err
    assert message in err
    assert len(err.splitlines()) == 1
