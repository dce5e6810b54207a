"""Sinks: first write, repeat, late row; a failure leaves the table as it was; any order gives the same table."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import balanced
from lakehouse import ConfigError, DataError, SinkError, lake, read_table


def job(sink: str, rows: str, schema: str = "id int, v string, seq int", more: str = "") -> str:
    return f'layer: silver\nsource:\n  rows: {{schema: "{schema}", rows: {rows}}}\n{more}sink:\n  {sink}\n'


def run(project, sink, rows, **more):
    project.job("t", job(sink, json.dumps(rows), **more))
    record = project.run("t")
    assert balanced(record)
    return record


def test_append_adds_and_overwrite_replaces(project):
    run(project, "append: {table: silver.t}", [[1, "a", 1]])
    run(project, "append: {table: silver.t}", [[1, "a", 1]])
    assert len(project.rows("silver.t")) == 2
    record = run(project, "overwrite: {table: silver.t}", [[2, "b", 1]])
    assert [row["id"] for row in project.rows("silver.t")] == [2]
    assert (record.outputs[0].target_rows_inserted, record.outputs[0].target_rows_deleted) == (1, 2)


def test_overwrite_of_a_predicate_or_of_partitions_leaves_the_rest(project):
    sink = "overwrite: {table: silver.t, partition_by: [id], partitions: dynamic}"
    run(project, sink, [[1, "a", 1], [2, "b", 1]])
    run(project, sink, [[2, "c", 2]])
    assert [(row["id"], row["v"]) for row in project.rows("silver.t")] == [(1, "a"), (2, "c")]
    run(project, 'overwrite: {table: silver.t, replace_where: "id = 1"}', [[1, "z", 3]])
    assert [(row["id"], row["v"]) for row in project.rows("silver.t")] == [(1, "z"), (2, "c")]


def test_a_row_outside_of_replace_where_is_refused_and_the_table_stays(project):
    run(project, "append: {table: silver.t}", [[1, "a", 1]])
    project.job("t", job('overwrite: {table: silver.t, replace_where: "id = 1"}', '[[2, "z", 3]]'))
    with pytest.raises(SinkError, match="outside of replace_where"):
        project.run("t")
    assert [row["id"] for row in project.rows("silver.t")] == [1]


def test_merge_updates_newer_rows_only(project):
    sink = "merge: {table: silver.t, keys: [id], sequence_by: [seq]}"
    run(project, sink, [[1, "a", 5], [2, "b", 5]])
    record = run(project, sink, [[1, "old", 4], [2, "new", 6], [3, "c", 1]])
    assert (record.rows_inserted, record.rows_updated, record.rows_unchanged) == (1, 1, 1)
    assert [row["v"] for row in project.rows("silver.t", "id")] == ["a", "new", "c"]
    assert run(project, sink, [[1, "a", 5]]).rows_unchanged == 1


def test_merge_variants(project):
    run(project, "merge: {table: silver.t, keys: [id]}", [[1, "a", 5], [2, "b", 5]])
    run(project, "merge: {table: silver.t, keys: [id], insert_only: true}", [[1, "x", 9], [3, "c", 1]])
    assert [row["v"] for row in project.rows("silver.t", "id")] == ["a", "b", "c"]
    run(project, "merge: {table: silver.t, keys: [id], update_columns: [v]}", [[1, "y", 9]])
    assert next((row["v"], row["seq"]) for row in project.rows("silver.t", "id")) == ("y", 5)
    record = run(
        project,
        "merge: {table: silver.t, keys: [id], sequence_by: [seq], delete_when: v = 'D'}",
        [[1, "D", 6], [2, "D", 4], [9, "D", 1]],
    )
    assert record.rows_deleted == 1
    assert [row["id"] for row in project.rows("silver.t", "id")] == [2, 3]


def test_merge_takes_names_in_any_case(project):
    run(project, "merge: {table: silver.t, keys: [ID], sequence_by: [Seq]}", [[1, "a", 5], [2, "b", 5]])
    record = run(project, "merge: {table: silver.t, keys: [ID], sequence_by: [Seq]}", [[1, "x", 4], [2, "y", 6]])
    assert (record.rows_updated, record.rows_unchanged) == (1, 1)
    run(project, "merge: {table: silver.t, keys: [Id], update_columns: [V]}", [[1, "z", 9]])
    assert [(row["v"], row["seq"]) for row in project.rows("silver.t", "id")] == [("z", 5), ("y", 6)]


def test_merge_of_some_columns_remembers_the_sequence_that_they_came_with(project):
    sink = "merge: {table: silver.t, keys: [id], sequence_by: [seq], update_columns: [v]}"
    for row in ([1, "a", 1], [1, "c", 3], [1, "b", 2]):
        run(project, sink, [row])
    assert project.rows("silver.t") == [{"id": 1, "v": "c", "seq": 3}]


@pytest.mark.parametrize("closed", ["", ", schema_evolution: none"])
def test_merge_by_a_sequence_that_the_table_does_not_have_yet(project, closed):
    run(project, "append: {table: silver.t}", [[1, "a"]], schema="id int, v string")
    sink = f'merge: {{table: silver.t, keys: [id], sequence_by: [seq], delete_when: "gone"{closed}}}'
    schema = "id int, v string, seq int, gone boolean"
    if closed:
        project.job("t", job(sink, '[[1, "b", 1, false]]', schema))
        with pytest.raises(SinkError, match=r"'sequence_by' names 'seq', which silver\.t does not have"):
            project.run("t")
        return
    for row in ([1, "b", 1, False], [1, "c", 3, False], [1, "d", 2, False]):
        run(project, sink, [row], schema=schema)
    assert [(row["v"], row["seq"]) for row in project.rows("silver.t")] == [("c", 3)]


def test_merge_widens_a_table_that_takes_no_new_columns(project, spark):
    sink = "merge: {table: silver.t, keys: [id], schema_evolution: none, type_widening: true}"
    run(project, sink, [[1, "a", 1], [2, "b", 1]])
    run(project, sink, [[1, "a", 5_000_000_000]], schema="id int, v string, seq bigint")
    rows = spark.read.format("delta").load(str(project.lake / "silver/t"))
    assert sorted((row["id"], row["seq"]) for row in rows.collect()) == [(1, 5_000_000_000), (2, 1)]


def test_missing_keys_are_deleted_but_not_those_of_quarantined_rows(project):
    sink = "merge: {table: silver.t, keys: [id], when_missing: delete}"
    rule = "rules:\n  - not_null: {column: v}\n"
    run(project, sink, [[1, "a", 1], [2, "b", 1], [3, "c", 1]], more=rule)
    record = run(project, sink, [[1, "a", 1], [2, None, 1]], more=rule)
    assert [row["id"] for row in project.rows("silver.t", "id")] == [1, 2]
    assert record.outputs[0].target_rows_deleted == 1
    project.job("t", job(sink, '[[1, "a", 1], [null, null, 1]]', more=rule))
    with pytest.raises(DataError, match="no readable key"):
        project.run("t")
    assert len(project.rows("silver.t")) == 2


def test_a_changed_type_is_an_error_that_names_column_and_types(project):
    run(project, "append: {table: silver.t}", [[1, "a", 1]])
    project.job("t", job("append: {table: silver.t}", '[["x", "a", 1]]', "id string, v string, seq int"))
    with pytest.raises(SinkError, match=r"column 'id' is int in silver\.t and now string"):
        project.run("t")
    assert len(project.rows("silver.t")) == 1


def test_a_wider_type_is_taken_where_the_sink_allows_it(project, spark):
    run(project, "append: {table: silver.t, type_widening: true}", [[1, "a", 1]])
    run(
        project,
        "append: {table: silver.t, type_widening: true}",
        [[5_000_000_000, "a", 1]],
        schema="id bigint, v string, seq int",
    )
    rows = spark.read.format("delta").load(str(project.lake / "silver/t"))
    assert sorted(row["id"] for row in rows.collect()) == [1, 5_000_000_000]


def test_new_columns_are_added_or_left_out_and_named(project):
    run(project, "append: {table: silver.t}", [[1, "a", 1]])
    schema = "id int, v string, seq int, more string"
    record = run(project, "append: {table: silver.t, schema_evolution: none}", [[2, "a", 1, "m"]], schema=schema)
    run(project, "append: {table: silver.t, schema_evolution: add_new_columns}", [[3, "a", 1, "m"]], schema=schema)
    assert record.ignored_columns == ("more",)
    assert [row.get("more") for row in project.rows("silver.t", "id")] == [None, None, "m"]


def test_constraints_comments_and_layout_are_made_with_the_table(project, spark):
    sink = "append: {table: silver.t, comment: all of it, partition_by: [id], constraints: {positive: seq > 0}, table_properties: {delta.appendOnly: 'false'}}"
    run(project, sink, [[1, "a", 1]])
    project.job("t", job(sink, '[[1, "a", -1]]'))
    with pytest.raises(SinkError, match="constraint"):
        project.run("t")
    assert len(project.rows("silver.t")) == 1


def test_files_are_written_by_batch(project, spark):
    run(project, "files: {path: out, format: json}", [[1, "a", 1]])
    run(project, "files: {path: out, format: json}", [[2, "b", 1]])
    assert sorted(row["id"] for row in spark.read.json(str(project.root / "out")).collect()) == [1, 2]


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "avro"])
def test_rows_of_files_are_counted_whatever_is_in_them(project, form):
    rows = [[1, "a\nb\n", 1], [2, 'x"\r\n"y', 1], [3, "\\", 1], [None, None, None]]
    record = run(project, f"files: {{path: out, format: {form}}}", rows)
    assert (record.rows_to_sink, record.rows_inserted) == (4, 4)
    assert run(project, f"files: {{path: out, format: {form}}}", []).rows_to_sink == 0


def test_files_of_two_jobs_lie_side_by_side_and_a_lost_checkpoint_never_doubles_them(project, spark):
    def ids():
        return sorted(row["id"] for row in spark.read.json(str(project.root / "out")).collect())

    sink = "files: {path: out, format: json}"
    run(project, sink, [[1, "a", 1]])
    project.job("other", job(sink, '[[7, "z", 1]]'))
    project.run("other")
    assert ids() == [1, 7]
    shutil.rmtree(project.lake / "_checkpoints" / "t")
    with pytest.raises(
        SinkError, match=r"the checkpoint .*/t is gone, but .*/out was filled by this job.*--full-refresh"
    ):
        project.run("t")
    assert ids() == [1, 7]
    project.run("t", full_refresh=True)
    assert ids() == [1, 7]


def test_a_source_that_was_replaced_or_updated_stops_with_the_remedy(project):
    read = "layer: silver\nsource:\n  delta: {table: bronze.t}\nread: incremental\nsink:\n  append: {table: silver.r}\n"
    run(project, "merge: {table: bronze.t, keys: [id]}", [[1, "a", 1]])
    project.job("r", read)
    project.run("r")
    run(project, "merge: {table: bronze.t, keys: [id]}", [[1, "b", 1]])
    with pytest.raises(DataError, match=r"updated.*changes: true.*read: full"):
        project.run("r")
    project.job("t", job("append: {table: bronze.t}", '[[7, "a", 1]]'))
    project.run("t", full_refresh=True)
    with pytest.raises((DataError, SinkError), match="--full-refresh"):
        project.run("r")


def test_a_column_that_bronze_gains_reaches_silver(project):
    project.job(
        "b", "layer: bronze\nsource:\n  files: {path: data, format: json}\nsink:\n  append: {table: bronze.t}\n"
    )
    project.job("s", "layer: silver\nsource:\n  delta: {table: bronze.t}\nsink:\n  append: {table: silver.t}\n")
    for number, line in enumerate(('{"a": 1}', '{"a": 2, "b": "x"}')):
        project.write(f"data/{number}.json", line)
        project.run("b")
        project.run("s")
    assert project.rows("silver.t") == [{"a": "1", "b": None}, {"a": "2", "b": "x"}]


def test_columns_of_any_name_go_from_a_file_to_silver(project, spark):
    """Spaces, brackets and dots: as spreadsheets name their columns."""
    project.write("data/1.csv", "Order ID,amount (EUR),a.b,größe\n1,2.50,x,L\n1,2.50,x,XL\n")
    project.job("b", "layer: bronze\nsource:\n  files: {path: data}\nsink:\n  append: {table: bronze.t}\n")
    project.job("s", "layer: silver\nsource:\n  delta: {table: bronze.t}\nrules:\n  - not_null: {column: Order ID}\n"
                "sink:\n  merge: {table: silver.t, keys: [Order ID], sequence_by: [größe]}\n")  # fmt: skip
    project.run("b")
    project.run("s")
    rows = spark.read.format("delta").load(str(project.lake / "silver/t")).collect()
    assert [row.asDict() for row in rows] == [{"Order ID": "1", "amount (EUR)": "2.50", "a.b": "x", "größe": "XL"}]


def test_unknown_columns_in_the_layout_are_config_errors(project):
    project.job("t", job("append: {table: silver.t, partition_by: [idd]}", '[[1, "a", 1]]'))
    with pytest.raises(ConfigError, match="no column 'idd'"):
        project.run("t")


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_merge_gives_one_table_for_any_order_and_any_batching(project, data):
    """Against a reference in plain Python: per key the greatest (seq, v), NULL lowest."""
    values = st.one_of(st.none(), st.sampled_from(["", "a", "b"]))
    events = data.draw(st.lists(st.tuples(st.integers(1, 4), values, st.integers(-2, 3)), min_size=1, max_size=12))
    table = f"silver.t{abs(hash(str(events)))}"
    shuffled = data.draw(st.permutations([*events, *events[:3]]))
    cut = data.draw(st.integers(0, len(shuffled)))
    for part in (shuffled[:cut], shuffled[cut:]):
        if part:
            run(project, f"merge: {{table: {table}, keys: [id], sequence_by: [seq]}}", part)
    expected = {}
    for key, value, seq in events:
        rank = (seq, value is not None, value or "")
        if key not in expected or rank > expected[key][0]:
            expected[key] = (rank, value)
    assert {row["id"]: row["v"] for row in project.rows(table)} == {key: value for key, (_, value) in expected.items()}


def test_a_broken_constraint_is_named_with_its_table_and_the_rows_values(project):
    job = (
        "layer: silver\nsource:\n  rows: {{schema: 'id int, amount int', rows: [[1, {}], [2, 5]]}}\n"
        "sink:\n  {}: {{table: silver.c, constraints: {{{}: amount > 0}}}}\n"
    )
    project.job("c", job.format(-7, "append", "positive"))
    said = r"^silver\.c: constraint 'positive' \(amount > 0\) is broken by a row with amount=-7; nothing was written"
    with pytest.raises(SinkError, match=said):
        project.run("c")
    project.job("c", job.format(7, "append", "positive"))
    project.run("c")
    project.job("c", job.format(7, "append", "positive").replace("amount > 0", "amount > 0, large: amount > 6"))
    with pytest.raises(SinkError, match=r"^silver\.c: 1 row breaks the new constraint \(amount > 6\)"):
        project.run("c")


def test_other_partitions_are_refused_and_other_clustering_is_applied(project, spark):
    job = "layer: silver\nsource:\n  rows: {{schema: 'id int, a int', rows: [[1, 2]]}}\nsink:\n  {}: {{table: silver.{}{}}}\n"
    project.job("p", job.format("append", "p", ", partition_by: [a]"))
    project.run("p")
    project.job("p", job.format("append", "p", ""))
    project.run("p")
    project.job("p", job.format("append", "p", ", partition_by: [id]"))
    with pytest.raises(SinkError, match=r"silver\.p is partitioned by a, and partition_by says id: .*--full-refresh"):
        project.run("p")
    project.job("p", job.format("overwrite", "p", ", partition_by: [id]"))
    project.run("p")
    assert lake.snapshot(spark, f"{project.lake}/silver/p").partitions == ["id"]
    for columns in ("[id]", "[a, id]"):
        project.job("q", job.format("merge", "q", f", keys: [id], cluster_by: {columns}"))
        project.run("q")
        detail = spark.sql(f"DESCRIBE DETAIL delta.`{project.lake}/silver/q`").first()
        assert detail["clusteringColumns"] == columns.strip("[]").split(", ")


def test_a_struct_in_a_map_may_gain_a_field(project):
    job = (
        "layer: silver\nsource:\n  rows: {{schema: 'id int, m map<string,struct<{}>>', rows: [{{id: 1, m: {{k: {{x: 1}}}}}}]}}\n"
        "sink:\n  append: {{table: silver.m}}\n"
    )
    for fields in ("x:int", "x:int,y:int", "y:int,x:int"):
        project.job("m", job.format(fields))
        project.run("m")
    found = read_table("silver.m", lake=str(project.lake)).collect()  # the deltalake package reads no such map
    assert [sorted(row["m"]["k"].asDict().items()) for row in found] == [[("x", 1), ("y", None)]] * 3
