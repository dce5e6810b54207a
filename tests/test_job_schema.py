"""The JSON Schemas and the loaders agree on what a job, a contract, an environment and a test of a job are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lakehouse import ConfigError
from lakehouse.config.contract import Contract
from lakehouse.config.job_tests import load_job_tests
from lakehouse.config.jobs import load_mapping
from lakehouse.config.yaml_text import parse
from lakehouse.planning.job_schema import job_schema, schemas
from lakehouse.planning.planner import plan_job
from shop import ROOT

GOOD = "layer: bronze\nsource:\n  files: {path: data}\nsink:\n  append: {table: bronze.t}\n"
BAD = {
    "an unknown key": GOOD + "colour: red\n",
    "an unknown layer": GOOD.replace("bronze\n", "brass\n", 1),
    "an unknown source": GOOD.replace("files:", "flies:"),
    "an unknown option": GOOD.replace("{path: data}", "{path: data, depth: 3}"),
    "a wrong type": GOOD.replace("{path: data}", "{path: 3}"),
    "a missing option": GOOD.replace("{path: data}", "{}"),
    "two words in one": GOOD.replace("{path: data}", "{path: data}\n  sql: {query: select 1}"),
    "a wrong on_fail": GOOD + "rules:\n  - not_null: {column: a, on_fail: explode}\n",
    "a wrong table's name": GOOD.replace("bronze.t", "t"),
}


@pytest.fixture(scope="module")
def validator():
    schema = job_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_the_loader_refuses_the_schema_refuses(text, validator, tmp_path):
    file = Path(tmp_path / "conf" / "t.yml")
    file.parent.mkdir()
    file.write_text(GOOD)
    plan_job(file, lake=str(tmp_path))
    assert validator.is_valid(parse(GOOD, "t.yml").value)
    file.write_text(text)
    with pytest.raises(ConfigError):
        plan_job(file, lake=str(tmp_path))
    assert not validator.is_valid(parse(text, "t.yml").value)


ENV = """\
all: {layer: bronze, spark: {spark.sql.shuffle.partitions: 4}}
jobs:
  t:
    source: {files: {format: csv}}
    quality_gate: {max_quarantined: 5%}
    rules: [{not_null: {column: a}}]
variables: {BROKER: "b:9092", LIMIT: 5}
"""
BAD_ENV = {
    "an unknown part": ENV + "al: {}\n",
    "an unknown key of a job": ENV.replace("layer: bronze", "layr: bronze"),
    "a wrong value": ENV.replace("layer: bronze", "layer: brass"),
    "an unknown option": ENV.replace("format: csv", "fromat: csv"),
    "an unknown word": ENV.replace("{files:", "{flies:"),
    "an item of a list without its option": ENV.replace("{column: a}", "{where: a}"),
    "a variable of no plain value": ENV.replace("LIMIT: 5", "LIMIT: [5]"),
    "a wrong type": ENV.replace("5%", "[5]"),
}
TEST = """\
job: t
env: dev
tests:
  - name: a
  - name: b
    given: {rows: {bronze.t: [{id: 1}], bronze.u: {schema: id int, rows: [[1], {id: 2}]}}, files: {a.csv: text, b.json: [{id: 1}]}, events: [{value: {id: 1}}, {key: k, topic: t, headers: {a: b}}]}
    when: shuffle
    expect: {rows: {silver.t: []}, quarantine: [{row: {id: 1}, reasons: [r]}], counts: {rows_read: 1}, error: text}
  - name: c
    given: [{}, {files: {}}]
    when: [run, rerun, {crash_at: record}]
"""
BAD_TEST = {
    "an unknown key": TEST + "jobs: t\n",
    "no name": TEST.replace("- name: a", "- when: run"),
    "no tests": "job: t\n",
    "an empty list of tests": "tests: []\n",
    "an unknown way": TEST.replace("when: shuffle", "when: twice"),
    "an unknown step": TEST.replace("record}", "later}"),
    "an unknown count": TEST.replace("rows_read", "rows_red"),
    "a count that is no number": TEST.replace("rows_read: 1", "rows_read: one"),
    "a wrong table's name": TEST.replace("silver.t:", "t:"),
    "a row that is none": TEST.replace("[{id: 1}], bronze.u", "[1], bronze.u"),
    "rows without their schema": TEST.replace("schema: id int, ", ""),
    "an event with an unknown key": TEST.replace("{key: k,", "{kye: k,"),
    "a broken row without a reason": TEST.replace(", reasons: [r]", ""),
}
CONTRACT = "name: t\nkeys: [id]\nfields:\n  - {name: id, type: int, required: true}\n"
BAD_CONTRACT = {
    "an unknown key": CONTRACT + "key: id\n",
    "an unknown key of a field": CONTRACT.replace("required", "requird"),
    "no fields": "name: t\n",
    "a wrong type": CONTRACT.replace("required: true", "required: maybe"),
}


def loads_env(file: Path) -> None:
    job = file.parents[1] / "t.yml"
    job.write_text(GOOD)
    plan_job(job, lake="/nowhere", env=file.stem)


LOADERS = {
    "env": ("conf/env/dev.yml", ENV, BAD_ENV, loads_env),
    "job_test": ("tests/jobs/t.yml", TEST, BAD_TEST, load_job_tests),
    "contract": ("conf/contracts/t.yml", CONTRACT, BAD_CONTRACT, lambda file: load_mapping(Contract, file)),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_of_every_other_file_schema_and_loader_think_alike(kind, tmp_path):
    name, good, bad, load = LOADERS[kind]
    schema = schemas()[kind]
    Draft202012Validator.check_schema(schema)
    validator, file = Draft202012Validator(schema), tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(good)
    load(file)
    assert [error.message for error in validator.iter_errors(parse(good, name).value)] == []
    for what, text in bad.items():
        assert text != good, what
        file.write_text(text)
        with pytest.raises(ConfigError):
            load(file)
            raise AssertionError(f"the loader takes {what}")
        assert not validator.is_valid(parse(text, name).value), what


def test_this_repository_s_files_fit_the_schemas_that_editors_here_give_them():
    given = json.loads((ROOT / ".vscode/settings.json").read_text())["yaml.schemas"]
    assert [Path(schema).stem for schema in given] == list(schemas())
    for schema, patterns in given.items():
        validator = Draft202012Validator(schemas()[Path(schema).stem])
        files = [
            file for pattern in ([patterns] if isinstance(patterns, str) else patterns) for file in ROOT.glob(pattern)
        ]
        assert files, schema
        for file in files:
            assert not [*validator.iter_errors(parse(file.read_text(), file.name).value)], file


def test_an_editor_is_told_what_every_key_and_word_means():
    schema = job_schema()
    models = {name: definition for name, definition in schema["$defs"].items() if name != "JobConfig"}
    assert all(part.get("description") or "$ref" in str(part) for part in schema["properties"].values())
    assert all(model["description"] for model in models.values())
    words = [word.get("anyOf", [word])[0] for word in schema["properties"]["transforms"]["items"]["oneOf"]]
    assert all(len(word["description"]) > 10 for word in words)
