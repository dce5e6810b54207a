"""The JSON Schema and the loader agree on what a job is."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lakehouse import ConfigError
from lakehouse.config.yaml_text import parse
from lakehouse.planning.job_schema import job_schema
from lakehouse.planning.planner import plan_job
from shop import ROOT

JOBS = sorted([*ROOT.glob("conf/*.yml"), *ROOT.glob("examples/*/conf/*.yml")])
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


@pytest.mark.parametrize("file", JOBS, ids=lambda file: file.stem)
def test_every_job_fits_the_schema(file, validator):
    assert [error.message for error in validator.iter_errors(parse(file.read_text(), file.name).value)] == []


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
