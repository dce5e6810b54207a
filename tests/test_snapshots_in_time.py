"""Snapshots whose rows say since when they hold, and broken rows of one snapshot among several."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import change_data_reference as reference
from conftest import balanced
from lakehouse import ConfigError, DataError, lake, runs
from lakehouse.tables import Layout

JOB = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id int, name string, since int, version int"
{more}
sink:
  snapshot: {{table: silver.t, keys: [id], {options}}}
"""
# A key goes missing and comes back as it was; another changes without a newer time.
DELIVERIES = [
    (10, ["1 a 1", "2 b 1", "3 c 1"]),
    (11, ["1 A 5", "3 C 1"]),
    (12, ["1 X 5", "2 b 1", "3 c 4"]),
    (13, ["3 c 4"]),
    (14, ["1 Y 20", "2 b 14", "3 c 4"]),
    # One row ahead of its time goes missing before it holds, and comes back before that and after.
    (15, ["2 b 14"]),
    (16, ["1 Z 16", "2 d 30"]),
    (17, ["1 Z 16"]),
    (18, ["1 Z 16", "2 e 18"]),
]


def send(project, name, lines, options, more=""):
    project.job("x", JOB.format(options=options, more=more))
    project.write(f"data/{name}.csv", "\n".join(["id,name,since,version", *lines]) + "\n")


@pytest.mark.parametrize("strategy", ["timestamp", "check"])
@pytest.mark.parametrize("hard_deletes", ["invalidate", "new_record"])
def test_a_row_that_comes_back_with_an_old_time_overlaps_nothing(project, strategy, hard_deletes):
    check = ", check_columns: [name]" if strategy == "check" else ""
    options = (
        f"version_column: version, stored_as: 2, strategy: {strategy}, updated_at: since, "
        f"hard_deletes: {hard_deletes}{check}"
    )
    sent = []
    for version, lines in DELIVERIES:
        send(project, version, [f"{line} {version}".replace(" ", ",") for line in lines], options)
        assert balanced(project.run("x"))
        cells = [line.split() for line in lines]
        sent.append((version, [{"id": int(key), "name": name, "since": int(at)} for key, name, at in cells]))
    expected = reference.snapshot(
        sent, reference.Options(["id"]), stored_as=2, strategy=strategy, hard_deletes=hard_deletes,
        updated_at="since", check_columns=["name"],
    )  # fmt: skip
    assert texts(project.rows("silver.t")) == texts(expected)


def test_two_changes_of_one_day_leave_one_row(project):
    job = JOB.replace("since int", "since date")
    for number, name in enumerate("abc", start=1):
        options = "stored_as: 2, strategy: check, check_columns: [name], updated_at: since"
        project.job("x", job.format(options=options, more=""))
        project.write(f"data/{number}.csv", f"id,name,since,version\n1,{name},2999-01-01,0\n")
        assert balanced(project.run("x"))
    assert [(row["name"], row["__END_AT"]) for row in project.rows("silver.t")] == [("c", None)]


def texts(rows):
    return sorted(str(sorted(row.items())) for row in rows)


@pytest.mark.parametrize(
    "version", ["version_column: version", "version_pattern: '_([0-9]+)[.]csv', version_type: int"]
)
def test_a_broken_row_spares_its_key_in_its_own_snapshot_alone(project, version):
    options = f"{version}, stored_as: 2, column_list: [name]"
    rules = "rules: [{accepted_values: {column: name, values: [a, b]}}]"
    for number, lines in enumerate((["1,a,0", "2,b,0"], ["1,broken,0", "2,b,0"], ["2,b,0"]), start=1):
        send(project, f"s_{number}", [f"{line},{number}" for line in lines], options, rules)
    assert balanced(project.run("x"))
    found = [(row["id"], row["__START_AT"], row["__END_AT"]) for row in project.rows("silver.t")]
    assert found == [(1, 1, 3), (2, 1, None)]


def test_the_message_names_the_snapshot_that_was_refused(project):
    send(project, 1, ["1,a,0,1", "1,a,0,2", "1,b,0,2"], "version_column: version")
    with pytest.raises(
        DataError, match=r"^silver.t: 1 key has different rows in snapshot 2 \(id=1, .*\); nothing of it"
    ):
        project.run("x")
    assert [row["name"] for row in project.rows("silver.t")] == ["a"]


def test_a_path_without_a_version_says_what_was_looked_for(project):
    send(project, 1, ["1,a,0,1"], "version_pattern: 'v_(.*)[.]csv', version_type: date")
    with pytest.raises(
        DataError,
        match=r"^silver.t: 1 row of the snapshot has .* or the version: .*'v_\(\.\*\)\[\.\]csv' finds, as date",
    ):
        project.run("x")
    options = "version_pattern: 'v_(.*)[.]csv', version_type: date, version_format: yyyyMMdd, stored_as: 2"
    send(project, "v_20260230", ["2,b,0,1"], options)
    with pytest.raises(
        DataError, match=r"^silver.t: 2 rows of the snapshot have NULL in the key or the version: .*as date"
    ):
        project.run("x")
    for name in ("1", "v_20260230"):
        (project.root / f"data/{name}.csv").unlink()
    send(project, "v_20260228", ["1,a,0,1"], options)
    project.run("x")
    assert [str(row["__START_AT"]) for row in project.rows("silver.t")] == ["2026-02-28"]


@pytest.mark.parametrize(("pattern", "problem"), [("v_(", "no regular expression"), ("v_.*", "has no group")])
def test_a_version_pattern_must_be_one(project, pattern, problem):
    send(project, 1, ["1,a,0,1"], f"version_pattern: '{pattern}'")
    with pytest.raises(ConfigError, match=problem):
        project.run("x")


@pytest.mark.parametrize(
    "version", ["version_column: version", "version_pattern: '_([0-9]+)[.]csv', version_type: int"]
)
def test_a_run_that_fails_at_its_second_snapshot_says_what_it_committed_and_goes_on_once_that_is_mended(
    project, version
):
    options = f"{version}, stored_as: 2, column_list: [name]"
    send(project, "s_1", ["1,a,0,1", "2,b,0,1"], options)
    send(project, "s_2", ["1,a,0,2", "1,broken,0,2"], options)
    with pytest.raises(DataError, match=r"1 keys? ha.* different rows in snapshot 2"):
        project.run("x")
    failed = next(record for record in runs.read(Layout(str(project.lake)), "x", 5) if record.state == "failed")
    assert (failed.rows_read, failed.rows_inserted, [(out.name, out.version) for out in failed.outputs]) == (
        2,
        2,
        [("silver.t", 0)],
    )
    assert balanced(failed)
    send(project, "s_2", ["1,c,0,2"], options)
    mended = project.run("x")
    assert balanced(mended)
    assert (mended.rows_inserted, mended.rows_updated, mended.rows_unchanged) == (0, 1, 2)
    assert mended.notes == ("silver.t: snapshot 1 skipped, it is not newer than the last accepted one",)
    found = [(row["name"], row["__START_AT"], row["__END_AT"]) for row in project.rows("silver.t")]
    assert sorted(found, key=str) == [("a", 1, 2), ("b", 1, 2), ("c", 2, None)]
    assert project.run("x").rows_read == 0


COLUMNS = """
layer: silver
source:
  files: {{path: data, format: parquet}}
sink:
  snapshot: {{table: silver.t, keys: [id], version_column: at{more}}}
"""


def taken(project, at, *rows, **kinds):
    """One snapshot whose rows have the columns that they name, and what its run recorded."""
    (project.root / "data").mkdir(exist_ok=True)
    names = dict.fromkeys(name for row in rows for name in row)
    known = {"id": pa.int64(), "n": pa.string(), "x": pa.int64(), **kinds}
    schema = pa.schema([("at", pa.int64()), *((name, known[name]) for name in names)])
    table = pa.Table.from_pylist([{"at": at, **row} for row in rows], schema=schema)
    pq.write_table(table, project.root / f"data/{at:03}.parquet")
    record = project.run("x")
    assert balanced(record)
    return record


@pytest.mark.parametrize("stored_as", [1, 2])
def test_a_snapshots_new_column_that_the_table_does_not_take_is_left_out_and_named(project, stored_as):
    project.job("x", COLUMNS.format(more=f", stored_as: {stored_as}, schema_evolution: none"))
    taken(project, 1, {"id": 1, "n": "a"}, {"id": 2, "n": "b"})
    record = taken(project, 2, {"id": 1, "n": "a", "x": 1}, {"id": 2, "n": "c", "x": 1})
    assert (record.ignored_columns, record.rows_updated) == (("x",), 1)
    current = [row for row in project.rows("silver.t") if stored_as == 1 or row["__END_AT"] is None]
    assert sorted((row["id"], row["n"]) for row in current) == [(1, "a"), (2, "c")]


@pytest.mark.parametrize("stored_as", [1, 2])
def test_a_snapshots_table_that_takes_no_new_columns_is_widened_where_it_may_be(project, spark, stored_as):
    project.job("x", COLUMNS.format(more=f", stored_as: {stored_as}, schema_evolution: none, type_widening: true"))
    taken(project, 1, {"id": 1, "x": 1}, {"id": 2, "x": 2}, x=pa.int32())
    taken(project, 2, {"id": 1, "x": 2**40}, {"id": 2, "x": 2})
    found = lake.read(spark, str(project.lake / "silver/t")).select("id", "x").collect()
    first = [(1, 1)] if stored_as == 2 else []
    assert sorted(tuple(row) for row in found) == [*first, (1, 2**40), (2, 2)]


@pytest.mark.parametrize("stored_as", [1, 2])
def test_a_column_that_a_snapshot_lacks_is_null_in_its_rows(project, stored_as):
    project.job("x", COLUMNS.format(more=f", stored_as: {stored_as}"))
    rows = [{"id": 1, "n": "a", "x": 1}, {"id": 2, "n": "b"}]
    taken(project, 1, *rows)
    taken(project, 2, {"id": 1, "n": "a"}, {"id": 2, "n": "b"}, {"id": 3, "n": "c"})
    current = [row for row in project.rows("silver.t") if stored_as == 1 or row["__END_AT"] is None]
    assert sorted((row["id"], row["n"], row["x"]) for row in current) == [
        (1, "a", None),
        (2, "b", None),
        (3, "c", None),
    ]


@pytest.mark.parametrize("stored_as", [1, 2])
def test_a_snapshots_column_spelled_in_another_case_is_the_same_column(project, stored_as):
    project.job("x", COLUMNS.format(more=f", stored_as: {stored_as}"))
    taken(project, 1, {"id": 1, "n": "a"}, {"id": 2, "n": "b"})
    kinds = {"ID": pa.int64(), "N": pa.string()}
    record = taken(project, 2, {"ID": 1, "N": "a"}, {"ID": 2, "N": "c"}, {"ID": 3, "N": "d"}, **kinds)
    assert (record.rows_inserted, record.rows_updated) == (1, 1)
    current = [row for row in project.rows("silver.t") if stored_as == 1 or row["__END_AT"] is None]
    assert sorted((row["id"], row["n"]) for row in current) == [(1, "a"), (2, "c"), (3, "d")]
