"""`lakehouse plan`: what a run would read, create, write and alter, and what it refuses; it writes nothing."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from lakehouse.cli import command
from lakehouse.pipeline import progress

BRONZE = "layer: bronze\nsource:\n  files: {path: landing, format: csv}\nsink:\n  append: {table: bronze.orders}\n"
SILVER = """\
layer: silver
source:
  delta: {table: bronze.orders}
schema: "id bigint, at int, amount int"
sink:
  merge: {table: silver.orders, keys: [id], sequence_by: [at]}
"""
HISTORY = """\
layer: silver
source:
  delta: {table: bronze.orders}
schema: "id bigint, at int, amount int"
sink:
  scd2: {table: silver.history, keys: [id], sequence_by: [at], except_column_list: [at], current_flag: true, keep_previous: [amount]}
"""
GOLD = 'layer: gold\ninputs: [silver.orders]\nsource:\n  sql: {{query: "SELECT {} FROM silver.orders"}}\nsink:\n  overwrite: {{table: gold.totals}}\n'
JOBS = ("bronze_orders", "silver_history", "silver_orders", "gold_totals")


@pytest.fixture
def shop(project, monkeypatch):
    monkeypatch.chdir(project.root)
    project.write("landing/1.csv", "id,at,amount\n1,1,10\n2,1,20\n")
    for name, text in zip(JOBS, (BRONZE, HISTORY, SILVER, GOLD.format("id, amount")), strict=True):
        project.job(name, text)
    return project


@pytest.fixture
def planned(shop, capsys):
    """What `plan` answers, job by job, its exit code, and its errors; the lake stays as it was to the byte."""

    def plan(*arguments: str):
        before, _ = contents(shop), capsys.readouterr()
        code = command(["plan", *arguments, "--json"])
        said = capsys.readouterr()
        assert contents(shop) == before
        return {found["job"]: found for found in map(json.loads, said.out.splitlines())}, code, said.err

    return plan


def contents(project) -> dict[str, str]:
    files = [file for file in project.root.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def kinds(table: dict) -> dict[str, tuple]:
    return {column["name"]: (column["kind"], column["before"], column["after"]) for column in table["columns"]}


def test_a_plan_creates_then_nothing_then_alters_and_refuses_what_breaks_readers(shop, planned, capsys):
    found, code, _ = planned("bronze_orders", "silver_orders")
    bronze, silver = found["bronze_orders"], found["silver_orders"]
    assert (code, bronze["tables"][0]["action"], silver["tables"][0]["action"]) == (0, "create", "create")
    (read,) = bronze["reads"]
    assert (read["files"], read["bytes"], read["new"]) == (1, 27, True)
    assert read["rows"] == 2  # estimated: the file's lines
    assert kinds(bronze["tables"][0])["amount"] == ("added", None, "string")
    assert bronze["downstream"] == ["silver_orders", "gold_totals", "silver_history"]
    assert "source bronze.orders does not exist" in silver["notes"][0]
    assert command(["run", "--all"]) == 0

    found, code, _ = planned(*JOBS)
    assert [found[name]["changes"] for name in JOBS] == [False] * 4
    assert not any(table["columns"] for name in JOBS for table in found[name]["tables"])
    assert command(["plan", "silver_orders"]) == 0
    assert "no changes: nothing new to read, tables as the job says" in capsys.readouterr().out

    shop.write("landing/2.csv", "id,at,amount,note\n1,2,30,x\n3,1,5,y\n")
    assert command(["run", "bronze_orders"]) == 0
    shop.job("silver_orders", SILVER + "transforms:\n  - derive: {columns: {twice: amount * 2}}\n")
    shop.job("gold_totals", GOLD.format("CAST(amount AS smallint) AS amount"))
    found, code, said = planned(*JOBS)
    assert (found["bronze_orders"]["changes"], code) == (False, 2)
    (read,), (table,) = found["silver_orders"]["reads"], found["silver_orders"]["tables"]
    assert (read["from_version"], read["version"], read["rows"]) == (1, 1, 2)
    # under a schema of its own the table takes no new columns, unless asked
    assert (table["action"], table["ignored"], table["columns"]) == ("write", ["twice"], []) or kinds(table)
    (gold,) = found["gold_totals"]["tables"]
    assert kinds(gold) == {"amount": ("narrowed", "int", "smallint"), "id": ("dropped", "bigint", None)}
    assert gold["breaking"] == ["amount", "id"]
    assert re.search(r"gold_totals.yml:\d+: sink 'overwrite': gold.totals breaks: amount int -> smallint \(narrower\), id bigint \(dropped\); "
                     "keep them, or say --allow-breaking", said)  # fmt: skip
    assert planned("gold_totals", "--allow-breaking")[1] == 0
    progress.begin(str(shop.lake / "_checkpoints" / "bronze_orders"), progress.Progress("x"), progress.Intent(
        "dead", 2, progress.datetime.now(), {"files": []}, {}))  # fmt: skip
    found, _, _ = planned("bronze_orders", "--no-spark")
    assert "run dead died with a batch in hand" in found["bronze_orders"]["notes"][0]
    assert found["bronze_orders"]["tables"][0]["action"] == "write"


def test_what_a_table_refuses_is_said_before_a_run_and_wider_types_are_told_from_narrower_ones(shop, planned):
    rows = 'layer: silver\nsource:\n  rows: {{schema: "{}, n int", rows: [[1, 1]]}}\nsink:\n  append: {{table: silver.t{}}}\n'
    shop.job("t", rows.format("id int", ""))
    assert command(["run", "t"]) == 0
    shop.job("t", rows.format("id bigint", ""))
    found, code, said = planned("t", "--allow-breaking")
    assert (code, kinds(found["t"]["tables"][0])["id"]) == (2, ("widened", "int", "bigint"))
    assert "a run would refuse this: id is int in silver.t and now bigint; cast it" in said
    shop.job("t", rows.format("id bigint", ", type_widening: true, constraints: {positive: n > 0}"))
    found, code, _ = planned("t")
    (table,) = found["t"]["tables"]
    assert (code, table["action"], table["settings"]) == (0, "alter", ["constraint positive: n > 0"])
    assert command(["run", "t"]) == 0
    found, code, _ = planned("t")
    assert (code, found["t"]["changes"]) == (0, False)
    shop.job("t", rows.format("id bigint", ", type_widening: true, partition_by: [id]"))
    assert "silver.t is not partitioned, and partition_by says id" in planned("t")[2]
    # what delta-rs cannot scan has a log that it can read
    shop.job("u", "layer: gold\nsource:\n  delta: {table: silver.t}\nsink:\n  overwrite: {table: gold.u}\n")
    found, code, _ = planned("u")
    assert (code, found["u"]["reads"][0]["version"] > 0, found["u"]["tables"][0]["action"]) == (0, True, "create")


def test_a_change_feed_and_deleted_rows_are_counted(shop, planned):
    feed = "layer: silver\nsource:\n  delta: {{table: silver.orders, changes: true}}\nsink:\n  append: {{table: silver.{}}}\n"
    shop.job("silver_orders", SILVER.replace("[at]", "[at], table_properties: {delta.enableChangeDataFeed: 'true'}"))
    assert command(["run", "bronze_orders", "silver_orders"]) == 0
    shop.job("feed", feed.format("feed"))
    assert command(["run", "feed"]) == 0
    shop.write("landing/2.csv", "id,at,amount\n1,2,30\n3,1,5\n")
    assert command(["run", "bronze_orders", "silver_orders"]) == 0
    found, code, said = planned("feed", "gold_totals")
    assert not code, said
    (read,) = found["feed"]["reads"]
    assert (code, read["rows"], read["from_version"]) == (0, 3, 1)  # one update (before and after), one insert
    assert found["gold_totals"]["reads"][0]["rows"] == 3  # the row that was updated lies in its old file, deleted
