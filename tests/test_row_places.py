"""Rows of a Delta table that are taken out where they lie, and others put in: what a MERGE would make, without its joins."""

from __future__ import annotations

import json

import pytest
from deltalake import DeltaTable

from conftest import balanced
from lakehouse import holding, lake, row_places

JOB = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id int, city string, name string, at int, op string"
sink:
  {sink}: {{table: silver.t, keys: [id], sequence_by: [at], apply_as_deletes: "op = 'D'", except_column_list: [op]{more}}}
"""
BATCHES = (
    ["1,Rome,Ann,1,", "2,Oslo,Bea,1,", "3,a/b %?é=,Cid,1,", "4,,Dan,1,"],
    ["1,Rome,Ada,5,", "3,a/b %?é=,Cyd,5,", "4,,,6,D", "5,Bonn,Eve,5,"],
    ["1,Rome,Amy,7,", "2,Oslo,Bo,7,", "3,a/b %?é=,,8,D", "1,Rome,Abe,3,"],
    ["1,Rome,,9,D", "2,Lima,Bo,9,", "4,Kyiv,Don,9,", "5,Bonn,Eve,9,"],
)


@pytest.fixture
def merges(monkeypatch) -> list[str]:
    """The tables that a MERGE was needed for."""
    found, merge = [], lake.merge

    def noted(source, path, *given, **options):
        found.append(path)
        merge(source, path, *given, **options)

    monkeypatch.setattr(lake, "merge", noted)
    return found


def taken(project, first: int = 0, last: int = len(BATCHES)) -> list:
    found = []
    for number in range(first, last):
        project.write(f"data/{number}.csv", "\n".join(["id,city,name,at,op", *BATCHES[number]]) + "\n")
        found.append(project.run("x"))
        assert balanced(found[-1])
    return found


def last_commit(project) -> tuple[str, dict[str, int]]:
    history = DeltaTable(str(project.lake / "silver/t")).history(1)[0]
    metrics = history["operationMetrics"]
    names = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted", "numTargetRowsCopied")
    return history["operation"], {name: int(metrics[name]) for name in names}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("more", ["", ", partition_by: [city]", ", cluster_by: [id]"])
@pytest.mark.parametrize("sink", ["scd1", "scd2", "scd3"])
def test_rows_change_in_place_as_a_merge_changes_them(project, spark, monkeypatch, merges, sink, more, compiled):
    if compiled:  # and each file read by the ranges of its keys
        monkeypatch.setattr(holding, "LITTLE", -1)
        monkeypatch.setattr(row_places, "_LITTLE", -1)
    project.job("x", JOB.format(sink=sink, more=", keep_previous: [name]" * (sink == "scd3") + more))
    taken(project)
    assert not merges
    kind, counts = last_commit(project)
    assert kind == "MERGE" and sum(counts.values()) > 3 and not counts["numTargetRowsCopied"]
    in_place, table = project.rows("silver.t"), str(project.lake / "silver/t")
    assert [str(row) for row in in_place] == sorted(
        str(row.asDict()) for row in spark.read.format("delta").load(table).collect()
    )
    monkeypatch.setattr(row_places, "can_be_taken_out", lambda _: False)
    project.run("x", full_refresh=True)
    for path in (project.lake / "silver/t", project.lake / "_state/silver/t"):
        assert path.exists()
    assert project.rows("silver.t") == in_place


def test_what_rows_are_taken_out_of_is_left_by_marks_and_a_file_without_rows_goes(project):
    project.job("x", JOB.format(sink="scd1", more=""))
    taken(project, 0, 1)
    first = set(DeltaTable(str(project.lake / "silver/t")).file_uris())
    taken(project, 1, 2)
    second = set(DeltaTable(str(project.lake / "silver/t")).file_uris())
    log = (project.lake / "silver/t/_delta_log/00000000000000000001.json").read_text().splitlines()
    added = [found for line in log if (found := json.loads(line).get("add"))]
    marked = {found["path"]: found["deletionVector"]["cardinality"] for found in added if "deletionVector" in found}
    assert first & second == {file for file in first if file.endswith(tuple(marked))}
    rows = {found["path"]: json.loads(found["stats"])["numRecords"] for found in added}
    # three of the four rows are gone, with their file or by its mark; one file has the new ones
    assert sum(rows[path] - marked[path] for path in marked) == 1 and len(added) == len(marked) + 1
    taken(project, 2, 3)
    assert not first & set(DeltaTable(str(project.lake / "silver/t")).file_uris())


@pytest.mark.parametrize(
    "properties",
    ["delta.enableChangeDataFeed: 'true'", "delta.enableDeletionVectors: 'false'", "delta.enableRowTracking: 'true'"],
)
def test_a_table_that_wants_more_of_a_change_is_merged(project, spark, merges, properties):
    project.job("x", JOB.format(sink="scd2", more=f", table_properties: {{{properties}}}"))
    taken(project)
    assert len(merges) == len(BATCHES) - 1
    if "ChangeDataFeed" in properties:
        changes = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 1)
        kinds = {row["_change_type"] for row in changes.load(str(project.lake / "silver/t")).collect()}
        assert kinds == {"insert", "update_preimage", "update_postimage"}


def test_a_column_that_is_not_the_jobs_keeps_its_values(project, spark, merges):
    project.job("x", JOB.format(sink="scd1", more=", schema_evolution: add_new_columns"))
    taken(project, 0, 1)
    table = f"delta.`{project.lake}/silver/t`"
    spark.sql(f"ALTER TABLE {table} ADD COLUMN remark string")
    spark.sql(f"COMMENT ON TABLE {table} IS 'x'")
    taken(project, 1, 2)
    assert len(merges) == 1
    assert {row["remark"] for row in project.rows("silver.t")} == {None}


def test_a_table_laid_out_anew_after_it_was_read_is_merged(project, spark, monkeypatch, merges):
    project.job("x", JOB.format(sink="scd2", more=""))
    taken(project, 0, 2)
    replace = row_places.replace

    def late(*given, **options):
        spark.newSession().sql(f"OPTIMIZE delta.`{project.lake}/silver/t`")
        return replace(*given, **options)

    monkeypatch.setattr(row_places, "replace", late)
    taken(project, 2, 3)
    assert len(merges) == 1
    monkeypatch.setattr(row_places, "replace", replace)
    taken(project, 3, 4)
    assert len(merges) == 1
    found = [(row["id"], row["name"], row["__START_AT"], row["__END_AT"]) for row in project.rows("silver.t")]
    assert sorted(found, key=str) == [
        (1, "Abe", 3, 5), (1, "Ada", 5, 7), (1, "Amy", 7, 9), (1, "Ann", 1, 3),
        (2, "Bea", 1, 7), (2, "Bo", 7, 9), (2, "Bo", 9, None), (3, "Cid", 1, 5), (3, "Cyd", 5, 8),
        (4, "Dan", 1, 6), (4, "Don", 9, None), (5, "Eve", 5, 9), (5, "Eve", 9, None),
    ]  # fmt: skip


def test_a_row_that_is_not_where_it_was_read_is_merged(project, monkeypatch, merges):
    project.job("x", JOB.format(sink="scd1", more=""))
    taken(project, 0, 1)
    replace = row_places.replace
    monkeypatch.setattr(row_places, "replace", lambda gone, *given, **rest: replace(gone.limit(1), *given, **rest))
    taken(project, 1, 2)
    assert len(merges) == 1
    assert {(row["id"], row["name"]) for row in project.rows("silver.t")} == {
        (1, "Ada"),
        (2, "Bea"),
        (3, "Cyd"),
        (5, "Eve"),
    }
