"""A new project and a new job: what is written, that it runs and passes its own tests, and what is refused."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator
from pyarrow import parquet

from lakehouse.cli import command
from lakehouse.config.yaml_text import parse
from lakehouse.new_files.inference import suggested
from lakehouse.new_files.samples import Sample, file_sample

MADE = """\
my-lake/data/orders/orders_2026-01-01.csv
my-lake/Makefile
my-lake/README.md
my-lake/requirements.txt
my-lake/.gitignore
my-lake/.github/workflows/test.yml
my-lake/.vscode/settings.json
my-lake/.vscode/extensions.json
my-lake/conf/bronze_orders.yml
my-lake/jobs/bronze_orders.py
my-lake/tests/jobs/bronze_orders.yml
my-lake/conf/silver_orders.yml
my-lake/jobs/silver_orders.py
my-lake/tests/jobs/silver_orders.yml
my-lake/conf/contracts/silver_orders.yml
my-lake/.schemas/job.json
my-lake/.schemas/contract.json
my-lake/.schemas/env.json
my-lake/.schemas/job_test.json
next: cd my-lake && lakehouse run --all && lakehouse test
"""


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """A new project, with its folder as the working directory."""
    monkeypatch.delenv("LAKE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert command(["init", "my-lake"]) == 0
    assert capsys.readouterr().out == MADE
    monkeypatch.chdir(tmp_path / "my-lake")
    return tmp_path / "my-lake"


def test_a_new_project_runs_passes_its_tests_and_grows_by_a_job(made, spark, capsys):
    assert command(["run", "--all"]) == 0
    assert command(["new", "gold_orders", "--from", "silver.orders"]) == 0
    (made / "data/people").mkdir()
    (made / "data/people/1.json").write_text(
        '{"person_id": 1, "email": "a@example.org", "born": "1990-01-31", "tags": ["x"]}\n'
    )
    (made / "data/uneven.jsonl").write_text(
        f'{{"id": 1, "n": {2**70}}}\n{{"id": "two", "late": true}}\n{{"id": 3, "deep": {{"a": 1}}}}\n'
    )
    assert command(["new", "silver_uneven", "--from", "data/uneven.jsonl"]) == 0
    contract = parse((made / "conf/contracts/silver_uneven.yml").read_text(), "x").value
    assert [(field["name"], field["type"]) for field in contract["fields"]] == [
        ("id", "string"),
        ("n", "string"),
        ("late", "boolean"),
        ("deep", "struct<a:bigint>"),
    ]
    assert command(["new", "bronze_people", "--from", "data/people"]) == 0
    assert command(["new", "silver_people", "--from", "data/people/1.json"]) == 0
    said = capsys.readouterr().out
    assert (
        "conf/contracts/silver_people.yml\nnext: lakehouse test silver_people && lakehouse run silver_people\n" in said
    )
    assert "conf/contracts/bronze_people.yml" not in said
    assert command(["test"]) == 0, capsys.readouterr().out
    assert command(["run", "--all"]) == 0
    for file in (*made.glob("conf/*.yml"), *made.glob("conf/contracts/*.yml"), *made.glob("tests/jobs/*.yml")):
        first = file.read_text().partition("\n")[0].removeprefix("# yaml-language-server: $schema=")
        validator = Draft202012Validator(json.loads((file.parent / first).read_text()))
        assert [error.message for error in validator.iter_errors(parse(file.read_text(), file.name).value)] == [], file


def test_what_is_there_is_never_written_over(made, capsys):
    before = {file: file.read_bytes() for file in made.rglob("*") if file.is_file()}
    assert command(["new", "silver_orders", "--from", "data/orders"]) == 2
    assert "conf/silver_orders.yml: is there already; nothing was written" in capsys.readouterr().err
    assert command(["init", "."]) == 2
    assert ". is there already and not empty; name a new folder" in capsys.readouterr().err
    (made / "tests/jobs/silver_more.yml").write_text("mine")
    assert command(["new", "silver_more", "--from", "data/orders"]) == 2
    assert not (made / "conf/silver_more.yml").exists()
    (made / "tests/jobs/silver_more.yml").unlink()
    assert {file: file.read_bytes() for file in made.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["orders", "--from", "data/orders"], "call it silver_orders, or say --layer silver"),
        (["silver-x", "--from", "data/orders"], "'silver-x' is no job's name"),
        (["silver_x", "--from", "bronze.nothing"], "there is no table bronze.nothing at "),
        (
            ["silver_x", "--from", "data/nothing"],
            "there is no file of csv, json, jsonl, ndjson, parquet at data/nothing",
        ),
        (
            ["silver_x", "--from", "data/broken.json"],
            "broken.json cannot be read as json: it has no line that is a JSON object",
        ),
        (["silver_x", "--from", "data/broken.parquet"], "broken.parquet cannot be read as parquet: "),
    ],
)
def test_what_no_job_can_be_made_of_is_named(made, arguments, said, capsys):
    (made / "data/broken.json").write_text("[1]\n")
    (made / "data/broken.parquet").write_text("no")
    assert command(["new", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error, error
    assert error.count("\n") == 1
    assert not list(made.glob("conf/*_x.yml"))


def test_outside_of_a_project_the_way_to_one_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(["new", "silver_x", "--from", "bronze.x"]) == 2
    assert "`lakehouse init my-lake` makes one" in capsys.readouterr().err


def types_of(**columns: list) -> dict[str, dict]:
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    found = suggested(Sample("t", dict.fromkeys(columns, "string"), rows))
    return {field["name"]: field for field in found.fields}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", " 3"], "bigint"),
        (["01", "2"], "string"),
        (["1234567890123456789"], "string"),
        (["1.5", "22.25", "3"], "decimal(12,2)"),
        (["12345678901.123456"], "decimal(19,6)"),
        (["true", "FALSE"], "boolean"),
        (["2026-01-31", None], "date"),
        (["2026-01-31 08:00", "2026-01-31"], "timestamp"),
        (["2026-01-31T08:00:00Z"], "timestamp"),
        (["31/01/2026"], "string"),
        (["20260131"], "bigint"),
        ([None, ""], "string"),
        (["a", "1"], "string"),
    ],
)
def test_a_column_has_the_type_that_all_of_its_values_have(values, kind):
    assert types_of(a=values)["a"]["type"] == kind


def test_keys_sequences_sets_and_personal_columns_are_seen():
    rows = [
        {"line": str(number), "order_id": f"A{number // 2}", "status": "ab"[number % 2], "email": "x", "modified_at": "2026-01-01 08:00:00",
         "note": None if number else "n"}
        for number in range(12)
    ]  # fmt: skip
    found = suggested(Sample("t", dict.fromkeys(rows[0], "string"), rows))
    fields = {field["name"]: field for field in found.fields}
    assert (found.keys, found.sequence) == (["order_id"], "modified_at")
    assert fields["status"] == {"name": "status", "type": "string", "required": True, "allowed": ["a", "b"]}
    assert fields["email"] == {"name": "email", "type": "string", "required": True, "pii": True}
    assert fields["order_id"] == {"name": "order_id", "type": "string"}
    assert fields["note"] == {"name": "note", "type": "string"}
    assert suggested(Sample("t", {"a": "string"}, [{"a": "x"}, {"a": "x"}])).keys == []
    assert suggested(Sample("t", {"a": "double", "n": "bigint"}, [{"a": 1.0, "n": 1}, {"a": 2.0, "n": 2}])).keys == [
        "n"
    ]


def test_json_of_many_shapes_gives_all_columns_and_text_where_no_type_holds_all(tmp_path):
    lines = [
        {"id": 1, "mixed": 1, "deep": {"x": 1}, "list": [1]},
        {"id": 2, "mixed": "x", "deep": {"x": "y"}, "list": [1, "z"], "late": "2026-01-01"},
        {"id": 3, "mixed": {"a": 1}, "big": 10**30, "deep": "flat", "late": None, "_own": 1, "list": 5},
    ]
    (tmp_path / "x.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = file_sample("x.jsonl", tmp_path)
    assert found.types == {
        "id": "bigint", "mixed": "string", "deep": "string", "list": "string", "late": "string", "big": "string",
    }  # fmt: skip
    fields = {field["name"]: field["type"] for field in suggested(found).fields}
    assert (fields["id"], fields["late"], fields["mixed"]) == ("bigint", "date", "string")


def test_files_are_looked_at_by_their_kind(tmp_path):
    table = pa.table({"id": pa.array([1], pa.int32()), "at": pa.array([0], pa.timestamp("us", tz="UTC")), "in": [{"a": [1.5]}],
                      "_file": ["x"], "none": pa.nulls(1)})  # fmt: skip
    parquet.write_table(table, tmp_path / "a.parquet")
    found = file_sample("*.parquet", tmp_path)
    assert found.types == {"id": "int", "at": "timestamp", "in": "struct<a:array<double>>", "none": "string"}
    (tmp_path / "c").mkdir()
    (tmp_path / "c/1.csv").write_text('﻿id,name\n1,"a\nb"\n2\n3,c,more\n')
    found = file_sample("c", tmp_path)
    assert found.types == {"id": "string", "name": "string"}
    assert [row["name"] for row in found.rows] == ["a\nb", None, "c"]
