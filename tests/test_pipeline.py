"""The job's path from end to end: reads, rules, writes, counts, crashes and repeats."""

from __future__ import annotations

import json

import pytest

from conftest import balanced
from lakehouse import ConfigError, DataError, LakehouseError, SinkError
from lakehouse.testing.faults import crash_at

BRONZE = """
layer: bronze
source:
  files: {path: data, format: csv}
sink:
  append: {table: bronze.orders}
"""
SILVER = """
layer: silver
source:
  delta: {table: bronze.orders}
schema: "id int, amount decimal(10,2), name string, ts timestamp"
rules:
  - not_null: {column: id}
  - in_range: {column: amount, min: 0}
transforms:
  - trim: {columns: [name]}
sink:
  merge: {table: silver.orders, keys: [id], sequence_by: [ts]}
"""
DAY_1 = """id,amount,name,ts
1,1.50, a ,2026-01-01 00:00:00
2,-3,b,2026-01-01 00:00:00
x,4,c,2026-01-01 00:00:00
4,4,d
1,2.50,a2,2026-01-02 00:00:00
"""
DAY_2 = """name,id,ts,amount
"e,""q""\nz",5,2026-01-01 00:00:00,7
late,1,2026-01-01 12:00:00,9
"""


@pytest.fixture
def shop(project):
    project.job("bronze_orders", BRONZE)
    project.job("silver_orders", SILVER)
    project.write("data/1.csv", DAY_1)
    return project


def silver(shop):
    return [(row["id"], str(row["amount"]), row["name"]) for row in shop.rows("silver.orders")]


def test_bronze_keeps_every_record_and_says_where_it_came_from(shop):
    record = shop.run("bronze_orders")
    rows = shop.rows("bronze.orders")
    assert (record.rows_read, record.rows_to_sink, len(rows)) == (5, 5, 5)
    assert balanced(record)
    broken = [row for row in rows if row["_rescued_data"]]
    assert json.loads(broken[0]["_rescued_data"]) == {
        "_corrupt_record": "4,4,d",
        "_file_path": str(shop.root / "data/1.csv"),
    }
    assert broken[0]["id"] is None
    assert {row["_source_file"] for row in rows} == {str(shop.root / "data/1.csv")}
    assert {row["_run_id"] for row in rows} == {record.run_id}


def test_silver_keeps_the_latest_valid_row_of_each_key_whatever_the_order_of_arrival(shop):
    shop.run("bronze_orders")
    first = shop.run("silver_orders")
    assert (first.rows_read, first.rows_valid, first.rows_quarantined) == (5, 2, 3)
    assert balanced(first)
    shop.write("data/2.csv", DAY_2)
    shop.run("bronze_orders")
    second = shop.run("silver_orders")
    assert (second.rows_read, second.rows_inserted, second.rows_updated, second.rows_unchanged) == (2, 1, 0, 1)
    assert balanced(second)
    assert silver(shop) == [(1, "2.50", "a2"), (5, "7.00", 'e,"q"\nz')]


def test_a_broken_row_is_quarantined_as_it_came_with_all_its_reasons(shop):
    shop.run("bronze_orders")
    shop.run("silver_orders")
    rows = {json.loads(row["row"])["id"]: row for row in shop.rows("silver.orders__quarantine")}
    assert {reason["rule"] for reason in rows["x"]["reasons"]} == {"type", "not_null(id)"}
    assert json.loads(rows["2"]["row"])["amount"] == "-3"
    assert rows["2"]["source"] == str(shop.root / "data/1.csv")
    assert rows["2"]["status"] == "open"
    assert len({row["id"] for row in rows.values()}) == 3


def test_nothing_new_writes_no_version_and_succeeds(shop):
    for name in ("bronze_orders", "silver_orders"):
        shop.run(name)
    before = [shop.version(table) for table in ("bronze.orders", "silver.orders", "silver.orders__quarantine")]
    for name in ("bronze_orders", "silver_orders"):
        record = shop.run(name)
        assert (record.state, record.rows_read, record.batches) == ("succeeded", 0, 0)
    assert [shop.version(table) for table in ("bronze.orders", "silver.orders", "silver.orders__quarantine")] == before


def test_every_run_is_on_record_also_a_failed_one(shop):
    shop.run("bronze_orders")
    shop.job("silver_orders", SILVER.replace("delta: {table: bronze.orders}", "delta: {table: bronze.nothing}"))
    with pytest.raises(DataError, match=r"bronze\.nothing does not exist"):
        shop.run("silver_orders")
    states = {row["job"]: (row["state"], row["error"]) for row in shop.rows("_runs")}
    assert states["bronze_orders"] == ("succeeded", None)
    assert states["silver_orders"][0] == "failed"
    assert "bronze.nothing" in states["silver_orders"][1]


@pytest.mark.parametrize("step", ["write", "quarantine", "progress", "record"])
def test_a_run_that_died_is_finished_by_the_next_one(shop, step):
    """The fault lies right after each write of a run; the tables end as if it had never been."""
    shop.run("bronze_orders")
    with crash_at(step, "silver_orders") as fault, pytest.raises(LakehouseError, match="was interrupted"):
        shop.run("silver_orders")
    assert fault.hit
    record = shop.run("silver_orders")
    assert record.state == "succeeded"
    assert silver(shop) == [(1, "2.50", "a2")]
    assert len(shop.rows("silver.orders__quarantine")) == 3
    recorded = [row for row in shop.rows("_runs") if row["job"] == "silver_orders"]
    assert sum(row["rows_read"] for row in recorded) == 5
    assert sum(row["rows_quarantined"] for row in recorded) == 3


def test_a_gate_leaves_the_target_untouched_and_keeps_the_evidence_until_it_is_judged_again(shop):
    shop.run("bronze_orders")
    shop.job("silver_orders", SILVER + "quality_gate: {max_quarantined: 35%}\n")
    with pytest.raises(DataError, match=r"3 of 5 rows \(60.0%\) are broken \(not_null\(id\): 2.*allows 35.0%"):
        shop.run("silver_orders")
    assert not (shop.lake / "silver" / "orders").exists()
    assert len(shop.rows("silver.orders__quarantine")) == 3
    shop.job("silver_orders", SILVER + "quality_gate: {max_quarantined: 60%}\n")
    shop.run("silver_orders")
    assert silver(shop) == [(1, "2.50", "a2")]
    assert len(shop.rows("silver.orders__quarantine")) == 3


def test_a_fail_rule_names_the_rule_and_the_rows_it_fails(shop):
    shop.run("bronze_orders")
    shop.job("silver_orders", SILVER.replace("{column: amount, min: 0}", "{column: amount, min: 0, on_fail: fail}"))
    with pytest.raises(DataError, match=r"1 of 5 rows fail the run: in_range\(amount\): 1"):
        shop.run("silver_orders")
    failed = next(row for row in shop.rows("_runs") if row["state"] == "failed")
    assert failed["rows_read"] == failed["rows_valid"] + failed["rows_quarantined"] + failed["rows_dropped"]


def test_zero_rows_fail_a_gate_unless_they_are_allowed(project):
    project.write("data/1.csv", "id\n")
    text = BRONZE + "quality_gate: {min_rows: 1}\n"
    project.job("bronze_orders", text)
    with pytest.raises(DataError, match="0 rows"):
        project.run("bronze_orders")
    project.job("bronze_orders", text + "allow_empty: true\n")
    assert project.run("bronze_orders").state == "succeeded"


def test_a_rule_that_errs_for_a_row_breaks_that_row_alone(project):
    project.job(
        "rows",
        """
        layer: silver
        source:
          rows: {schema: "id int, text string", rows: [[1, "5"], [2, "x"], [3, null], [4, "0"]]}
        rules:
          - expr: {sql: "cast(text as int) >= 0", name: a}
          - expr: {sql: "10 / cast(text as int) > 0", name: b}
        sink:
          append: {table: silver.rows}
        """,
    )
    record = project.run("rows")
    assert (record.rows_valid, record.rows_quarantined) == (2, 2)
    assert [row["id"] for row in project.rows("silver.rows")] == [1, 3]


@pytest.mark.parametrize(("on_fail", "fates"), [("drop", (1, 0, 1)), ("warn", (2, 0, 0)), ("quarantine", (1, 1, 0))])
def test_each_row_has_one_fate(project, on_fail, fates):
    project.job(
        "rows",
        f"""
        layer: silver
        source:
          rows: {{schema: "id int", rows: [[1], [-2]]}}
        rules:
          - in_range: {{column: id, min: 0, on_fail: {on_fail}}}
        sink:
          append: {{table: silver.rows}}
        """,
    )
    record = project.run("rows")
    assert (record.rows_valid, record.rows_quarantined, record.rows_dropped) == fates
    assert balanced(record)


def test_different_rows_of_one_key_without_a_sequence_are_an_error_that_names_the_key(project):
    project.job(
        "rows",
        """
        layer: silver
        source:
          rows: {schema: "id int, v int", rows: [[1, 1], [1, 2], [7, 3], [7, 3]]}
        sink:
          merge: {table: silver.rows, keys: [id]}
        """,
    )
    with pytest.raises(DataError, match=r"1 key has different rows in one batch \(id=1\)"):
        project.run("rows")
    assert not (project.lake / "silver" / "rows").exists()


def test_null_keys_are_refused(project):
    project.job(
        "rows",
        """
        layer: silver
        source:
          rows: {schema: "id int, v int", rows: [[null, 1]]}
        sink:
          merge: {table: silver.rows, keys: [id]}
        """,
    )
    with pytest.raises(DataError, match=r"1 row has NULL in the key \(id\)"):
        project.run("rows")


def test_sinks_share_the_rows_and_say_which_fitted_none(project):
    project.job(
        "rows",
        """
        layer: silver
        source:
          rows: {schema: "id int, kind string", rows: [[1, a], [2, b], [3, a], [4, c]]}
        exclusive: true
        sinks:
          - where: kind = 'a'
            append: {table: silver.a}
          - where: id <= 2
            append: {table: silver.low}
        """,
    )
    record = project.run("rows")
    assert [row["id"] for row in project.rows("silver.a")] == [1, 3]
    assert [row["id"] for row in project.rows("silver.low")] == [2]
    assert (record.rows_to_sink, record.rows_unrouted) == (3, 1)
    assert balanced(record)


def test_extras_of_a_transform_go_to_the_quarantine_as_they_came(project):
    project.job(
        "rows",
        """
        layer: silver
        source:
          rows: {schema: "id int, v string", rows: [[1, a], [1, a], [2, b]]}
        transforms:
          - derive: {columns: {w: upper(v)}}
          - deduplicate: {keys: [id], extras: quarantine}
          - select: {columns: [id, w]}
        sink:
          append: {table: silver.rows}
        """,
    )
    record = project.run("rows")
    assert (record.rows_read, record.rows_valid, record.rows_quarantined) == (3, 2, 1)
    broken = project.rows("silver.rows__quarantine")
    assert [json.loads(row["row"]) for row in broken] == [{"id": 1, "v": "a"}]
    assert project.rows("silver.rows") == [{"id": 1, "w": "A"}, {"id": 2, "w": "B"}]


def test_a_checkpoint_that_is_gone_is_a_refusal_until_a_full_refresh(shop):
    import shutil

    shop.run("bronze_orders")
    shutil.rmtree(shop.lake / "_checkpoints")
    with pytest.raises(SinkError, match=r"checkpoint .* is gone.*--full-refresh"):
        shop.run("bronze_orders")
    assert len(shop.rows("bronze.orders")) == 5
    assert shop.run("bronze_orders", full_refresh=True).rows_read == 5
    assert len(shop.rows("bronze.orders")) == 5


def test_a_target_that_is_gone_is_a_refusal(shop):
    import shutil

    shop.run("bronze_orders")
    shop.run("silver_orders")
    shutil.rmtree(shop.lake / "silver" / "orders")
    shop.write("data/2.csv", DAY_2)
    shop.run("bronze_orders")
    with pytest.raises(SinkError, match=r"silver\.orders is gone"):
        shop.run("silver_orders")


def test_a_wrong_column_is_named_with_its_line_before_anything_is_written(shop):
    shop.run("bronze_orders")
    shop.job("silver_orders", SILVER.replace("keys: [id]", "keys: [idd]").replace("columns: [name]", "columns: [nam]"))
    with pytest.raises(
        ConfigError, match=r"silver_orders\.yml:10: transform 'trim': no column 'nam'\. Did you mean 'name'"
    ):
        shop.run("silver_orders")
    shop.job("silver_orders", SILVER.replace("keys: [id]", "keys: [idd]"))
    with pytest.raises(ConfigError, match=r"silver_orders\.yml:12: sink 'merge': no column 'idd'\. Did you mean 'id'"):
        shop.run("silver_orders")
    assert not (shop.lake / "silver").exists()


def test_a_source_read_in_full_again_and_again_quarantines_a_row_once(shop):
    shop.run("bronze_orders")
    shop.job("all", SILVER.replace("schema:", "read: full\nschema:").replace("silver.orders", "silver.all"))
    first, again = shop.run("all"), shop.run("all")
    assert (first.rows_quarantined, again.rows_quarantined) == (3, 3)
    kept = shop.rows("silver.all__quarantine")
    assert len(kept) == len({row["id"] for row in kept}) == 3
    assert {row["run_id"] for row in kept} == {first.run_id}
    shop.write("data/2.csv", "id,amount,name,ts\n9,-9,z,2026-01-01 00:00:00\n")
    shop.run("bronze_orders")
    third = shop.run("all")
    assert third.rows_quarantined == 4
    assert [row["run_id"] for row in shop.rows("silver.all__quarantine", "first_seen")] == [first.run_id] * 3 + [
        third.run_id
    ]
