"""Tests of jobs as YAML: their words, how they run, what they say, what they record; and the fixtures for users' own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from chispa import assert_df_equality

from lakehouse import ConfigError
from lakehouse.cli import command
from lakehouse.config.job_tests import load_job_tests
from lakehouse.config.yaml_text import parse
from lakehouse.testing import Different
from lakehouse.testing.differences import difference
from lakehouse.testing.recording import with_expectation
from lakehouse.testing.values import is_same, plain
from shop import ROOT

WRONG = """\
jobs: silver_orders
tests:
  - name: one
    givn: {}
  - name: one
    when: {crash_at: later}
    expect:
      rows: {orders: []}
      counts: {rows_red: 1}
  - given: {row: {}}
    when: []
    expect: {quarantine: [{row: {}}]}
"""
SAID = """\
t.yml:1: unknown key 'jobs'. Did you mean 'job'? Known: env, job, tests.
t.yml:4: unknown key 'givn'. Did you mean 'given'? Known: expect, given, name, when.
t.yml:6: 'tests.1.when.crash_at' cannot be 'later'. Known: begin, progress, quarantine, record, write.
"""


def test_a_wrong_file_is_refused_with_all_its_problems(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.yml").write_text(WRONG)
    with pytest.raises(ConfigError) as refused:
        load_job_tests(tmp_path / "t.yml")
    said = str(refused.value)
    assert said.startswith(SAID), said
    assert "t.yml:8: " in said
    assert "layer.table" in said
    assert "t.yml:9: " in said
    assert "Did you mean 'rows_read'?" in said
    assert "t.yml:10: 'tests.2.name' is missing" in said
    assert "t.yml:10: unknown key 'row'. Did you mean 'rows'? Known: events, files, rows." in said
    assert "t.yml:12: 'tests.2.expect.quarantine.0.reasons' is missing" in said


def test_two_tests_of_one_name_and_a_file_of_nothing_are_refused(tmp_path):
    file = tmp_path / "t.yml"
    file.write_text("tests:\n  - name: a\n  - name: a\n    when: []\n")
    with pytest.raises(ConfigError, match=r"t.yml:3: there is a test 'a' already\n.*t.yml:4: 'when' must not be empty"):
        load_job_tests(file)
    file.write_text("")
    with pytest.raises(ConfigError, match="'tests' is missing"):
        load_job_tests(file)


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("2026-01-01 08:00:00", datetime(2026, 1, 1, 8, tzinfo=UTC), True),
        ("2026-01-01T09:00:00+01:00", datetime(2026, 1, 1, 8, tzinfo=UTC), True),
        ("2026-01-01", datetime(2026, 1, 1, 8, tzinfo=UTC), False),
        ("noon", datetime(2026, 1, 1, 8, tzinfo=UTC), False),
        ("2026-01-01", date(2026, 1, 1), True),
        (12.5, Decimal("12.50"), True),
        ("12.50", Decimal("12.50"), True),
        ("twelve", Decimal("12.50"), False),
        ("1", 1, False),
        (1, "1", False),
        (1, True, False),
        (True, True, True),
        (2, 2.0, True),
        (float("nan"), float("nan"), True),
        (None, None, True),
        (None, 0, False),
        ("", None, False),
        ({"city": "Rome"}, {"city": "Rome", "country": "IT"}, True),
        ({"town": "Rome"}, {"city": "Rome"}, False),
        ([1, 2], [1, 2], True),
        ([1], [1, 2], False),
        ({"a": 1}, [("a", 1)], True),
        ("text", b"text", True),
    ],
)
def test_a_value_is_what_yaml_says_of_it(expected, found, same):
    assert is_same(expected, found) is same


def test_a_decimal_that_a_number_would_round_is_recorded_as_text():
    assert [plain(Decimal(text)) for text in ("12.50", "3", "12345678901234567.89")] == [
        12.5,
        3,
        "12345678901234567.89",
    ]
    assert plain([("a", datetime(2026, 1, 1, tzinfo=UTC))]) == {"a": "2026-01-01 00:00:00"}


def test_differences_stand_row_beside_row_and_cell_above_mark():
    expected = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}, {"id": 9}]
    found = [{"id": 2, "name": "Rob", "age": 5}, {"id": 1, "name": "Ada", "age": 4}, {"id": 7, "name": "7", "age": 1}]
    said = difference("silver.people", expected, found)
    assert said == (
        "silver.people: 1 row differs, 1 row missing, 1 row too many\n"
        "          id  name\n"
        "          1   Ada\n"
        "expected  2   Bob\n"
        "found     2   Rob\n"
        "              ^^^\n"
        "missing   9   null\n"
        "too many  7   '7'"
    )
    assert difference("silver.people", [{"id": 1}, {"id": 1}], [{"id": 1}]) == (
        "silver.people: 1 row missing\n         id\n         1\nmissing  1"
    )
    assert "no column 'nmae'. Did you mean 'name'?" in difference("silver.people", [{"nmae": 1}], found)
    assert difference("silver.people", [], []) is None


RECORDED = """\
tests:
  # the first
  - name: a  # of all
    given: {rows: {bronze.t: [{id: 1}]}}
    expect:
      rows:
        silver.t:
          - {id: 5}  # wrong

  # the second
  - given:
      files:
        a.csv: |
          id

          7
    name: b
# the end
"""


def test_recording_changes_one_expectation_and_nothing_else():
    one = with_expectation(RECORDED, 0, {"rows": {"silver.t": [{"id": 1, "name": "on: #1"}], "silver.u": []}}, "t.yml")
    assert one == RECORDED.replace(
        "          - {id: 5}  # wrong\n", "          - {id: 1, name: 'on: #1'}\n        silver.u: []\n"
    )
    both = with_expectation(
        one, 1, {"quarantine": [{"row": {"id": 7}, "reasons": ["r"]}], "counts": {"rows_read": 1}}, "t.yml"
    )
    assert both == one.replace(
        "    name: b\n",
        "    name: b\n    expect:\n      quarantine:\n        - {row: {id: 7}, reasons: [r]}\n      counts: {rows_read: 1}\n",
    )
    text = with_expectation("tests:\n  - name: a", 0, {"error": "no: way"}, "t.yml")
    assert parse(text, "t.yml").value == {"tests": [{"name": "a", "expect": {"error": "no: way"}}]}
    with pytest.raises(ConfigError, match=r"t\.yml:1: the test is no block of lines of its own"):
        with_expectation("tests: [{name: a}]", 0, {"error": "x"}, "t.yml")


JOB = """
layer: silver
source:
  delta: {table: bronze.orders}
schema: "id int, amount decimal(10,2)"
rules:
  - in_range: {column: amount, min: 0}
quality_gate: {max_quarantined_rows: 2}
sink:
  merge: {table: silver.orders, keys: [id], sequence_by: [amount]}
"""
TESTS = """\
tests:
  - name: holds
    given:
      rows: {bronze.orders: [{id: 1, amount: 5}, {id: 2, amount: -1}]}
    expect:
      rows: {silver.orders: [{id: 1, amount: 5.00}]}
      quarantine: [{row: {id: 2}, reasons: [in_range(amount)]}]
      counts: {rows_read: 2}
  - name: fails as it should
    given:
      rows: {bronze.orders: [{id: 1, amount: -1}, {id: 2, amount: -1}, {id: 3, amount: -1}]}
    expect: {error: 3 of 3 rows}
  - name: differs
    given:
      rows: {bronze.orders: [{id: 1, amount: 5}, {id: 2, amount: -1}]}
    expect:
      rows:
        silver.orders:
          - {id: 1, amount: 6}
      quarantine: []
      counts: {rows_read: 3}
"""
ODD = """\
tests:
  - name: a table that the job does not read
    given:
      rows: {bronze.order: [{id: 1}]}
  - name: a table that the job does not write
    given:
      rows: {bronze.orders: [{id: 1, amount: 5}]}
    expect: {rows: {silver.order: []}}
  - name: nothing to die at
    given:
      rows: {bronze.orders: {schema: "id int, amount int", rows: []}}
    when: {crash_at: write}
    expect: {error: rows}
  - name: two kinds in a column
    given:
      rows: {bronze.orders: [{id: 1}, {id: x}]}
"""


def test_a_test_that_does_not_hold_says_why_and_is_recorded(project, capsys, monkeypatch):
    monkeypatch.chdir(project.root)
    project.job("silver_orders", JOB)
    project.write("tests/jobs/silver_orders.yml", TESTS)
    assert command(["test", "silver_orders"]) == 1
    said = capsys.readouterr().out
    assert "1 failed, 2 passed" in said, said
    assert "tests/jobs/silver_orders.yml:18: silver.orders: 1 row differs" in said, said
    assert "expected  1   6\nfound     1   5.0\n              ^^^" in said
    assert "tests/jobs/silver_orders.yml:20: silver.orders__quarantine: 1 row too many" in said
    assert "tests/jobs/silver_orders.yml:21: rows_read: expected 3, found 2" in said
    assert "Traceback" not in said
    assert command(["test", "--record"]) == 0
    recorded = project.root / "tests/jobs/silver_orders.yml"
    assert recorded.read_text() == TESTS.replace("amount: 6", "amount: 5.0").replace(
        "      quarantine: []\n      counts: {rows_read: 3}\n",
        "      quarantine:\n        - {row: {id: 2, amount: -1}, reasons: [in_range(amount)]}\n      counts: {rows_read: 2}\n",
    )
    project.write("tests/jobs/silver_orders.yml", ODD)
    assert command(["test"]) == 1
    said = capsys.readouterr().out
    assert "silver_orders reads no table 'bronze.order'. Did you mean 'bronze.orders'?" in said
    assert "silver_orders writes no table 'silver.order'. Did you mean 'silver.orders'?" in said
    assert "silver_orders never came to 'write'" in said
    assert "column 'id' has text and whole numbers; say its type with 'schema'" in said
    project.write("tests/jobs/silver_orders.yml", "test: []\n")
    assert command(["test"]) != 0
    assert "tests/jobs/silver_orders.yml:1: unknown key 'test'. Did you mean 'tests'?" in capsys.readouterr().out


KAFKA = """
layer: bronze
source:
  kafka: {bootstrap_servers: "${KAFKA_SERVERS}", topics: orders, schema: "id bigint, name string"}
sink:
  append: {table: bronze.orders}
"""
EVENTS = """\
tests:
  - name: each event is taken once, and what is no JSON is quarantined
    given:
      - events:
          - {key: k1, value: {id: 1, name: Ada}, headers: {from: test}}
          - {value: no JSON}
      - events: [{topic: orders, value: {id: 2}}]
    when: [rerun, shuffle, {crash_at: progress}]
    expect:
      rows:
        bronze.orders:
          - {id: 1, name: Ada, _topic: orders, _key: k1}
          - {id: 2, _topic: orders}
      counts: {rows_read: 3, rows_quarantined: 1}
"""
ODD_EVENTS = "tests: [{name: odd, given: {events: [{topic: order}]}, expect: {}}]"


def test_events_reach_topics_of_the_test_s_own_that_are_gone_after_it(project, broker, capsys, monkeypatch):
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("KAFKA_SERVERS", broker.servers)
    project.job("bronze_orders", KAFKA)
    project.write("tests/jobs/bronze_orders.yml", EVENTS)
    assert command(["test"]) == 0, capsys.readouterr().out
    for name in broker.admin.list_topics(timeout=5).topics:
        if name.startswith("orders.test-"):
            broker._wait(name, there=False)
    project.write("tests/jobs/bronze_orders.yml", ODD_EVENTS)
    assert command(["test"]) == 1
    assert "bronze_orders reads no topic 'order'. Did you mean 'orders'?" in capsys.readouterr().out


def test_a_job_without_tests_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.yml").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    assert command(["test", "a"]) == 2
    assert command(["test"]) == 2
    assert "there is no test tests/jobs/a.yml." in (said := capsys.readouterr().err)
    assert "there are no tests in tests/jobs" in said


def test_every_job_of_the_shop_has_a_test():
    assert {file.stem for file in (ROOT / "tests/jobs").glob("*.yml")} == {
        file.stem for file in (ROOT / "conf").glob("*.yml")
    }


def test_the_fixtures_make_a_lake_frames_and_comparisons(lake, frame, assert_table, project):
    typed = frame([[1, "2026-01-01 00:00:00"], {"id": 2}], "id int, at timestamp")
    wanted = lake.spark.sql("SELECT 1 AS id, timestamp'2026-01-01 00:00:00' AS at UNION ALL SELECT 2, NULL")
    assert_df_equality(typed, wanted, ignore_nullable=True)
    with pytest.raises(ConfigError, match=r"the schema has no column 'idd'\. Did you mean 'id'\?"):
        frame([{"idd": 2}], "id int")
    with pytest.raises(ConfigError, match="a row does not fit the schema 'id int': "):
        frame([{"id": "two"}], "id int")
    with pytest.raises(ConfigError, match="need a 'schema'"):
        frame([])
    with pytest.raises(ConfigError, match="is no Spark DDL"):
        frame([{"id": 1}], "id what is this")
    project.job("silver_orders", JOB)
    lake.write("bronze.orders", typed.selectExpr("id", "if(id = 1, 5, -1) AS amount"))
    assert lake.run(project.root / "conf/silver_orders.yml").rows_quarantined == 1
    assert_table("silver.orders", [{"id": 1, "amount": 5}])
    assert lake.rows("silver.nothing") == []
    with pytest.raises(Different, match=r"silver\.orders: 1 row differs"):
        assert_table("silver.orders", [{"id": 1, "amount": 5.01}])
