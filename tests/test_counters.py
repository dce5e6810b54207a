"""What a run costs, held by counters and not by time: Spark jobs, commits, files replaced, rows copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from lakehouse import holding, lake, rule_results
from lakehouse.batches import evidence
from lakehouse.change_data import event_log
from lakehouse.commits import Commit
from lakehouse.tables import Layout

ROWS = "rows: {{schema: 'id int, v int', rows: {rows}}}"
RULES = "".join(f"  - in_range: {{{{column: v, max: {100 + number}, name: r{number}}}}}\n" for number in range(50))
MERGE = """
layer: silver
source:
  files: {path: landing, format: parquet}
schema: "id int, v int"
sink:
  merge: {table: silver.t, keys: [id], sequence_by: [v]}
"""


def jobs_run(spark) -> int:
    """How many Spark jobs the application has run."""
    return spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs()


def log(project, table: str) -> list[list[dict[str, Any]]]:
    """The actions of each commit of a table, oldest first."""
    files = sorted((project.lake / table.replace(".", "/") / "_delta_log").glob("*.json"))
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in files]


def operation(commit: list[dict[str, Any]]) -> tuple[str, dict[str, int]]:
    """What a commit says that it was, and its metrics."""
    info = next(action["commitInfo"] for action in commit if "commitInfo" in action)
    return info["operation"], {name: int(value) for name, value in info["operationMetrics"].items() if value.isdigit()}


def land(project, spark, number: int, first: int, last: int, v: int = 0) -> None:
    """A Parquet file of the rows in [first, last)."""
    rows = spark.range(first, last, 1, 1).selectExpr("cast(id as int) id", f"cast({v} as int) v")
    rows.write.parquet(str(project.root / f"landing/{number}.parquet"))


def test_the_number_of_spark_jobs_does_not_grow_with_the_number_of_rules(project, spark):
    spark.range(1000).selectExpr("cast(id as int) id", "cast(id % 90 as int) v").write.parquet(
        str(project.root / "data")
    )
    jobs, lines = {}, RULES.format().splitlines(keepends=True)
    for number in (1, 10, 50):
        text = "layer: silver\nsource:\n  files: {path: data, format: parquet}\nrules:\n" + "".join(lines[:number])
        project.job(f"rules{number}", text + f"sink:\n  append: {{table: silver.rules{number}}}\n")
        before = jobs_run(spark)
        assert project.run(f"rules{number}").rows_valid == 1000
        jobs[number] = jobs_run(spark) - before
    assert jobs[1] == jobs[10] == jobs[50] <= 4, jobs


def test_only_broken_rows_cost_a_quarantine(project, spark):
    jobs = {}
    for name, rows in (("clean", "[[1, 1], [2, 2]]"), ("broken", "[[1, 1], [2, 999]]")):
        project.job(
            name,
            f"""
            layer: silver
            source:
              {ROWS.format(rows=rows)}
            rules:
              - in_range: {{column: v, max: 100}}
            sink:
              append: {{table: silver.{name}}}
            """,
        )
        before = jobs_run(spark)
        project.run(name)
        jobs[name] = jobs_run(spark) - before
    assert not (project.lake / "silver/clean__quarantine").exists()
    assert len(log(project, "silver.broken__quarantine")) == 1
    assert jobs["clean"] < jobs["broken"]


def test_a_batch_is_one_commit_and_nothing_new_is_none(project, spark):
    project.job("t", MERGE)
    tables, versions = ("silver.t", "_runs"), []
    for number, first in enumerate((0, 50, None)):
        if first is not None:
            land(project, spark, number, first, first + 100)
        project.run("t")
        versions.append([len(log(project, table)) for table in tables])
    assert versions == [[1, 1], [2, 2], [2, 3]]
    assert not (project.lake / "silver/t__quarantine").exists()
    before = jobs_run(spark)
    project.run("t")
    assert jobs_run(spark) == before, "nothing new is found without a Spark job"


APPEND = """
layer: bronze
source:
  files: {path: landing, format: parquet}
read: incremental
schema: "id int, v int"
sink:
  append: {table: bronze.t}
"""


def test_an_append_looks_at_no_file_of_its_table_and_is_made_once(project, spark):
    project.job("t", APPEND)
    jobs = []
    for number in range(4):
        land(project, spark, number, number * 10, number * 10 + 10)
        before = jobs_run(spark)
        project.run("t")
        jobs.append(jobs_run(spark) - before)
    assert max(jobs[1:]) <= 2, jobs  # the rows are written, what there is of them is counted
    path = str(project.lake / "bronze/t")
    last = lake.snapshot(spark, path)
    (app, batch), *others = last.batches.items()
    assert not others
    lake.save(spark.range(5).selectExpr("cast(id as int) id"), path, Commit(app, batch), mode="append")
    assert lake.snapshot(spark, path).version == last.version, "this very batch is in"
    assert DeltaTable(path).transaction_version(app) == batch
    wider = spark.range(5).selectExpr("cast(id as int) id", "'x' more")
    lake.save(wider, path, Commit(app, batch + 1), mode="append", options={"mergeSchema": "true"})
    assert lake.snapshot(spark, path).schema.names[-1] == "more"
    assert lake.snapshot(spark, path).batches == {app: batch + 1}


def test_an_append_goes_by_the_settings_of_its_rows_session(spark, tmp_path):
    own = spark.newSession()
    own.conf.set("spark.databricks.delta.writeChecksumFile.enabled", "false")
    path = tmp_path / "t"
    for batch in range(2):
        rows = own.range(1)
        spark.createDataFrame([(1,)], "id int")  # which makes this session the thread's
        lake.save(rows, str(path), Commit("job/t", batch), mode="append")
    assert [len(list((path / "_delta_log").glob(f"0*1.{kind}"))) for kind in ("json", "crc")] == [1, 0]


def test_an_append_to_a_partitioned_table_lays_its_rows_where_they_belong(spark, tmp_path):
    path = str(tmp_path / "t")
    for batch in range(2):
        rows = spark.range(4).selectExpr("id", "id % 2 as part")
        lake.save(rows, path, Commit("job/t", batch), mode="append", partition_by=["part"])
    assert all("/part=" in file for file in DeltaTable(path).file_uris())
    assert spark.read.format("delta").load(path).where("part = 1").count() == 4


@pytest.fixture
def table(project, spark) -> Path:
    """A target of four files, each with its own range of keys."""
    project.job("t", MERGE)
    place = project.lake / "silver/t"
    rows = spark.range(0, 4000, 1, 4).selectExpr("cast(id as int) id", "0 v")
    rows.write.format("delta").option("delta.enableDeletionVectors", "true").save(str(place))
    return place


def test_a_merge_of_changes_that_lie_together_reads_their_files_alone_and_copies_no_row(project, spark, table):
    last = [action["add"]["path"] for action in log(project, "silver.t")[0] if "add" in action][-1]
    land(project, spark, 1, 3900, 4100, v=1)
    assert project.run("t").rows_updated == 100
    name, metrics = operation(log(project, "silver.t")[-1])
    assert name == "MERGE"
    assert metrics["numTargetRowsCopied"] == 0
    assert (metrics["numTargetRowsUpdated"], metrics["numTargetRowsInserted"]) == (100, 100)
    touched = {
        action[kind]["path"] for action in log(project, "silver.t")[-1] for kind in ("remove",) if kind in action
    }
    assert touched == {last}


def test_where_no_key_can_be_there_a_merge_is_a_plain_append(project, spark, table):
    land(project, spark, 1, 5000, 5100)
    assert project.run("t").rows_inserted == 100
    commit = log(project, "silver.t")[-1]
    assert operation(commit)[0] == "WRITE"
    assert not [action for action in commit if "remove" in action]


def test_changes_that_change_nothing_touch_no_file(project, spark, table):
    land(project, spark, 1, 100, 200)
    record = project.run("t")
    assert (record.rows_to_sink, record.rows_unchanged) == (100, 100)
    assert not [action for action in log(project, "silver.t")[-1] if "add" in action or "remove" in action]


def test_a_batch_of_which_no_row_is_left_is_no_commit(project, spark, table):
    project.job("t", MERGE + "rules:\n  - in_range: {column: v, max: 100, on_fail: drop}\n")
    land(project, spark, 1, 100, 200, v=999)
    assert project.run("t").rows_dropped == 100
    assert len(log(project, "silver.t")) == 1


HISTORY = MERGE.replace("merge:", "scd2:")


def test_a_batch_of_change_data_is_twenty_jobs_and_one_that_changes_nothing_is_ten_and_no_commit(project, spark):
    project.job("t", HISTORY)
    jobs, versions = [], []
    for number, (first, last, v) in enumerate([(0, 1000, 0), (200, 300, 1), (250, 350, 2), (250, 350, 2)]):
        land(project, spark, number, first, last, v)
        before = jobs_run(spark)
        project.run("t")
        jobs.append(jobs_run(spark) - before)
        versions.append([len(log(project, table)) for table in ("silver.t", "_state.silver/t")])
    assert max(jobs[:3]) <= 20, jobs
    assert jobs[3] <= 10, jobs
    assert versions == [[1, 1], [2, 2], [3, 3], [3, 3]]


def test_the_files_of_remembered_events_are_put_together_now_and_then(project, spark, monkeypatch):
    monkeypatch.setattr(event_log, "_TOGETHER", 3)
    project.job("t", HISTORY)
    files = []
    for number in range(7):
        land(project, spark, number, 0, 10, v=number)
        project.run("t")
        files.append(len(DeltaTable(str(project.lake / "_state/silver/t")).file_uris()))
    assert max(files) <= 3, files
    assert len(project.rows("_state.silver/t")) == 70


def test_a_rule_that_no_row_breaks_is_not_asked_again_for_the_quarantine(project, monkeypatch):
    rules = "".join(f"  - expr: {{sql: v <> {number}, name: r{number}}}\n" for number in range(70))
    source = "layer: silver\nsource:\n  rows: {schema: 'v int', rows: [[3], [65], [3], [500]]}\n"
    project.job("t", f"{source}rules:\n{rules}sink:\n  append: {{table: silver.t}}\n")
    checked, upheld = evidence.checked, []
    monkeypatch.setattr(evidence, "checked", lambda batch, raw: upheld.append(batch.upheld) or checked(batch, raw))
    assert project.run("t").rows_quarantined == 3
    assert upheld == [frozenset(range(63)) - {3}]
    broken = DeltaTable(str(project.lake / "silver/t__quarantine")).to_pyarrow_table().to_pylist()
    reasons = sorted((row["row"], [reason["rule"] for reason in row["reasons"]]) for row in broken)
    assert reasons == [('{"v":3}', ["r3"]), ('{"v":3}', ["r3"]), ('{"v":65}', ["r65"])]
    found = {row["rule"]: row["failed"] for row in rule_results.read(Layout(str(project.lake)), "t")}
    assert {name: failed for name, failed in found.items() if failed} == {"r3": 2, "r65": 1} and len(found) == 70


def test_a_plan_is_compiled_where_there_is_much_to_read(project, spark, monkeypatch):
    project.job("t", MERGE)
    compiled = spark._jvm.org.apache.spark.metrics.source.CodegenMetrics.METRIC_COMPILATION_TIME()
    taken = []
    for number, little in enumerate((holding.LITTLE, -1)):
        monkeypatch.setattr(holding, "LITTLE", little)
        land(project, spark, number, 0, 10 + number)
        before = compiled.getCount()
        project.run("t")
        taken.append(compiled.getCount() - before)
    assert taken[0] < 10 < taken[1], taken
