"""Contracts in other tools' words: the JSON Schema of a row, and the Open Data Contract Standard both ways."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from lakehouse.cli import command
from lakehouse.config.contract import Contract
from lakehouse.config.jobs import load_mapping
from lakehouse.config.yaml_text import parse, yaml_text
from lakehouse.contracts.differences import differences
from shop import ROOT

FULL = """name: orders
version: "1.10"
owner: shop
description: One state of one order.
compatibility: full_transitive
classification: internal
tags: [shop, "2026"]
keys: [line, id]
sla: {freshness: 90 minutes, column: at}
rules:
  - expr: {sql: "amount < 1000 or currency = 'EUR'", name: small, on_fail: warn}
fields:
  - {name: id, type: bigint, min: 1}
  - {name: line, type: smallint, required: true}
  - {name: amount, type: "decimal(12,2)", min: 0, max: 99.5, description: in EUR}
  - {name: day, type: date, min: "2020-01-01", max: "2030-12-31"}
  - {name: at, type: timestamp, required: true}
  - {name: local, type: timestamp_ntz}
  - {name: currency, type: varchar(3), allowed: [EUR, "no", "1e3", "${X}"]}
  - {name: mail, type: string, pattern: '^[^@ ]+@[^@ ]+$', pii: true}
  - {name: note, type: string, min: a}
  - {name: ratio, type: double}
  - {name: paid, type: boolean}
  - {name: raw, type: binary}
  - {name: place, type: "struct<city: string NOT NULL, geo: struct<lat: double, tags: array<string>>>"}
  - {name: labels, type: "map<string,array<int>>"}
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "conf/contracts/orders.yml", FULL.replace("${X}", "$${X}"))
    return tmp_path


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def said(capsys, *arguments, code=0):
    capsys.readouterr()
    assert command(["contract", *arguments]) == code
    return capsys.readouterr()


@pytest.fixture(scope="module")
def standard():
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
    return jsonschema.validators.validator_for(schema)(schema)


def test_a_contract_says_the_same_after_the_standard_and_back(here, capsys, standard):
    found = said(capsys, "export", "orders", "--format", "odcs")
    assert found.err == ""
    document = yaml.safe_load(found.out)
    assert [error.message for error in standard.iter_errors(document)] == []
    assert not standard.is_valid({**document, "kind": "Contract"}), "the validator can refuse"
    write(here / "orders.odcs.yaml", found.out)
    before, _ = load_mapping(Contract, here / "conf/contracts/orders.yml")
    (here / "conf/contracts/orders.yml").unlink()
    found = said(capsys, "import", "orders.odcs.yaml", "--format", "odcs")
    assert (found.out, found.err) == ("conf/contracts/orders.yml: 14 fields\n", "")
    after, _ = load_mapping(Contract, here / "conf/contracts/orders.yml")
    assert after == before
    assert differences(before, after) == []
    assert "is there already" in said(capsys, "import", "orders.odcs.yaml", "--format", "odcs", code=2).err


@pytest.mark.parametrize("file", sorted((ROOT / "conf/contracts").glob("*.yml")), ids=lambda file: file.stem)
def test_every_contract_of_the_shop_is_one_in_the_standard(file, capsys, standard, monkeypatch):
    monkeypatch.chdir(ROOT)
    document = yaml.safe_load(said(capsys, "export", file.stem, "--format", "odcs").out)
    assert [error.message for error in standard.iter_errors(document)] == []


FOREIGN = """version: 2.0.0
apiVersion: v3.1.0
kind: DataContract
id: 53581432-6c55
status: draft
name: payments
domain: finance
description: {purpose: Payments as they came., limitations: none known}
servers: [{server: a, type: local, path: ./data, format: json}]
team:
  - {username: ann, role: Owner}
  - {username: bob, role: Reader}
schema:
  - name: tbl
    logicalType: object
    physicalName: tbl_1
    quality:
      - {metric: rowCount, mustBeGreaterThan: 9}
    properties:
      - {name: id, logicalType: integer, physicalType: int, primaryKey: true, primaryKeyPosition: 2}
      - {name: part, logicalType: string, physicalType: VARCHAR(18), primaryKey: true, primaryKeyPosition: 1}
      - {name: amount, logicalType: number, physicalType: MONEY, logicalTypeOptions: {minimum: 0, multipleOf: 0.01}}
      - {name: who, logicalType: string, classification: restricted, quality: [{metric: nullValues, mustBe: 0}]}
      - {name: code, logicalType: string, logicalTypeOptions: {minLength: 2, maxLength: 3}}
      - {name: kind, physicalType: TEXT, quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [a, b]}}]}
      - name: address
        logicalType: object
        properties:
          - {name: street, logicalType: string, required: true}
          - {name: lines, logicalType: array, items: {logicalType: integer}}
slaProperties:
  - {property: latency, value: 4, unit: h, element: tbl.id}
  - {property: retention, value: 3, unit: y}
"""


def test_a_document_of_others_is_taken_and_what_has_no_place_is_named_at_its_line(here, capsys):
    write(here / "payments.odcs.yaml", FOREIGN)
    found = said(capsys, "import", "payments.odcs.yaml", "--format", "odcs", "--name", "payments")
    contract, _ = load_mapping(Contract, here / "conf/contracts/payments.yml")
    assert (contract.version, contract.owner, contract.keys) == ("2.0.0", "ann", ["part", "id"])
    assert (contract.sla.freshness, contract.sla.column) == ("4 hours", "id")
    assert {field.name: field.type for field in contract.fields} == {
        "id": "int", "part": "VARCHAR(18)", "amount": "double", "who": "string", "code": "string", "kind": "string",
        "address": "struct<`street`: string NOT NULL, `lines`: array<bigint>>",
    }  # fmt: skip
    assert [field.name for field in contract.fields if field.required] == ["who"]
    assert (contract.fields[2].min, contract.fields[5].allowed) == (0, ["a", "b"])
    assert contract.rules == [{"length": {"column": "code", "min": 2, "max": 3}}]
    lines = [line for line in found.err.splitlines() if line.startswith("payments.odcs.yaml:")]
    named = {int(line.split(":")[1]): line.split(": ", 1)[1] for line in lines}
    assert sorted(named) == [4, 5, 7, 8, 9, 10, 16, 18, 22, 23, 25, 33], found.err
    assert named[7] == "'domain' has no place in a contract and is left out"
    assert named[18] == "a quality check that no rule of ours says is left out"
    assert "as conf/contracts/payments.yml:6: 'id' is int; freshness needs a date or a timestamp" in found.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Pod\n", "is no contract of the Open Data Contract Standard"),
        ("kind: DataContract\nschema: [a]\n", ":2: 'schema' is a list of mappings here"),
        (
            "kind: DataContract\nschema: [{name: a, properties: {b: c}}]\n",
            ":2: 'properties' is a list of mappings here",
        ),
        ("kind: DataContract\nschema: []\n", "there is no object"),
        ("kind: DataContract\nschema: [{name: a}]\n", "'fields' is missing"),
        ("kind: [\n", "not YAML"),
    ],
)
def test_what_is_no_document_of_the_standard_is_refused_in_a_line(here, capsys, text, message):
    write(here / "x.yaml", text)
    err = said(capsys, "import", "x.yaml", "--format", "odcs", code=2).err
    assert message in err
    assert len(err.splitlines()) == 1


def test_of_several_objects_one_is_taken_by_name_or_all(here, capsys):
    two = "kind: DataContract\nversion: 1\nschema:\n" + "".join(
        f"  - {{name: {name}, properties: [{{name: id, physicalType: int}}]}}\n" for name in ("a", "b")
    )
    write(here / "two.yaml", two)
    assert "has a, b" in said(capsys, "import", "two.yaml", "--format", "odcs", "--name", "c", code=2).err
    assert said(capsys, "import", "two.yaml", "--format", "odcs", "--name", "b").out.startswith("conf/contracts/b.yml")
    (here / "conf/contracts/b.yml").unlink()
    assert len(said(capsys, "import", "two.yaml", "--format", "odcs").out.splitlines()) == 2


def test_the_schema_of_a_row_takes_what_the_contract_takes(here, capsys):
    found = said(capsys, "export", "orders", "--format", "json-schema")
    schema = json.loads(found.out)
    jsonschema.Draft202012Validator.check_schema(schema)
    row = {"id": 1, "line": 2, "amount": 9.5, "day": "2026-01-01", "at": "2026-01-01T00:00:00.000Z", "currency": "EUR",
           "mail": "a@b", "paid": True, "place": {"city": "Rome", "geo": {"lat": 1.5, "tags": ["x", None]}},
           "labels": {"a": [1]}, "more": 1}  # fmt: skip
    valid = jsonschema.Draft202012Validator(schema).is_valid
    assert valid(row)
    assert valid({"id": 1, "line": 2, "at": "2026-01-01T00:00:00.000Z", "currency": None})
    for name, value in [("id", None), ("id", 0), ("id", 1.5), ("line", 40_000), ("amount", 100), ("currency", "USD"),
                        ("mail", "ab"), ("paid", "x"), ("place", {"geo": None}), ("labels", {"a": ["x"]})]:  # fmt: skip
        assert not valid({**row, name: value}), name
    assert not valid({name: value for name, value in row.items() if name != "at"}), "a required field is missing"
    assert set(found.err.splitlines()) >= {
        "orders: not said: 'day': min 2020-01-01 of a date",
        "orders: not said: rule expr: JSON Schema has no such rule",
        "orders: not said: 'mail': pii",
    }


@pytest.mark.parametrize(
    "text", ["no", "1e3", "0o17", "1.10", "", "~", "a: b", "- x", "# y", "2026-01-01", " x", "a\nb"]
)
def test_text_is_written_so_that_it_is_read_as_text(text):
    assert parse(yaml_text({"a": [text], text or "b": text}), "x.yml").value == {"a": [text], text or "b": text}


def test_the_schema_of_contract_files_takes_those_of_the_shop_and_refuses_what_the_loader_refuses(capsys):
    assert command(["schema", "--contract"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    valid = jsonschema.Draft202012Validator(schema).is_valid
    for file in (ROOT / "conf/contracts").glob("*.yml"):
        assert valid(parse(file.read_text(), file.name).value), file.stem
    good = {
        "name": "a",
        "fields": [{"name": "id"}],
        "rules": [{"not_null": {"column": "id"}}],
        "sla": {"freshness": "1 day"},
    }
    assert valid(good)
    for wrong in ({"field": []}, {"compatibility": "sideways"}, {"rules": [{"not_nul": {"column": "id"}}]},
                  {"sla": {"freshness": "daily"}}, {"fields": []}):  # fmt: skip
        assert not valid({**good, **wrong}), wrong
