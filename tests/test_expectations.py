"""Great Expectations, spoken both ways: the same verdicts, suites as gates, results kept, Data Docs."""

from __future__ import annotations

import json
import random
import string
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from conftest import Project, balanced
from lakehouse import ConfigError, DataError, expectations, rule_results
from lakehouse.cli import command
from lakehouse.config.suite import Suite, load_suite
from lakehouse.planning.planner import plan_job
from lakehouse.suites.exporting import exported
from lakehouse.suites.importing import imported
from lakehouse.tables import Layout

SCHEMA = (
    "i int, l bigint, d double, dec decimal(10,2), s string, n string, day date, at timestamp, a int, b int, c int, "
    "flag boolean, x double, y double"
)
# Every rule that a suite can hold, over columns with NULLs, NaN, empty texts, decimals and dates.
OWN = r"""
- not_null: {column: i}
- not_null: {column: d, where: "i > 3"}
- not_null: {column: s, where: "s <> ''"}
- accepted_values: {column: s, values: [a, '', 'Ab1 ']}
- accepted_values: {column: i, values: [1, 2, 3]}
- accepted_values: {column: d, values: [0, 1.5]}
- accepted_values: {column: n, values: [1, 2]}
- accepted_values: {column: s, values: [a, 1, true]}
- accepted_values: {column: flag, values: [true]}
- in_range: {column: i, min: 2, max: 7}
- in_range: {column: i, min: 2}
- in_range: {column: l, max: 5}
- in_range: {column: d, min: 0, max: 5.5}
- in_range: {column: d, min: 0}
- in_range: {column: d, max: 3}
- in_range: {column: dec, min: 0.1, max: 20}
- in_range: {column: dec, min: 1}
- in_range: {column: day, min: '2024-01-10', max: '2024-02-01'}
- in_range: {column: at, min: '2024-01-10'}
- in_range: {column: at, max: '2024-01-10 12:30:00'}
- in_range: {column: s, min: b}
- in_range: {column: n, min: 2, max: 5}
- in_range: {column: l, max: 9007199254740993}
- matches: {column: s, pattern: '^[a-z]+$'}
- matches: {column: s, pattern: 'b'}
- matches: {column: s, pattern: "it's|\\\\"}
- length: {column: s, min: 1, max: 3}
- length: {column: s}
- expr: {sql: "a <= b OR c > 3"}
- expr: {sql: "s RLIKE '^[a-z]{2,}$' -- a brace, and a comment"}
- expr: {sql: "d >= 0", where: "a IS NOT NULL"}
- email: {column: s}
- uuid: {column: s}
- digits: {column: s, max: 2}
- url: {column: s, schemes: [http, "s3+x"]}
- phone: {column: s}
- phone: {column: s, international: false, separators: false}
- iso_date: {column: s}
- iso_date: {column: day}
- starts_with: {column: s, prefix: [a, '.', 'it''s']}
- not_blank: {column: s}
- no_outer_blanks: {column: s}
- columns_equal: {columns: [a, b]}
- columns_equal: {columns: [a, b, c]}
- columns_equal: {columns: [x, y]}
- columns_equal: {columns: [x, y], tolerance: 0.5}
- columns_ordered: {columns: [a, b]}
- columns_ordered: {columns: [x, y], strict: true}
- columns_ordered: {columns: [a, b, c]}
- sum_of_columns: {columns: [a, b], other: c, tolerance: 1}
- one_of_columns_set: {columns: [a, b], exactly_one: true}
- unique: {columns: [i, s]}
- unique: {columns: l, where: "a > 2"}
- unique: {columns: d}
- row_count: {min: 10, max: 20}
- row_count: {max: 1000}
- distinct_count: {column: s, max: 3}
- distinct_count: {column: d, min: 3}
- completeness: {column: i, min: 0.99}
- completeness: {column: i, min: 0.5}
- aggregate: {sql: max(i), max: 5}
- aggregate: {sql: min(dec), min: -100}
- aggregate: {sql: sum(a), min: 0}
- aggregate: {sql: mean(d), max: 3}
- aggregate: {sql: stddev(i), max: 1}
- aggregate: {sql: median(dec), min: 100}
- aggregate: {sql: median(i), max: 100}
"""


def expectation(name: str, **kwargs) -> dict:
    return {"type": name if name.startswith("unexpected") else f"expect_{name}", "kwargs": kwargs}


# What a suite of somebody else may hold, and rules can say.
FOREIGN = [
    expectation("column_values_to_be_null", column="i"),
    expectation("column_values_to_not_be_in_set", column="s", value_set=["a", "it's"]),
    expectation("column_values_to_not_be_in_set", column="dec", value_set=[1.5, 2]),
    expectation("column_values_to_be_between", column="d", min_value=0),
    expectation("column_values_to_be_between", column="d", max_value=3),
    expectation("column_values_to_be_between", column="d", min_value=0, strict_min=True),
    expectation("column_values_to_be_between", column="dec", min_value=1.5, max_value=20, strict_max=True),
    expectation("column_values_to_be_between", column="day", min_value="2024-01-10"),
    expectation("column_values_to_be_between", column="i", min_value=2, mostly=0.5),
    expectation("column_values_to_be_between", column="d", min_value=0, mostly=0.99),
    expectation("column_values_to_be_in_set", column="s", value_set=["a", ""], mostly=0.01),
    expectation("column_values_to_not_be_null", column="s", mostly=0.95),
    expectation("column_values_to_match_regex", column="s", regex="^a", mostly=0.9),
    expectation("column_values_to_not_match_regex", column="s", regex=r"\s$"),
    expectation("column_values_to_match_regex_list", column="s", regex_list=["^a", "b$"]),
    expectation("column_values_to_match_regex_list", column="s", regex_list=["a", "b"], match_on="all"),
    expectation("column_values_to_not_match_regex_list", column="s", regex_list=["^a", r"\\"]),
    expectation("column_value_lengths_to_equal", column="s", value=1),
    expectation("column_value_lengths_to_be_between", column="s", max_value=2),
    expectation("column_values_to_be_unique", column="i"),
    expectation("compound_columns_to_be_unique", column_list=["a", "b"], ignore_row_if="any_value_is_missing"),
    expectation("column_pair_values_to_be_equal", column_A="a", column_B="b", ignore_row_if="either_value_is_missing"),
    expectation("column_pair_values_a_to_be_greater_than_b", column_A="x", column_B="y",
                ignore_row_if="either_value_is_missing"),
    expectation("multicolumn_values_to_be_equal", column_list=["x", "y"], ignore_row_if="any_value_is_missing"),
    expectation("table_row_count_to_equal", value=11),
    expectation("column_proportion_of_non_null_values_to_be_between", column="i", min_value=0.1),
    expectation("column_proportion_of_non_null_values_to_be_between", column="i", min_value=0.1, max_value=0.5),
    expectation("column_max_to_be_between", column="l", min_value=1, max_value=5),
    expectation("unexpected_rows", unexpected_rows_query="select *\nfrom {batch} where a > b and c = 1"),
    expectation("column_values_to_not_be_null", column="s", row_condition='col("i") >= 4',
                condition_parser="great_expectations"),
    expectation("column_values_to_not_be_null", column="d", row_condition='col("s").notnull()',
                condition_parser="great_expectations"),
    expectation("column_values_to_be_in_set", column="i", value_set=[1, 2], row_condition={
        "type": "or", "conditions": [
            {"type": "comparison", "column": {"name": "s"}, "operator": "IN", "parameter": ["a", "b"]},
            {"type": "and", "conditions": [
                {"type": "nullity", "column": {"name": "a"}, "is_null": False},
                {"type": "comparison", "column": {"name": "b"}, "operator": ">", "parameter": 2}]}]}),
]  # fmt: skip
FOREIGN[28]["type"] = "unexpected_rows_expectation"
WHOLE_BATCH = {"row_count", "distinct_count", "completeness", "aggregate"}


def random_rows(count: int, seed: int) -> pa.Table:
    """Rows whose every column has NULLs, repeated values and the values at which engines differ."""
    draw = random.Random(seed)
    texts = [
        "",
        " ",
        "a",
        "b",
        "ab",
        "Ab1 ",
        "12",
        "007",
        "it's",
        "\\",
        ".x",
        "NaN",
        "line\n",
        "a\n",
        "e@x.org",
        "http://x.org/a b",
        "s3+x://b",
        "+49 (151) 1234-5678",
        "015112345678",
        "2024-02-30",
        "2024-02-29",
        "123e4567-e89b-12d3-a456-426614174000",
        "\u00a0a",
        "".join(draw.choices(string.ascii_lowercase, k=5)),
    ]
    floats = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1.5, 5.5, -1.0, 3.0, 3.4]
    start = datetime(2024, 1, 1, tzinfo=UTC)
    makers = {
        "i": lambda: draw.randint(0, 9), "l": lambda: draw.choice([1, 5, 2**53, 2**53 + 1, -7, *range(50)]),
        "d": lambda: draw.choice(floats), "dec": lambda: Decimal(draw.randint(-100, 3000)).scaleb(-2),
        "s": lambda: draw.choice(texts), "n": lambda: draw.choice(["1", "01", "2", "3", "7"]),
        "day": lambda: date(2024, 1, 1) + timedelta(days=draw.randint(0, 50)),
        "at": lambda: start + timedelta(hours=draw.randint(0, 600), minutes=draw.choice([0, 30])),
        **{name: lambda: draw.randint(0, 4) for name in "abc"}, "flag": lambda: draw.random() < 0.5,
        "x": lambda: draw.choice(floats), "y": lambda: draw.choice(floats),
    }  # fmt: skip
    types = {"i": pa.int32(), "l": pa.int64(), "d": pa.float64(), "dec": pa.decimal128(10, 2), "s": pa.string(),
             "n": pa.string(), "day": pa.date32(), "at": pa.timestamp("us", tz="UTC"), "a": pa.int32(),
             "b": pa.int32(), "c": pa.int32(), "flag": pa.bool_(), "x": pa.float64(), "y": pa.float64()}  # fmt: skip
    return pa.table({
        name: pa.array([None if draw.random() < 0.15 else maker() for _ in range(count)], types[name])
        for name, maker in makers.items()
    })  # fmt: skip


def named(rules: list[dict], prefix: str) -> list[dict]:
    return [
        {name: {**options, "name": f"{prefix}{number}", "on_fail": "warn"}}
        for number, rule in enumerate(rules)
        for name, options in rule.items()
    ]


def parity_job(project, rules: list[dict]):
    said = {
        "layer": "silver",
        "source": {"files": {"path": "rows", "format": "parquet"}},
        "schema": SCHEMA,
        "rules": rules,
        "sink": {"append": {"table": "silver.parity"}},
    }
    return project.job("parity", yaml.safe_dump(said, sort_keys=False))


def test_rules_and_expectations_find_the_same_rows(project, spark):
    project.write("rows/.keep", "")
    pq.write_table(random_rows(250, seed=11), project.root / "rows" / "one.parquet")
    project.write("foreign.json", json.dumps({"name": "foreign", "expectations": FOREIGN}))
    theirs = imported(load_suite(project.root / "foreign.json"))
    assert not theirs.left_out
    own, foreign = named(yaml.safe_load(OWN), "own"), named(list(theirs.rules), "foreign")
    plan = plan_job(parity_job(project, own), lake=str(project.lake))
    suite = exported(plan)
    assert not suite.left_out
    parity_job(project, own + foreign)
    project.run("parity")
    ours = {row["rule"]: row for row in rule_results.read(Layout(str(project.lake)))}
    asked = [{**item.as_json()} for item in suite.suite.expectations]
    asked += [{**item, "description": f"foreign{number}"} for number, item in enumerate(FOREIGN)]
    project.write("both.json", json.dumps({"name": "both", "expectations": asked}))
    both = load_suite(project.root / "both.json")
    rows = spark.read.schema(SCHEMA).parquet(str(project.root / "rows" / "one.parquet")).coalesce(1).localCheckpoint()
    assert expectations.suite_problems(both, rows.columns) == []
    results = expectations.judge(rows, both, samples=0).results["results"]
    judged = {item["expectation_config"]["description"]: item for item in results}
    words = {options["name"]: name for rule in own + foreign for name, options in rule.items()}
    assert set(judged) == set(words)
    found = {name: (words[name], *compared(words[name], judged[name], ours[name])) for name in words}
    assert {name: pair for name, pair in found.items() if pair[1] != pair[2]} == {}
    broken = [name for name, (word, said, _) in found.items() if (said is False if word in WHOLE_BATCH else said)]
    assert len(broken) > 70  # nearly every rule has met rows that break it
    table = random_rows(250, seed=11).to_pylist()
    for options in (rule["unique"] for rule in own if "unique" in rule):
        asked = [row for row in table if "where" not in options or (row["a"] is not None and row["a"] > 2)]
        copies, extras = copies_and_extras(asked, options["columns"])
        assert judged[options["name"]]["result"]["unexpected_count"] == copies > 0
        assert ours[options["name"]]["failed"] == extras


def compared(word: str, theirs: dict, ours: dict) -> tuple[object, object]:
    """What the two say of one rule: the broken rows; of a rule on the whole batch whether it holds."""
    if word in WHOLE_BATCH:
        return theirs["success"], ours["failed"] == 0
    result = theirs["result"]
    assert result, theirs["exception_info"]
    count = result.get("unexpected_count", result.get("observed_value"))
    if word == "unique":  # they count every copy, we those that are too many: both figures are looked at below
        return bool(count), bool(ours["failed"])
    return count, ours["failed"]


def copies_and_extras(rows: list[dict], columns: list[str] | str) -> tuple[int, int]:
    """How many rows are not alone with their values, and how many there are beside the first of each."""
    names = [columns] if isinstance(columns, str) else columns
    keys = Counter(
        tuple(repr(row[name] + 0.0) if isinstance(row[name], float) else row[name] for name in names)
        for row in rows
        if all(row[name] is not None for name in names)
    )
    several = [count for count in keys.values() if count > 1]
    return sum(several), sum(several) - len(several)


# --- suites out of jobs, rules out of suites


def job_of(rules: str, schema: str = "id bigint, amount double, at timestamp, name string") -> str:
    return (
        f"layer: silver\nsource:\n  rows: {{schema: '{schema}', rows: []}}\nschema: {schema}\n"
        f"rules:\n{textwrap.indent(textwrap.dedent(rules).strip(), '  ')}\nsink:\n  append: {{table: silver.t}}\n"
    )


def planned(project, rules: str, **options):
    return plan_job(project.job("t", job_of(rules, **options)), lake=str(project.lake))


def test_an_exported_suite_comes_back_as_the_rules_it_was_made_of(tmp_path):
    rules = """
    - not_null: {column: id, on_fail: fail}
    - in_range: {column: amount, min: 0, name: not_negative, dimension: accuracy}
    - email: {column: name, on_fail: warn, where: id > 1}
    - unique: {columns: [id], order_by: [at]}
    - expr: {sql: "amount > 0 OR name = '{x}'", on_fail: drop}
    - row_count: {min: 1}
    """
    project = Project(tmp_path)
    suite = exported(planned(project, rules)).suite
    assert list(imported(suite).rules) == yaml.safe_load(rules)
    assert [item.severity for item in suite.expectations] == ["critical", "critical", "warning", *["critical"] * 3]


def test_what_was_changed_in_a_suite_counts_and_not_what_it_was_made_of(tmp_path):
    project = Project(tmp_path)
    suite = exported(planned(project, "- matches: {column: name, pattern: a, on_fail: fail}\n- digits: {column: name}"))
    first, second = suite.suite.expectations
    graver = replace(second, severity="info")
    edited = replace(first, kwargs={**first.kwargs, "regex": "b"})
    assert imported(Suite("x", "x.json", (edited, graver))).rules == (
        {"matches": {"column": "name", "pattern": "b"}},
        {"digits": {"column": "name", "on_fail": "warn"}},
    )


def test_rules_that_great_expectations_cannot_say_are_named_with_their_lines(project, capsys, monkeypatch):
    monkeypatch.chdir(project.root)
    project.job("t", job_of("""
    - not_null: {column: id}
    - not_in_future: {column: at}
    - expr: {sql: "at < now()"}
    - aggregate: {sql: "sum(amount) / count(*)", min: 1}
    - valid_json: {column: name}
    - foreign_key: {column: id, table: silver.others}
    - aggregate: {sql: median(amount), min: 1}
    - distinct_count: {columns: [id, name], min: 1}
    """))  # fmt: skip
    assert command(["expectations", "export", "t", "--to", "out/suite.json"]) == 0
    out, err = capsys.readouterr()
    assert out == "out/suite.json: 1 expectations of t, 7 rules left out\n"
    lines = err.splitlines()
    assert [line.split(":")[1] for line in lines] == ["7", "8", "9", "10", "11", "12", "13"]
    assert lines[0] == (
        "conf/t.yml:7: rule 'not_in_future': left out: it asks for the run's start, and a suite is judged at any time"
    )
    assert load_suite(project.root / "out/suite.json").expectations[0].said == "expect_column_values_to_not_be_null(id)"


def test_a_number_among_values_needs_a_type_that_is_said(tmp_path):
    project = Project(tmp_path)
    file = project.job("t", job_of("- accepted_values: {column: id, values: [1]}").replace("\nschema: ", "\n# "))
    assert "depends on the column's type" in str(exported(plan_job(file, lake="/nowhere")).left_out[0])
    suite = exported(planned(project, "- accepted_values: {column: name, values: [1]}", schema="name varchar(9)")).suite
    assert suite.expectations[0].kwargs["value_set"] == ["1"]  # in a text column texts are compared


def test_expectations_that_no_rule_can_say_are_named_with_their_lines(tmp_path):
    items = [
        expectation("column_to_exist", column="id"),
        expectation("column_values_to_match_like_pattern", column="id", like_pattern="a%"),
        expectation("column_values_to_be_unique", column="id", mostly=0.9),
        expectation("column_values_to_be_between", column="id", min_value={"$PARAMETER": "low"}),
        expectation("column_values_to_not_be_null", column="id", row_condition="id > 1", condition_parser="pandas"),
        expectation("column_values_to_not_be_null", column="id", row_condition='col("id") == "5"',
                    condition_parser="great_expectations"),
        expectation("column_values_to_not_be_null"),
        expectation("column_pair_values_to_be_equal", column_A="a", column_B="b"),
        {"type": "unexpected_rows_expectation",
         "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE a > 1 GROUP BY b"}},
        {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "SELECT a FROM {batch} WHERE a > 1"}},
    ]  # fmt: skip
    text = '{"name": "x",\n "expectations": [\n' + ",\n".join(map(json.dumps, items)) + "\n]}"
    (tmp_path / "x.json").write_text(text)
    done = imported(load_suite(tmp_path / "x.json"))
    assert not done.rules
    assert [problem.line for problem in done.left_out] == list(range(3, 3 + len(items)))


def test_an_imported_suite_joins_the_rules_of_a_job(project, capsys, monkeypatch):
    monkeypatch.chdir(project.root)
    file = project.job("t", job_of("- not_null: {column: id}  # the key\n- expr:\n    sql: amount > 0"))
    items = [expectation("column_values_to_not_be_null", column="id"), expectation("column_to_exist", column="id"),
             expectation("column_values_to_be_between", column="amount", min_value=0, max_value=9)]  # fmt: skip
    project.write("x.json", json.dumps({"expectation_suite_name": "x", "expectations": [
        {"expectation_type": item["type"], "kwargs": item["kwargs"]} for item in items]}))  # fmt: skip
    before = file.read_text()
    assert command(["expectations", "import", "x.json", "--job", "t"]) == 0
    assert capsys.readouterr().out.endswith("1 rules added, 1 there already, 1 expectations left out\n")
    added = "  - in_range: {column: amount, min: 0, max: 9}\n"
    assert file.read_text() == before.replace("sink:", added + "sink:")
    assert command(["expectations", "import", "x.json"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["rules"][0] == {"not_null": {"column": "id"}}
    file.write_text(before.replace("rules:", "rules: [] #"))
    assert command(["expectations", "import", "x.json", "--job", "t"]) == 2


def test_export_and_import_start_neither_spark_nor_great_expectations(tmp_path):
    project = Project(tmp_path)
    file = project.job("t", job_of("- not_null: {column: id}"))
    code = (
        "import sys\nfrom lakehouse.cli import command\n"
        f"assert command(['expectations', 'export', {str(file)!r}, '--to', {str(tmp_path / 'x.json')!r}]) == 0\n"
        f"assert command(['expectations', 'import', {str(tmp_path / 'x.json')!r}]) == 0\n"
        "from pyspark import SparkContext\n"
        "assert SparkContext._gateway is None and 'great_expectations' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# --- a suite before the target

SUITE = {
    "name": "gate",
    "expectations": [
        expectation("column_values_to_be_between", column="amount", min_value=0, max_value=100),
        {"type": "unexpected_rows_expectation", "severity": "warning",
         "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE doubled > 50"}},
        expectation("column_values_to_be_unique", column="email"),
    ],
}  # fmt: skip


def gated(project, *rows: str, more: str = "") -> None:
    """Orders into bronze, and a job that streams them on into silver through a suite."""
    project.write("conf/contracts/orders.yml", textwrap.dedent("""
        name: orders
        fields:
          - {name: id, type: bigint, required: true}
          - {name: amount, type: double}
          - {name: email, type: string, pii: true}
        """))  # fmt: skip
    project.job("b", f"""
        layer: bronze
        source:
          rows: {{schema: "id bigint, amount double, email string", rows: [{", ".join(rows)}]}}
        sink:
          append: {{table: bronze.orders}}
        """)  # fmt: skip
    project.job("s", f"""
        layer: silver
        source:
          delta: {{table: bronze.orders}}
        contract: orders
        transforms:
          - derive: {{columns: {{doubled: amount * 2}}}}
        expectations: {{suite: gate.json{more}}}
        sink:
          append: {{table: silver.orders}}
        """)  # fmt: skip
    project.run("b")


def test_a_suite_that_does_not_hold_fails_the_run_before_the_target(project, capfd, monkeypatch):
    monkeypatch.chdir(project.root)
    project.write("gate.json", json.dumps(SUITE))
    gated(project, "[1, 5.0, a@x.org]", "[2, 30.0, b@x.org]", "[null, 1.0, c@x.org]")
    record = project.run("s")
    assert (record.rows_valid, record.rows_quarantined, balanced(record)) == (2, 1, True)
    assert record.notes[0] == "expectations: 2 of 3 of gate hold"
    assert record.notes[1] == "expectations: unexpected_rows_expectation() does not hold"
    project.run("b")  # each email is there twice now, and the next batch holds a wrong amount too
    gated(project, "[3, 5.0, d@x.org]", "[4, 999.0, d@x.org]")
    with pytest.raises(DataError) as refused:
        project.run("s")
    assert refused.value.exit_code == 3
    assert "2 of 3 expectations of gate.json do not hold: " in str(refused.value)
    assert "expect_column_values_to_be_between(amount) (1 of 4 rows)" in str(refused.value)
    assert [row["id"] for row in project.rows("silver.orders")] == [1, 2]
    gated(project, more=", on_fail: warn")
    record = project.run("s")
    assert len(project.rows("silver.orders")) == 6
    assert "expectations: expect_column_values_to_be_between(amount) (1 of 4 rows) does not hold" in record.notes
    kept = sorted((project.lake / "_expectations" / "s").iterdir())
    assert len(kept) == 4  # one batch was refused and then repeated
    assert "x.org" not in "".join(file.read_text() for file in kept)  # the contract calls the emails personal
    assert "999.0" in "".join(file.read_text() for file in kept)
    capfd.readouterr()
    assert command(["expectations", "docs", "--to", "site"]) == 0
    out, err = capfd.readouterr()
    assert (out, err) == (f"{project.root}/site/index.html: 4 results\n", "")
    pages = list((project.root / "site" / "validations").rglob("*.html"))
    assert len(pages) == 4
    assert "gate" in (project.root / "site" / "index.html").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(None, "conf/s.yml:9: expectations: gate.json: no such file", id="no file"),
        pytest.param('{"name": "x",\n oops', "conf/s.yml:9: expectations: gate.json:2: no JSON: ", id="no JSON"),
        pytest.param('{"name": "x"}', "gate.json:1: no suite of Great Expectations", id="no suite"),
        pytest.param('{"expectations": [\n{"kwargs": {}}]}', "gate.json:2: an expectation is an object", id="no type"),
    ],
)
def test_a_suite_that_cannot_be_read_is_refused_without_spark(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    file = project.job("s", """
        layer: silver
        source:
          delta: {table: bronze.orders}

        expectations:

          # the suite
          suite: gate.json
        sink:
          append: {table: silver.orders}
        """)  # fmt: skip
    if text is not None:
        project.write("gate.json", text)
    with pytest.raises(ConfigError) as refused:
        plan_job(file, lake=str(tmp_path / "lake"))
    assert said in str(refused.value)


def test_a_suite_that_cannot_be_asked_is_refused_at_its_lines(project, monkeypatch):
    monkeypatch.chdir(project.root)
    items = [
        expectation("column_values_to_be_unique", column="amout"),
        expectation("column_values_to_be_between", column="amount"),
        expectation("no_such_thing", column="amount"),
        {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "SELECT * FROM bronze.orders"}},
    ]
    project.write("gate.json", '{"name": "x", "expectations": [\n' + ",\n".join(map(json.dumps, items)) + "]}")
    gated(project, "[1, 5.0, a@x.org]")
    with pytest.raises(ConfigError) as refused:
        project.run("s")
    assert [problem.line for problem in refused.value.problems] == [2, 3, 4, 5]
    assert "no column 'amout'. Did you mean 'amount'?" in str(refused.value)
    assert not (project.lake / "silver").exists()
    monkeypatch.setitem(sys.modules, "great_expectations", None)  # as where it is not installed
    with pytest.raises(ConfigError) as refused:
        project.run("s")
    assert "Great Expectations is not installed: pip install" in str(refused.value)
    assert command(["expectations", "docs"]) == 2
