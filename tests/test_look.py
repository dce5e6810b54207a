"""The commands that look at the lake: what they say of a table, and what they keep out of sight."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from lakehouse import sql_text
from lakehouse.cli import command
from lakehouse.personal import personal_columns_of
from lakehouse.pipeline.live_work import Work, expected_seconds, work_of
from lakehouse.planning.planner import plan_job
from lakehouse.terminal import cut, fitted

CONTRACT = """\
name: people
version: 1.0.0
owner: shop
description: Who buys.
fields:
  - {name: id, type: int, description: the shop's number}
  - {name: mail, type: string, pii: true}
"""
PEOPLE = """\
layer: silver
description: One row per person.
source:
  rows: {schema: "id int, mail string", rows: [[1, 'a@canary.de'], [2, 'b@canary.de'], [null, 'c@canary.de']]}
contract: people
rules:
  - not_null: {column: id}
transforms:
  - rename: {columns: {mail: address}}
sink:
  merge: {table: silver.people, keys: [id], comment: One row per person.}
"""
GREETINGS = """\
layer: gold
inputs: [silver.people]
source:
  sql: {query: "SELECT id, concat('Dear ', address) AS greeting, id * 2 AS twice FROM silver.people"}
sink:
  overwrite: {table: gold.greetings}
"""


@pytest.fixture
def people(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    project.write("conf/contracts/people.yml", CONTRACT)
    project.job("people", PEOPLE)
    project.job("greetings", GREETINGS)
    assert command(["run", "--all"]) == 0
    capsys.readouterr()
    return project


def shown(capsys, *arguments: str) -> dict:
    assert command(["show", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_show_tells_a_table_from_its_log_and_no_personal_value(people, spark, capsys):
    assert command(["show", "silver.people", "--rows", "9"]) == 0
    said = capsys.readouterr().out
    for piece in (
        "silver.people: One row per person.", "rows       2", "contract   people 1.0.0", "written by people",
        "id       int                the shop's number", "address  string (personal)",
    ):  # fmt: skip
        assert piece in said, said
    found = shown(capsys, "silver.people", "--rows", "9")
    assert sorted(map(str, found["first_rows"])) == ["{'id': 1, 'address': '***'}", "{'id': 2, 'address': '***'}"]
    (run,) = [row for row in people.rows("_runs") if row["job"] == "people"]
    wrote = found["versions"][-1 if found["versions"][-1]["changes"] else -2]
    assert (wrote["run_id"], wrote["job"], wrote["changes"]) == (run["run_id"], "people", {"inserted": 2})
    # it follows the column into what is made of it, and into the rows that broke
    gold = shown(capsys, "gold.greetings", "--rows", "9")["first_rows"]
    assert {(row["greeting"], row["twice"]) for row in gold} == {("***", 2), ("***", 4)}
    (broken,) = shown(capsys, "silver.people__quarantine", "--rows", "9")["first_rows"]
    assert (broken["row"], broken["reasons"]) == ("***", "***")
    # deleted rows lie in files still; a table with wider types is one that only Spark scans
    place = f"delta.`{people.lake}/silver/people`"
    before = shown(capsys, "silver.people")["version"]
    spark.sql(f"DELETE FROM {place} WHERE id = 1")
    assert shown(capsys, "silver.people")["rows"] == 1
    earlier = shown(capsys, "silver.people", "--version", str(before))
    assert (earlier["rows"], [one["version"] for one in earlier["versions"]]) == (2, list(range(before, -1, -1)))
    spark.sql(f"ALTER TABLE {place} SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    spark.sql(f"ALTER TABLE {place} ALTER COLUMN id TYPE bigint")
    wide = shown(capsys, "silver.people", "--rows", "9")
    assert (wide["rows"], wide["columns"][0]["type"], wide["first_rows"]) == (
        1,
        "bigint",
        [{"id": 2, "address": "***"}],
    )
    for wrong, code, line in (
        (["silver.peple"], 3, "Did you mean 'silver.people'?"),
        (["people"], 2, "is no table's name"),
        (["silver.people", "--version", "99"], 2, "there is no version 99"),
        (["silver.people", "--as-of", "2020-01-01"], 2, "not as of 2020-01-01"),
        (["silver.people", "--as-of", "soon"], 2, "'soon' is no time"),
    ):
        assert command(["show", *wrong]) == code
        said = capsys.readouterr().err
        assert line in said
        assert said.count("\n") == 1


def test_sql_reads_the_lake_writes_nothing_and_hides_personal_values(people, spark, capsys):
    query = "WITH p AS (SELECT * FROM silver.people) SELECT p.id, address, g.greeting FROM p JOIN gold.greetings AS g USING (id) ORDER BY id"
    assert command(["sql", query, "--json"]) == 0
    said = capsys.readouterr()
    assert [json.loads(line) for line in said.out.splitlines()] == [
        {"id": id, "address": "***", "greeting": "***"} for id in (1, 2)
    ]
    assert "(silver.people: personal, so read as *** or NULL: address)\n" in said.err
    # whatever a query makes of it, it has not seen the value
    assert command(["sql", "SELECT upper(address) AS a FROM silver.people WHERE address LIKE '%canary%'"]) == 0
    assert capsys.readouterr().out == "no rows\n"
    assert command(["sql", "SELECT id FROM silver.people ORDER BY id", "--limit", "1"]) == 0
    said = capsys.readouterr()
    assert (said.out, "the first 1 rows" in said.err) == ("id\n--\n 1\n", True)
    before = people.version("silver.people")
    for wrong, line in (
        ("DELETE FROM silver.people", "only one SELECT"),
        ("SELECT 1; DROP TABLE silver.people", "only one SELECT"),
        ("SELECT * FROM silver.peple", "there is no table silver.peple in "),
        ("SELECT nam FROM silver.people", "nam"),
        (f"SELECT * FROM delta.`{people.lake}/silver/people`", "there is no table delta."),
        ("SELECT id FROM people", "people"),
        ("SELECT id FORM silver.people", "PARSE_SYNTAX_ERROR"),
    ):
        assert command(["sql", wrong]) == 2, wrong
        said = capsys.readouterr()
        assert line in said.err
        assert (said.out, said.err.count("\n")) == ("", 1), said.err
    assert command(["sql", "SELECT 1 / (id - id) AS x FROM silver.people"]) == 3
    assert capsys.readouterr().err.startswith("an expression divides by zero; use try_divide")
    assert people.version("silver.people") == before
    at = shown(capsys, "silver.people")["versions"][0]["at"]
    spark.sql(f"DELETE FROM delta.`{people.lake}/silver/people` WHERE id = 1")
    counted = ["sql", "SELECT count(*) AS n FROM silver.people", "--json"]
    assert (command(counted), command([*counted, "--as-of", at])) == (0, 0)
    assert capsys.readouterr().out.splitlines() == ['{"n": 1}', '{"n": 2}']
    assert command([*counted, "--as-of", "2020-01-01"]) == 2
    assert "not as of 2020-01-01" in capsys.readouterr().err


def test_a_table_whose_jobs_have_no_contract_hides_what_any_contract_calls_personal(project):
    project.write("conf/contracts/people.yml", CONTRACT)
    files = [
        project.job(
            "other",
            'layer: bronze\nsource:\n  rows: {schema: "mail string", rows: [[x]]}\nsink:\n  append: {table: bronze.other}\n',
        )
    ]
    assert {"mail", "_rescued_data"} <= personal_columns_of("bronze.other", files)
    assert "mail" in personal_columns_of("bronze.nobody_knows", files)
    broken = project.job("broken", "layer: bronze\nsink:\n  append: {table: bronze.other}\n")
    with pytest.raises(Exception, match=r"broken\.yml"):
        personal_columns_of("bronze.other", [*files, broken])


@pytest.mark.parametrize(("sql", "made"), [
    ("SELECT upper(mail) AS a, id AS b, (mail) c FROM t", {"a"}),
    ("SELECT id AS a, struct(1, p.mail AS m) AS b, 2 AS c FROM people AS p", {"m", "b"}),
    ("SELECT 'mail' AS a, /* mail */ 1 AS b FROM t", set()),
])  # fmt: skip
def test_what_a_query_makes_of_a_column_is_found_by_expression(sql, made):
    assert sql_text.aliases_of(sql, ["mail"]) == made


def test_a_table_fits_its_window():
    assert fitted([4, 50, 30], None) == [4, 50, 30]
    assert fitted([4, 50, 30], 44) == [4, 18, 18]
    assert sum(fitted([9, 9, 9], 5)) == 18  # no cell below six letters
    assert (cut("abcdef", 4), cut("ab\ncd", 5), cut("abc", 3)) == ("abc…", "ab cd", "abc")


def test_a_graph_is_a_tree_a_flowchart_and_a_drawing(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    rows = 'layer: {0}\ninputs: [{1}]\nsource:\n  sql: {{query: "SELECT 1 AS a FROM {1}"}}\nsink:\n  overwrite: {{table: {2}}}\n'
    project.job(
        "b", 'layer: bronze\nsource:\n  files: {path: "in<&>coming", format: csv}\nsink:\n  append: {table: bronze.b}\n'
    )
    project.job("l", rows.format("silver", "bronze.b", "silver.l"))
    project.job("r", rows.format("silver", "bronze.b", "silver.r"))
    project.job(
        "g", rows.format("gold", "silver.l, silver.r", "gold.g").replace("FROM silver.l, silver.r", "FROM silver.l")
    )
    assert command(["graph"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "files in<&>coming", "└─ [b]", "   └─ bronze.b", "      ├─ [l]", "      │  └─ silver.l", "      │     └─ [g]",
        "      │        └─ gold.g", "      └─ [r]", "         └─ silver.r", "            └─ [g] ...",
    ]  # fmt: skip
    assert command(["graph", "--json", "--select", "g"]) == 0
    edges = json.loads(capsys.readouterr().out)["edges"]
    assert edges == [{"from": "silver.l", "to": "g"}, {"from": "silver.r", "to": "g"}, {"from": "g", "to": "gold.g"}]
    assert command(["graph", "--format", "svg"]) == 0
    drawing = ElementTree.fromstring(capsys.readouterr().out)
    named = [title.text for title in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert {"files in<&>coming", "b", "l", "r", "g", "bronze.b", "silver.l", "silver.r", "gold.g"} <= set(named)
    boxes = [(box.get("x"), box.get("y")) for box in drawing.iter("{http://www.w3.org/2000/svg}rect") if box.get("x")]
    assert len(set(boxes)) == len(boxes) == 9
    assert command(["graph", "--format", "mermaid"]) == 0
    said = capsys.readouterr().out
    assert '["files in#60;#38;#62;coming"]' in said
    assert said.count("-->") == len(drawing.findall("{http://www.w3.org/2000/svg}path")) / 2 == 9


def test_the_rows_of_a_run_under_way_are_spark_s_own_count(people, spark, tmp_path):
    spark.range(1000).repartition(3).write.parquet(str(tmp_path / "rows"))
    spark.sparkContext.setJobGroup("of a test", "of a test")
    try:
        spark.read.parquet(str(tmp_path / "rows")).selectExpr("sum(id)").collect()
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    assert work_of(spark, "of a test") == Work(1000, 0, 0)
    assert work_of(spark, "of nobody") == Work()
    plan = plan_job(people.root / "conf/greetings.yml", lake=str(people.lake))
    (run,) = [row for row in people.rows("_runs") if row["job"] == "greetings"]
    assert expected_seconds(plan) == pytest.approx((run["ended"] - run["started"]).total_seconds())
