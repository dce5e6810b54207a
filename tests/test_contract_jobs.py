"""What a contract does to the jobs under it: its rules, its mark on the table and the run record, its promise of freshness."""

from __future__ import annotations

import hashlib
import json

import pytest
from deltalake import DeltaTable

from lakehouse import ConfigError, SinkError, lake, read_table, table_checks
from lakehouse.cli import command
from lakehouse.config.contract import Contract, fingerprint
from lakehouse.config.jobs import load_mapping
from lakehouse.runs import read
from lakehouse.tables import Layout

JOB = """
layer: silver
source:
  rows: {{schema: "id string, amount string, at string", rows: {rows}}}
read: full
contract: {contract}
sink:
  {sink}
"""
CONTRACT = """name: orders
version: {version}
owner: shop
keys: [id]
fields:
  - {{name: id, type: bigint}}
  - {{name: amount, type: "decimal(10,2)", description: in EUR{more}}}
  - {{name: at, type: timestamp}}
rules:
  - expr: {{sql: amount < 1000, name: small}}
  - not_null: {{column: at, on_fail: warn}}
"""
MERGE = "merge: {table: silver.orders, keys: [id], sequence_by: [at]}"
ROWS = [[1, 5, "2026-01-01 10:00:00"], [2, 2000, "2026-01-02 10:00:00"], [3, 1, None]]


def send(project, *, rows=ROWS, version="1.0.0", more="", contract=CONTRACT, sink=MERGE, name="orders"):
    project.write(f"conf/contracts/{name}.yml", contract.format(version=version, more=more))
    values = json.dumps([[None if value is None else str(value) for value in row] for row in rows])
    project.job("silver_orders", JOB.format(rows=values, contract=name, sink=sink))
    return project.run("silver_orders")


def properties(project, table="silver.orders"):
    table = DeltaTable(str(project.lake / table.replace(".", "/")))
    return {key: value for key, value in table.metadata().configuration.items() if key.startswith("lakehouse.")}


def test_rules_of_a_contract_bind_every_job_under_it(project):
    record = send(project, sink="append: {table: silver.orders}")
    assert (record.rows_valid, record.rows_quarantined, record.rows_warned) == (2, 1, 1)
    (broken,) = project.rows("silver.orders__quarantine")
    assert [reason["rule"] for reason in broken["reasons"]] == ["small"]


def test_a_wrong_rule_of_a_contract_is_named_at_its_line(project):
    with pytest.raises(ConfigError, match=r"conf/contracts/orders.yml:10: there is no rule 'exr'"):
        send(project, contract=CONTRACT.replace("- expr", "- exr"))
    with pytest.raises(ConfigError, match=r"orders.yml:11: .*not_null.* has no option 'colum'"):
        send(project, contract=CONTRACT.replace("{{column", "{{colum"))


def test_the_table_and_the_run_record_say_which_contract_the_rows_came_in_by(project):
    record = send(project)
    contract, _ = load_mapping(Contract, project.root / "conf/contracts/orders.yml")
    mark = fingerprint(contract)
    assert (record.contract, record.contract_version, record.contract_fingerprint) == ("orders", "1.0.0", mark)
    assert read(Layout(str(project.lake)))[0] == record
    assert properties(project) == {
        "lakehouse.contract.orders.version": "1.0.0",
        "lakehouse.contract.orders.fingerprint": mark,
    }
    before = project.version("silver.orders")
    send(project, rows=[[4, 1, "2026-02-01 10:00:00"]])
    assert project.version("silver.orders") == before + 1, "the same contract costs no commit"
    later = send(project, rows=[[5, 1, "2026-02-01 10:00:00"]], version="1.1.0", more=", min: 0")
    assert project.version("silver.orders") == before + 3
    assert properties(project)["lakehouse.contract.orders.version"] == "1.1.0"
    assert properties(project)["lakehouse.contract.orders.fingerprint"] == later.contract_fingerprint != mark


def test_jobs_under_two_contracts_leave_each_others_mark_on_a_table_they_share(project):
    for name in ("orders", "web_orders"):
        send(project, rows=[[1, 5, "2026-01-01 10:00:00"]], name=name)
    assert len(properties(project)) == 4
    before = project.version("silver.orders")
    for name in ("orders", "web_orders"):
        send(project, rows=[[1, 5, "2026-02-01 10:00:00"]], name=name)
    assert project.version("silver.orders") == before + 2, "a commit for each MERGE, none for the marks"


@pytest.mark.parametrize("sink", [
    "scd2: {table: silver.orders, keys: [id], sequence_by: [at]}", "overwrite: {table: silver.orders}",
    "snapshot: {table: silver.orders, keys: [id], version_column: at, stored_as: 1}",
])  # fmt: skip
def test_every_table_sink_marks_its_table(project, sink):
    send(project, rows=[[1, 5, "2026-01-01 10:00:00"]], sink=sink)
    assert properties(project)["lakehouse.contract.orders.version"] == "1.0.0"
    assert read_table("silver.orders", lake=str(project.lake)).schema["amount"].metadata["comment"] == "in EUR"


# --- freshness


PROMISING = CONTRACT + "sla: {{freshness: 1 day, column: at}}\n"


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    return project


def status(capsys, *arguments):
    capsys.readouterr()
    code = command(["contract", "status", *arguments])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_a_table_older_than_promised_is_named_with_its_owner_at_each_run_and_by_status(here, capsys):
    job = JOB + "transforms:\n  - rename: {{columns: {{at: changed_at}}}}\n"
    here.write("conf/contracts/orders.yml", PROMISING.format(version="1.0.0", more=""))
    here.job("silver_orders", job.format(rows="[['1', '5', '2026-01-01 10:00:00']]", contract="orders",
                                         sink="append: {table: silver.orders}"))  # fmt: skip
    code, out, err = status(capsys)
    assert (code, err) == (3, "contract orders promises silver.orders no older than 1 day: there is no such table yet; "
                              "its owner is shop\n")  # fmt: skip
    (note,) = here.run("silver_orders").notes
    assert note.startswith("contract orders promises silver.orders no older than 1 day: late, changed_at is 2026-01-01 "
                           "10:00:00 UTC, ")  # fmt: skip
    assert note.endswith(" days ago; its owner is shop")
    code, out, err = status(capsys, "orders")
    assert code == 3
    assert out.splitlines()[2].split("  ")[-1].strip() == "late"
    assert err.startswith(note[:100])


def test_a_table_within_its_promise_is_fresh_and_without_a_column_its_last_good_run_counts(here, capsys):
    far = "3000-01-01 00:00:00"
    record = send(here, rows=[[1, 5, far]], contract=PROMISING)
    assert record.notes == ()
    code, out, _ = status(capsys, "--json")
    (found,) = json.loads(out)
    assert (code, found["state"], found["newest"]) == (0, "fresh", "3000-01-01 00:00:00+00:00")
    here.write("conf/contracts/orders.yml", CONTRACT.format(version="1.0.1", more="") + "sla: {freshness: 1 hour}\n")
    code, out, _ = status(capsys)
    row = out.splitlines()[2].split()
    assert (code, row[:3], row[-1]) == (0, ["orders", "1.0.1", "silver.orders"], "fresh")
    assert "1.0.0, another text" in out, "the table was written under an earlier text of the contract"
    here.write("conf/contracts/orders.yml", CONTRACT.format(version="1.0.1", more="") + "sla: {freshness: 0 seconds}\n")
    assert status(capsys)[0] == 3


def test_a_promise_by_a_column_that_is_none_is_refused(here, capsys):
    for column, said in (("ta", "'ta' is not among the fields"), ("id", "'id' is bigint; freshness needs a date or a")):
        with pytest.raises(ConfigError, match=said):
            send(here, contract=CONTRACT + f"sla: {{{{freshness: 1 day, column: {column}}}}}\n")
    with pytest.raises(
        ConfigError, match=r"orders.yml:12: 'sla.freshness' must be like '10 minutes' or '1 day', not 'daily'"
    ):
        send(here, contract=CONTRACT + "sla: {{freshness: daily}}\n")


def test_a_column_that_does_not_reach_the_table_cannot_tell(here, capsys):
    job = JOB + "transforms:\n  - drop: {{columns: [at]}}\n"
    here.write("conf/contracts/orders.yml", PROMISING.format(version="1.0.0", more=""))
    here.job("silver_orders", job.format(rows="[['1', '5', '2026-01-01 10:00:00']]", contract="orders",
                                         sink="append: {table: silver.orders}"))  # fmt: skip
    (note,) = here.run("silver_orders").notes
    assert "the table has no column 'at' to tell by" in note


def test_a_job_that_follows_the_table_is_not_disturbed_by_its_marks(project):
    project.job(
        "silver_copy",
        "layer: silver\nsource:\n  delta: {table: silver.orders}\nsink:\n  append: {table: silver.copy}\n",
    )
    read_ = []
    for number, version in enumerate(("1.0.0", "1.0.0", "1.1.0", "1.2.0"), 1):
        send(project, rows=[[number, 5, "2026-01-01 10:00:00"]], version=version, sink="append: {table: silver.orders}")
        read_.append(project.run("silver_copy").rows_read)
    send(project, rows=[], version="1.3.0", sink="append: {table: silver.orders}")
    assert [*read_, project.run("silver_copy").rows_read] == [1, 1, 1, 1, 0]


def test_a_masked_field_is_judged_as_it_came_and_written_masked(project):
    masked = CONTRACT.replace("at, type: timestamp", "at, type: timestamp, mask: year, pii: true")
    masked = masked.replace("{{name: id, type: bigint}}", "{{name: id, type: string, pattern: '^[0-9]+$', mask: hash}}")
    record = send(project, contract=masked)
    assert (record.rows_valid, record.rows_quarantined) == (2, 1)
    rows = {row["amount"]: row for row in project.rows("silver.orders")}
    assert (rows[5]["id"], str(rows[5]["at"])[:19]) == (hashlib.sha256(b"1").hexdigest(), "2026-01-01 00:00:00")
    assert rows[1]["at"] is None
    with pytest.raises(ConfigError, match=r"conf/contracts/orders.yml:6: .*cannot be 'gone'. Known: "):
        send(project, contract=CONTRACT.replace("type: bigint", "type: bigint, mask: gone"))
    with pytest.raises(
        ConfigError, match=r"conf/contracts/orders.yml:8: transform 'mask': at is timestamp: 'redact' is for text"
    ):
        send(project, contract=CONTRACT.replace("type: timestamp", "type: timestamp, mask: redact"))


CONSTRAINED = """
layer: silver
contract: orders
source: {files: {path: landing, format: json}}
transforms:
  - rename: {columns: {amount: total}}
  - derive: {columns: {country: upper(country)}}
  - filter: {where: id > 0}
sink: {merge: {table: silver.orders, keys: [id], constraints: contract}}
"""
FIELDS = """
name: orders
version: 1.0.0
keys: [id]
fields:
  - {name: id, type: bigint}
  - {name: amount, type: "decimal(12,2)", required: true, min: 0, max: 100.5}
  - {name: status, type: string, allowed: [new, "it's paid"]}
  - {name: code, type: string, pattern: '^\\d{2}$'}
  - {name: country, type: string, required: true}
  - {name: kind, type: int, allowed: [1, 2]}
  - {name: at, type: date, min: "2026-01-01"}
  - {name: mail, type: string, mask: hash, pattern: "@"}
"""
GOOD = {
    "id": 1,
    "amount": 5,
    "status": "it's paid",
    "code": "12",
    "country": "de",
    "kind": 1,
    "at": "2026-01-01",
    "mail": "a@b",
}


def checks(spark, project):
    return table_checks.checks(lake.snapshot(spark, str(project.lake / "silver/orders")).properties)


def test_a_table_can_hold_what_the_contract_says_of_the_columns_that_stay(spark, project, monkeypatch, capsys):
    project.write("conf/contracts/orders.yml", FIELDS)
    project.job("orders", CONSTRAINED)
    blank = dict.fromkeys(GOOD) | {"id": 2, "amount": 100.5, "country": "fr"}
    broken = [{**GOOD, "id": number, **change} for number, change in enumerate(
        ({"amount": -1}, {"amount": None}, {"status": "old"}, {"code": "123"}, {"kind": 3}, {"at": "2025-12-31"}), 10
    )]  # fmt: skip
    project.write("landing/1.json", "".join(json.dumps(row) + "\n" for row in (GOOD, blank, *broken)))
    record = project.run("orders")
    assert (record.rows_to_sink, record.rows_quarantined) == (2, 6)
    assert sorted(checks(spark, project)) == [
        "contract_amount_range", "contract_amount_required", "contract_at_range", "contract_code_pattern",
        "contract_id_required", "contract_kind_allowed", "contract_status_allowed",
    ]  # fmt: skip
    project.write("landing/2.json", json.dumps({**GOOD, "status": "new"}) + "\n")
    before = lake.snapshot(spark, str(project.lake / "silver/orders")).version
    assert project.run("orders").rows_updated == 1
    assert lake.snapshot(spark, str(project.lake / "silver/orders")).version == before + 1
    path = f"delta.`{project.lake}/silver/orders`"
    for change in (
        "total = -1",
        "total = NULL",
        "status = 'old'",
        "code = '1'",
        "kind = 3",
        "at = DATE '2025-01-01'",
        "id = NULL",
    ):
        with pytest.raises(Exception, match="DELTA_VIOLATE_CONSTRAINT_WITH_VALUES"):
            spark.sql(f"UPDATE {path} SET {change} WHERE id = 1")


def test_constraints_follow_the_contract_and_a_stricter_one_stops_at_rows_that_are_there(
    spark, project, monkeypatch, capsys
):
    monkeypatch.chdir(project.root)
    project.write("conf/contracts/orders.yml", FIELDS)
    project.job("orders", CONSTRAINED)
    project.write("landing/1.json", json.dumps(GOOD) + "\n")
    project.run("orders")
    looser = FIELDS.replace("1.0.0", "1.1.0").replace("[1, 2]", "[1, 2, 3]").replace(", pattern: '^\\d{2}$'", "")
    project.write("conf/contracts/orders.yml", looser)
    project.write("landing/2.json", json.dumps({**GOOD, "id": 2, "kind": 3, "code": "x"}) + "\n")
    assert command(["plan", "orders"]) == 0
    said = capsys.readouterr().out
    assert "constraint contract_kind_allowed: `kind` IS NULL OR `kind` IN (1, 2, 3)" in said
    assert "no constraint contract_code_pattern any more" in said
    assert project.run("orders").rows_inserted == 1
    assert checks(spark, project)["contract_kind_allowed"].endswith("( 1 , 2 , 3 )")
    assert "contract_code_pattern" not in checks(spark, project)
    assert command(["plan", "orders"]) == 0
    assert "constraint" not in capsys.readouterr().out
    project.write("conf/contracts/orders.yml", looser.replace("1.1.0", "2.0.0").replace("[1, 2, 3]", "[1, 2]"))
    project.write("landing/3.json", json.dumps({**GOOD, "id": 3}) + "\n")
    with pytest.raises(SinkError, match=r"silver\.orders: 1 row breaks the new constraint"):
        project.run("orders")


def test_constraints_of_a_contract_need_one(project):
    project.job("orders", CONSTRAINED.replace("contract: orders\n", ""))
    with pytest.raises(ConfigError, match=r"orders\.yml:\d+: sink 'merge': 'constraints: contract' needs a contract"):
        project.run("orders")
    project.write("conf/contracts/orders.yml", FIELDS)
    project.job("orders", CONSTRAINED.replace("constraints: contract", "constraints: contarct"))
    with pytest.raises(ConfigError, match=r"orders\.yml:\d+: .*constraints"):
        project.run("orders")
