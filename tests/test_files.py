"""The source `files`: what each format and each kind of dirt becomes in bronze, and in silver under a schema."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Project, balanced
from lakehouse import DataError, SinkError, read_table
from lakehouse.csv_files import read_csv
from lakehouse.session import job_session
from lakehouse.storage import write_text
from shop import finished, program

OWN = ("_ingested_at", "_run_id", "_source_file")


def job(options: str = "", *, layer: str = "bronze", more: str = "") -> str:
    """A job that appends the files of `data/`."""
    return f"layer: {layer}\nsource:\n  files: {{path: data{options}}}\nsink:\n  append: {{table: {layer}.t}}\n{more}"


def table(project: Project, name: str = "bronze.t") -> list[dict[str, Any]]:
    """The table's rows without bronze's own columns; rescued data as what it holds beside the path."""
    found = []
    for row in project.rows(name):
        rescued = row.get("_rescued_data")
        if rescued:
            rescued = {key: value for key, value in json.loads(rescued).items() if key != "_file_path"}
        found.append(
            {key: value for key, value in row.items() if key not in (*OWN, "_rescued_data")}
            | ({"rescued": rescued} if rescued else {})
        )
    return sorted(found, key=str)


def parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def orc(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pa.orc.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def ints(*values: int | None, bits: int = 32) -> pa.Array:
    return pa.array(values, pa.int32() if bits == 32 else pa.int64())


# --- CSV: what each file of one folder becomes, all in one run

FILES: dict[str, tuple[str | bytes, list[dict[str, Any]]]] = {
    "plain.csv": ("a,b\n1,x\n", [{"a": "1", "b": "x"}]),
    "other_order.csv": ("b,a\ny,2\n", [{"a": "2", "b": "y"}]),
    "bom.csv": ("\ufeffa,b\n3,z\n", [{"a": "3", "b": "z"}]),
    "quoted.csv": ('a,b\n"1,5","l1\nl2 ""q"", end"\n', [{"a": "1,5", "b": 'l1\nl2 "q", end'}]),
    "backslash.csv": ('a,b\n1,"x\\"\n\\,y\n', [{"a": "1", "b": "x\\"}, {"a": "\\", "b": "y"}]),
    "too_few.csv": ("a,b\n5\n6,ok\n", [{"a": None, "b": None, "rescued": {"_corrupt_record": "5"}}, {"a": "6", "b": "ok"}]),
    "too_many.csv": ("a,b\n6,x,extra\n", [{"a": None, "b": None, "rescued": {"_corrupt_record": "6,x,extra"}}]),
    "not_utf8.csv": (b"a,b\n7,x\xffy\n", [{"a": "7", "b": "x\ufffdy"}]),
    "nul.csv": (b"a,b\n8,x\x00y\n\x009,z\n", [{"a": "\x009", "b": "z"}, {"a": "8", "b": "x\x00y"}]),
    "open_quote.csv": ('a,b\n"9,x\n10,y\n', [{"a": None, "b": None, "rescued": {"_corrupt_record": '"9,x\n10,y'}}]),
    "open_quote_last.csv": ('a,b\n8,w\n9,"x\n10,y\n', [{"a": "8", "b": "w"}, {"a": None, "b": None, "rescued": {"_corrupt_record": "9,x\n10,y\n"}}]),
    "open_quote_at_end.csv": ('a,b\n9,"x, ""q""\n10,y', [{"a": None, "b": None, "rescued": {"_corrupt_record": '9,x, "q"\n10,y'}}]),
    "quote_closed_at_end.csv": ('a,b\n9,"x\ny"\n', [{"a": "9", "b": "x\ny"}]),
    "quote_closed_before.csv": ('a,b\n9,"x\n10,y"\n10,y\n', [{"a": "9", "b": "x\n10,y"}, {"a": "10", "b": "y"}]),
    "empty.csv": ("", []),
    "only_header.csv": ("a,b\n", []),
    "only_header_no_end.csv": ("a,b", []),
    "blank_lines.csv": ("\n\na,b\n\n11,x\n\n", [{"a": "11", "b": "x"}]),
    "crlf.csv": ("a,b\r\n12,x\r\n", [{"a": "12", "b": "x"}]),
    "cr.csv": ("a,b\r13,x\r", [{"a": "13", "b": "x"}]),
    "no_end.csv": ("a,b\n14,x", [{"a": "14", "b": "x"}]),
    "spaces.csv": (" a ,b\n 15 , x \n", [{"a": " 15 ", "b": " x "}]),
    "nothing.csv": ('a,b\n16,\n17,""\n,\n', [{"a": "16", "b": None}, {"a": "17", "b": None}, {"a": None, "b": None}]),
    "words.csv": ("a,b\nnull,NaN\n001,1.50\n", [{"a": "001", "b": "1.50"}, {"a": "null", "b": "NaN"}]),
    "zipped.csv.gz": (gzip.compress(b"b,a\nz,18\n"), [{"a": "18", "b": "z"}]),
    "zipped.csv.bz2": (bz2.compress(b"a,b\n19,z\n"), [{"a": "19", "b": "z"}]),
    "large.csv": ("a,b\n20," + "x" * 2_000_000 + "\n21,y\n", [{"a": "20", "b": "x" * 2_000_000}, {"a": "21", "b": "y"}]),
    "sub/folder.csv": ("a,b\n22,x\n", [{"a": "22", "b": "x"}]),
    "_hidden.csv": ("a,b\n98,x\n", []),
    ".hidden.csv": ("a,b\n99,x\n", []),
    "_hidden/x.csv": ("a,b\n97,x\n", []),
}  # fmt: skip


@pytest.fixture(scope="module")
def landed(tmp_path_factory, spark) -> Project:
    project = Project(tmp_path_factory.mktemp("landed"))
    for name, (content, _) in FILES.items():
        project.write(f"data/{name}", content)
    project.job("x", job())
    record = project.run("x", lake=str(project.lake))
    assert record.rows_read == sum(len(rows) for _, rows in FILES.values())
    assert balanced(record)
    return project


@pytest.fixture(scope="module")
def landed_rows(landed) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in FILES}
    for row in landed.rows("bronze.t"):
        name = str(Path(row["_source_file"]).relative_to(landed.root / "data"))
        rescued = row["_rescued_data"] and json.loads(row["_rescued_data"])
        if rescued:
            assert rescued.pop("_file_path") == row["_source_file"]
        found[name].append({"a": row["a"], "b": row["b"]} | ({"rescued": rescued} if rescued else {}))
    return found


@pytest.mark.parametrize("name", FILES)
def test_what_a_csv_file_becomes(landed_rows, name):
    assert sorted(landed_rows[name], key=str) == sorted(FILES[name][1], key=str)


def test_csv_has_no_columns_but_those_of_the_headers(landed):
    assert list(landed.rows("bronze.t")[0]) == ["a", "b", "_rescued_data", "_source_file", "_ingested_at", "_run_id"]


def test_repeated_and_missing_names_in_a_header_are_numbered(project):
    project.write("data/1.csv", "a,a,A,,b\n1,2,3,4,5\n")
    project.job("x", job())
    project.run("x")
    assert table(project) == [{"a": "1", "a_2": "2", "A_3": "3", "_c3": "4", "b": "5"}]


def test_options_of_spark_reach_the_reader(project):
    project.write("data/1.csv", "1;\xe4\t\n".encode("latin-1"))
    project.job("x", job(', options: {sep: ";", encoding: ISO-8859-1, header: false}'))
    project.run("x")
    assert table(project) == [{"_c0": "1", "_c1": "\xe4\t"}]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=12) | st.sampled_from(
    ["", '"', '""', ",", "\n", "\\", '\\"', "a\nb", " x ", "null", "#", "\ufeff"]
)


@given(
    st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=25),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(max_examples=12, deadline=None)
def test_cells_written_by_the_csv_module_come_back_as_they_were(spark, tmp_path_factory, rows, line_end, quoting):
    """But for two: an empty cell, quoted or not, is NULL, as Spark reads it; in a file whose lines end in CRLF, a CRLF
    within a cell is an LF (cells with a carriage return or a NUL are left out here)."""
    file = tmp_path_factory.mktemp("cells") / "x.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator=line_end, quoting=quoting)
        writer.writerows([("a", "b", "c"), *rows])
    found = read_csv(job_session(spark, {}), [str(file)], {}, {}).select("a", "b", "c").collect()
    assert [tuple(row) for row in found] == [tuple(cell or None for cell in row) for row in rows]


# --- JSON


def test_what_json_lines_become(project):
    project.write("data/1.json", """\
\ufeff{"a": 1, "b": "x", "c": {"d": 1, "e": [1, 2]}, "f": [{"g": true}]}
{"a": 1.50, "b": null}

{"a": 123456789012345678901234567890, "b": "\\u00e4\\n"}
{}
{"a":
[{"a": 1}]
"text"
5
null
{"a": 2} trailing
""")  # fmt: skip
    project.job("x", job())
    assert project.run("x").rows_read == 10
    nothing = {"a": None, "b": None, "c": None, "f": None}
    whole = [row for row in table(project) if "rescued" not in row]
    assert whole == sorted([
        {"a": "1", "b": "x", "c": {"d": "1", "e": ["1", "2"]}, "f": [{"g": "true"}]},
        # a line that is an array is its objects; what stands behind an object is not looked at
        {**nothing, "a": "1"}, {**nothing, "a": "2"}, {**nothing, "a": "1.50"}, {**nothing, "a": "123456789012345678901234567890", "b": "\xe4\n"}, nothing,
    ], key=str)  # fmt: skip
    broken = [row for row in table(project) if "rescued" in row]
    assert sorted(row["rescued"]["_corrupt_record"] for row in broken) == sorted(['{"a":', '"text"', "5", "null"])
    assert all({name: row[name] for name in nothing} == nothing for row in broken)


def test_numbers_keep_every_digit(project):
    numbers = [
        "1.50",
        "12345678901234567.891",
        "1e5",
        "0.10000000000000000000001",
        "-0.0",
        "123456789012345678901234567890",
    ]
    project.write(
        "data/1.json", "".join(f'{{"a": {number}, "o": {{"x": {number}}}, "l": [{number}]}}\n' for number in numbers)
    )
    project.job("x", job())
    project.run("x")
    assert sorted(row["a"] for row in table(project)) == sorted(numbers)
    assert all(row["o"] == {"x": row["a"]} and row["l"] == [row["a"]] for row in table(project))


def test_names_that_differ_in_case_alone_lose_nothing(project):
    project.write("data/1.json", '{"A": 9, "a": 8}\n{"A": 7}\n{"a": 1, "c": {"d": 1, "D": 2}}\n{"a": 5, "A": 5}\n')
    project.job("x", job())
    project.run("x")
    project.write("data/2.json", '{"A": 3, "C": 4}\n')
    project.run("x")
    assert table(project) == [
        {"a": "1", "c": '{"d":1,"D":2}'},
        {"a": "3", "c": "4"},
        {"a": "5", "c": None},
        {"a": "7", "c": None},
        {"a": "8", "c": None, "rescued": {"A": "9"}},
    ]


def test_a_header_in_other_letters_is_the_same_column(project):
    project.job("x", job())
    project.write("data/1.csv", "Id,Name\n1,x\n")
    project.run("x")
    project.write("data/2.csv", "NAME,ID\ny,2\n")
    project.run("x")
    assert table(project) == [{"Id": "1", "Name": "x"}, {"Id": "2", "Name": "y"}]


def test_new_fields_become_columns_and_a_changed_type_is_rescued(project):
    project.job("x", job())
    project.write("data/1.json", '{"a": 1, "o": {"x": 1}}\n')
    project.run("x")
    project.write("data/2.json", '{"n": {"p": [1]}, "a": {"q": 1}, "o": {"y": 2, "x": 3}}\n')
    project.run("x")
    project.write("data/3.json", '{"o": "text", "a": 4}\n')
    project.run("x")
    assert table(project) == [
        {"a": "1", "o": {"x": "1", "y": None}, "n": None},
        {"a": '{"q": 1}', "o": {"x": "3", "y": "2"}, "n": {"p": ["1"]}},
        {"a": None, "o": None, "n": None, "rescued": {"_corrupt_record": '{"o": "text", "a": 4}'}},
    ]


def test_documents_over_several_lines(project):
    project.write("data/1.json", '[{"a": 1},\n{"a": 2}]')
    project.write("data/2.json", '{\n"a": 3}')
    project.write("data/3.json", '{"a":')
    project.job("x", job(", options: {multiLine: true}"))
    project.run("x")
    assert table(project) == [{"a": "1"}, {"a": "2"}, {"a": "3"}, {"a": None, "rescued": {"_corrupt_record": '{"a":'}}]


# --- new columns, by `schema_evolution`

DAYS: dict[str, tuple[str | bytes, str | bytes]] = {
    "csv": ("a\n1\n", "b,a\nz,2\n,3\n"),
    "json": ('{"a": "1"}\n', '{"a": "2", "b": "z"}\n{"a": "3"}\n'),
    "parquet": (parquet(a=pa.array(["1"])), parquet(b=pa.array(["z", None]), a=pa.array(["2", "3"]))),
}


@pytest.mark.parametrize("kind", DAYS)
@pytest.mark.parametrize("evolution", ["add_new_columns", "rescue", "none", "fail"])
def test_new_columns_are_added_rescued_or_refused(project, kind, evolution):
    project.job("x", job(f", schema_evolution: {evolution}"))
    project.write(f"data/1.{kind}", DAYS[kind][0])
    project.run("x")
    project.write(f"data/2.{kind}", DAYS[kind][1])
    if evolution == "fail":
        with pytest.raises(
            DataError, match=r"source 'files': new columns b; add them to the contract, or set schema_evolution"
        ):
            project.run("x")
        assert table(project) == [{"a": "1"}]
        return
    project.run("x")
    added = [{"a": "1", "b": None}, {"a": "2", "b": "z"}, {"a": "3", "b": None}]
    rescued = [{"a": "1"}, {"a": "2", "rescued": {"b": "z"}}, {"a": "3"}]
    assert table(project) == (added if evolution == "add_new_columns" else rescued)


# --- typed formats


def test_parquet_of_a_changed_type_is_an_error_naming_column_old_and_new_type(project):
    project.job("x", job())
    project.write("data/1.parquet", parquet(a=ints(1), s=pa.array([{"k": 1}])))
    project.run("x")
    project.write("data/2.parquet", parquet(a=ints(2, bits=64)))
    with pytest.raises(
        SinkError, match=r"^column 'a' is int in bronze\.t and now bigint; cast it, or set type_widening: true"
    ):
        project.run("x")
    assert table(project) == [{"a": 1, "s": {"k": 1}}]
    project.job("x", job().replace("table: bronze.t", "table: bronze.t, type_widening: true"))
    project.run("x")
    assert sorted(row["a"] for row in read_table("bronze.t", lake=str(project.lake)).collect()) == [1, 2]


def test_parquet_of_two_types_in_one_batch_is_an_error_naming_the_column(project):
    project.job("x", job())
    project.write("data/1.parquet", parquet(s=pa.array([{"k": 1}])))
    project.write("data/2.parquet", parquet(s=pa.array([{"k": "x", "l": 1}])))
    with pytest.raises(
        DataError, match=r"column 's\.k' is bigint in .*/data/1\.parquet and string in .*/data/2\.parquet"
    ):
        project.run("x")


def test_a_file_that_is_none_of_its_format_is_named(project):
    project.job("x", job())
    project.write("data/1.parquet", b"no parquet")
    with pytest.raises(DataError, match=r"1 file cannot be read: .*/data/1\.parquet: .*is not a Parquet file"):
        project.run("x")


def test_orc_avro_and_text_are_read(project, spark):
    spark.createDataFrame([(1, "x")], "a int, b string").coalesce(1).write.format("avro").save(
        str(project.root / "out")
    )
    contents = {
        "orc": orc(a=ints(1), b=pa.array(["x"])),
        "avro": next((project.root / "out").glob("*.avro")).read_bytes(),
        "txt": "line\n\n",
    }
    for kind, content in contents.items():
        project.write(f"{kind}/1.{kind}", content)
        project.job(kind, job().replace("path: data", f"path: {kind}").replace("bronze.t", f"bronze.{kind}"))
        project.run(kind)
    assert table(project, "bronze.orc") == table(project, "bronze.avro") == [{"a": 1, "b": "x"}]
    assert table(project, "bronze.txt") == [{"value": ""}, {"value": "line"}]


def test_what_json_a_schema_does_not_name_is_left_out_and_named(project):
    project.write("data/1.json", '{"id": 1, "more": {"x": 1}, "other": 2}\n{"id": 2, "Other": 3}\n')
    project.job("x", job(layer="silver", more='schema: "id int"\n'))
    record = project.run("x")
    assert (record.rows_valid, sorted(record.ignored_columns)) == (2, ["more", "other"])
    assert project.rows("silver.t") == [{"id": 1}, {"id": 2}]


def test_partitioned_json_of_a_second_day_keeps_its_columns(project):
    project.job("x", job(", schema_evolution: rescue"))
    for day, line in (("01", '{"v": 1}'), ("02", '{"v": 2, "n": {"x": 1.50}}')):
        project.write(f"data/day=2026-01-{day}/1.json", line)
        project.run("x")
    assert table(project) == [
        {"v": "1", "day": date(2026, 1, 1)},
        {"v": "2", "day": date(2026, 1, 2), "rescued": {"n": '{"x": 1.50}'}},
    ]


def test_a_gate_can_count_broken_records_alone(project):
    gate = 'schema: "a string"\nquality_gate: {max_quarantined: 90%}\n'
    for kind, content in (("csv", "a\n1,2\n3\n"), ("json", '{"a": 3}\n{"a":\n')):
        project.write(f"{kind}/1.{kind}", content)
        project.job(
            kind,
            job(layer="silver", more=gate).replace("path: data", f"path: {kind}").replace("silver.t", f"silver.{kind}"),
        )
        record = project.run(kind)
        assert (record.rows_valid, record.rows_quarantined) == (1, 1)
        assert project.rows(f"silver.{kind}") == [{"a": "3"}]


# --- names that Spark would take for patterns

PATTERNS = {"x*": ("x*", "x1"), "q?": ("q?", "q1"), "[12]": ("[12]", "1", "2"), "{a,b}": ("{a,b}", "a", "b"), "[1": ("[1",), "b\\s": ("b\\s", "bs"), "d[1]/x": ("d[1]/x", "d1/x")}  # fmt: skip
WRITERS: dict[str, Callable[[str], bytes]] = {
    "csv": lambda name: f'a\n"{name}"\n'.encode(),
    "json": lambda name: json.dumps({"a": name}).encode(),
    "jsonl": lambda name: json.dumps({"a": name, "A": "twin"}).encode(),
    "txt": lambda name: name.encode(),
    "parquet": lambda name: parquet(a=pa.array([name])),
    "orc": lambda name: orc(a=pa.array([name])),
}


NAMES = sorted({name for alike in PATTERNS.values() for name in alike} | {"a b", "50%25", "1+1", "ä"})


@pytest.mark.parametrize("kind", WRITERS)
def test_a_name_that_looks_like_a_pattern_is_one_file(project, kind):
    for name in NAMES:
        project.write(f"data/{name}.{kind}", WRITERS[kind](name))
    project.job("x", job())
    assert project.run("x").rows_read == len(NAMES)
    column = "value" if kind == "txt" else "a"
    found = [(row["_source_file"], row[column]) for row in project.rows("bronze.t")]
    assert sorted(found) == sorted((str(project.root / f"data/{name}.{kind}"), name) for name in NAMES)


def test_an_object_whose_name_looks_like_a_pattern_is_one_file(project, s3):
    place = f"{s3}/{project.root.name}"
    for kind, name in itertools.product(("csv", "json"), NAMES):
        write_text(f"{place}/{kind}/{name}.{kind}", WRITERS[kind](name).decode())
    jobs = [
        project.job(kind, job().replace("path: data", f"path: {place}/{kind}").replace("bronze.t", f"bronze.{kind}"))
        for kind in ("csv", "json")
    ]
    finished(program(str(project.lake), "run", *map(str, jobs)))
    for kind in ("csv", "json"):
        found = [(row["_source_file"], row["a"]) for row in project.rows(f"bronze.{kind}")]
        assert sorted(found) == sorted((f"{place}/{kind}/{name}.{kind}", name) for name in NAMES)


def test_json_records_over_several_lines_are_read_from_a_name_that_looks_like_a_pattern(project):
    for name, value in (("[12]", 1), ("1", 2), ("{c", 3)):
        project.write(f"data/{name}.json", f'{{"a":\n {value}}}')
    project.job("x", job(", options: {multiLine: true}"))
    assert project.run("x").rows_read == 3
    assert [row["a"] for row in table(project)] == ["1", "2", "3"]


def test_avro_from_a_name_that_looks_like_a_pattern_is_one_file(project, spark):
    for name in ("[12]", "1"):
        spark.createDataFrame([(name,)], "a string").coalesce(1).write.format("avro").save(
            str(project.root / "out" / name)
        )
        project.write(f"data/{name}.avro", next((project.root / "out" / name).glob("*.avro")).read_bytes())
    project.job("x", job())
    project.run("x")
    assert [row["a"] for row in table(project)] == ["1", "[12]"]


def test_typed_files_of_two_types_are_named_as_they_are(project):
    project.job("x", job())
    project.write("data/[12].parquet", parquet(s=pa.array([{"k": 1}])))
    project.write("data/1.parquet", parquet(s=pa.array([{"k": "x"}])))
    with pytest.raises(
        DataError, match=r"column 's\.k' is string in .*/data/1\.parquet and bigint in .*/data/\[12\]\.parquet"
    ):
        project.run("x")


def test_broken_rows_of_a_name_that_looks_like_a_pattern_are_quarantined_once(project):
    project.write("data/[12].csv", "a\n1\nx\n")
    project.write("data/1.csv", "a\n2\ny\n")
    project.job("x", job(layer="silver", more='schema: "a int"\n'))
    record = project.run("x")
    assert (record.rows_read, record.rows_valid, record.rows_quarantined) == (4, 2, 2)
    broken = {row["source"]: json.loads(row["row"]) for row in project.rows("silver.t__quarantine")}
    assert broken == {
        str(project.root / "data/[12].csv"): {"a": "x"},
        str(project.root / "data/1.csv"): {"a": "y"},
    }


# --- which files


def test_folders_named_key_value_give_columns(project):
    project.write("data/day=2026-01-01/k=a/1.csv", "v\n1\n")
    project.write("data/day=2026-01-02/k=b/1.csv", "v\n2\n")
    project.job("x", job())
    project.run("x")
    assert table(project) == [
        {"v": "1", "day": date(2026, 1, 1), "k": "a"},
        {"v": "2", "day": date(2026, 1, 2), "k": "b"},
    ]


def test_a_glob_stays_within_its_parts(project):
    for name in ("a/x1.csv", "b/x2.csv", "a/y1.csv", "a/deep/x3.csv", "x4.csv", "_c/x5.csv"):
        project.write(f"data/{name}", f"v\n{name}\n")
    project.job("x", job().replace("path: data", "path: 'data/*/x?.csv'"))
    project.run("x")
    assert table(project) == [{"v": "a/x1.csv"}, {"v": "b/x2.csv"}]


def test_a_missing_folder_and_a_folder_of_many_formats_are_errors(project):
    project.job("x", job())
    with pytest.raises(DataError, match=rf"^source 'files': there is no {project.root}/data$"):
        project.run("x")
    project.write("data/1.csv", "a\n1\n")
    project.write("data/2.json", "{}")
    with pytest.raises(
        Exception, match=r"conf/x\.yml:3: source 'files': the format of data cannot be told by the files' endings"
    ):
        project.run("x")
    project.write("data/k=v/3.csv", "a\n1\n")
    project.write("data/sub/4.csv", "a\n1\n")
    project.job("x", job(", format: csv"))
    with pytest.raises(DataError, match="some folders of the source are named key=value and others are not"):
        project.run("x")


@pytest.mark.parametrize(("on_rewrite", "rows"), [("ignore", ["1"]), ("reprocess", ["1", "1", "2"]), ("fail", ["1"])])
def test_a_file_that_was_rewritten(project, on_rewrite, rows):
    project.job("x", job(f", on_rewrite: {on_rewrite}"))
    project.write("data/1.csv", "a\n1\n")
    project.run("x")
    project.write("data/1.csv", "a\n1\n2\n")
    if on_rewrite == "fail":
        with pytest.raises(
            DataError,
            match=r"1 file was rewritten since taken \(.*/data/1\.csv\); give new data a new name",
        ):
            project.run("x")
    else:
        project.run("x")
    assert [row["a"] for row in table(project)] == rows


def test_files_taken_a_few_at_a_time_give_the_same_table(project):
    for number in range(5):
        project.write(f"data/{number}.csv", f"a,b{number % 2}\n{number},x\n")
    project.job("whole", job())
    project.job("parts", job(", max_files_per_trigger: 2").replace("bronze.t", "bronze.parts"))
    assert (project.run("whole").batches, project.run("parts").batches) == (1, 3)
    assert table(project) == table(project, "bronze.parts")
    assert project.run("parts").batches == 0


# --- silver right from files


def test_silver_under_a_schema_quarantines_what_does_not_fit_as_it_came(project):
    project.write("data/1.csv", "extra,amount,d,id\nx,1.5,2026-01-01,1\ny,2,2026-13-01,x\n, 3 ,,\nfew\n")
    project.job("x", job(layer="silver", more='schema: "id int, amount decimal(6,2), d date, missing string"\n'))
    record = project.run("x")
    assert (record.rows_read, record.rows_valid, record.rows_quarantined, record.ignored_columns) == (
        4,
        2,
        2,
        ("extra",),
    )
    assert project.rows("silver.t") == [
        {"id": 1, "amount": Decimal("1.50"), "d": date(2026, 1, 1), "missing": None},
        {"id": None, "amount": Decimal("3.00"), "d": None, "missing": None},
    ]
    broken = project.rows("silver.t__quarantine", order_by="row")
    assert [
        (json.loads(row["row"]), [(item["rule"], item["column"], item["message"]) for item in row["reasons"]])
        for row in broken
    ] == [
        ({"_corrupt_record": "few"}, [("well_formed", None, "the record could not be parsed")]),
        (
            {"extra": "y", "amount": "2", "d": "2026-13-01", "id": "x"},
            [("type", "id", "is no int"), ("type", "d", "is no date")],
        ),
    ]
    assert {row["source"] for row in broken} == {str(project.root / "data/1.csv")}


def test_silver_with_a_rescue_column_keeps_every_row(project):
    project.write("data/1.json", '{"id": 1, "x": [2]}\n{"id": "q"}\n{"id":\n')
    project.job("x", job(", rescued_data_column: rest", layer="silver", more='schema: "id int"\n'))
    record = project.run("x")
    assert (record.rows_valid, record.rows_quarantined) == (3, 0)
    rest = {row["id"]: [] for row in project.rows("silver.t")}
    for row in project.rows("silver.t"):
        rest[row["id"]].append(json.loads(row["rest"]))
    path = {"_file_path": str(project.root / "data/1.json")}
    assert rest[1] == [{"x": "[2]", **path}]
    assert sorted(rest[None], key=str) == [{"_corrupt_record": '{"id":', **path}, {"id": "q", **path}]


def test_new_columns_of_parquet_are_left_out_under_a_schema_and_named(project):
    project.write("data/1.parquet", parquet(id=pa.array(["1", "x"]), new=ints(1, 2)))
    project.job("x", job(layer="silver", more='schema: "id int"\n'))
    record = project.run("x")
    assert (record.rows_valid, record.rows_quarantined, record.ignored_columns) == (1, 1, ("new",))
    assert project.rows("silver.t") == [{"id": 1}]


def test_an_object_that_repeats_a_field_stops_nothing_and_gives_its_last_value(project):
    lines = [
        '{"id": 1, "more": 1, "more": 2}',
        '{"id": 2, "deep": {"x": 1, "x": "2"}, "list": [{"y": 1, "y": 2}], "both": 1, "both": {"z": 1}}',
        '{"id": "no", "id": 3, "_file_path": "x"}',
    ]
    project.write("data/a.json", "\n".join(lines) + "\n")
    for layer, schema in (("bronze", ""), ("silver", 'schema: "id int, more string"\n')):
        project.job(
            layer,
            f"layer: {layer}\n{schema}source:\n  files: {{path: data, format: json}}\nsink:\n  append: {{table: {layer}.t}}\n",
        )
        assert balanced(record := project.run(layer)) and record.rows_valid == 3
    assert [(row["id"], row["more"]) for row in project.rows("silver.t", "id")] == [(1, "2"), (2, None), (3, None)]
    found = project.rows("bronze.t", "id")
    assert [row["id"] for row in found] == ["1", "2", "3"]
    assert (found[1]["deep"], found[1]["list"], found[1]["both"]) == ({"x": "2"}, [{"y": "2"}], '{"z": 1}')


def test_columns_named_like_bronzes_own_are_rescued(project):
    project.job(
        "b", "layer: bronze\nsource:\n  files: {path: data, format: json}\nsink:\n  append: {table: bronze.t}\n"
    )
    project.write(
        "data/a.json", '{"id": 1, "_RUN_ID": "x", "_ingested_at": {"a": 1}, "_rescued_data": null}\n{"id": 2}\n'
    )
    record = project.run("b")
    first, second = project.rows("bronze.t", "id")
    assert (first["_run_id"], second["_rescued_data"]) == (record.run_id, None)
    assert json.loads(first["_rescued_data"]) == {
        "_RUN_ID": "x",
        "_ingested_at": '{"a":"1"}',
        "_file_path": first["_source_file"],
    }


NANOSECONDS = """
layer: silver
source:
  files: {path: data, format: parquet}
%ssink:
  append: {table: silver.t%s}
"""


def times_as_text(project) -> list[tuple]:
    table = read_table("silver.t", lake=str(project.lake))
    return [tuple(row) for row in table.selectExpr("id", "string(t)", "string(u)", "typeof(t)").orderBy("id").collect()]


@pytest.mark.parametrize("widens", ["", ", type_widening: true"])
def test_times_in_nanoseconds_are_cut_to_microseconds(project, widens):
    """As pandas writes them; a file has them, a later one has microseconds, one of them beside another."""
    project.job("n", NANOSECONDS % ("", widens))
    instant, plain = pa.timestamp("ns", "UTC"), pa.timestamp("ns")
    values = [1_700_000_000_123_456_789, -1, None]
    project.write("data/a.parquet", parquet(id=[1, 2, 3], t=pa.array(values, instant), u=pa.array(values, plain)))
    assert project.run("n").rows_inserted == 3
    micros = pa.timestamp("us", "UTC"), pa.timestamp("us")
    project.write("data/b.parquet", parquet(id=[4], t=pa.array([5], micros[0]), u=pa.array([5], micros[1])))
    project.write("data/c.parquet", parquet(id=[5], t=pa.array([6], micros[0]), u=pa.array([7_999], plain)))
    assert project.run("n").rows_inserted == 2
    assert times_as_text(project) == [
        (1, "2023-11-14 22:13:20.123456", "2023-11-14 22:13:20.123456", "timestamp"),
        (2, "1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "timestamp"),
        (3, None, None, "timestamp"),
        (4, "1970-01-01 00:00:00.000005", "1970-01-01 00:00:00.000005", "timestamp"),
        (5, "1970-01-01 00:00:00.000006", "1970-01-01 00:00:00.000007", "timestamp"),
    ]


def test_times_in_nanoseconds_that_cannot_be_read_are_named(project):
    project.job("n", NANOSECONDS % ("", ""))
    inside = pa.array([{"at": 1}], pa.struct([("at", pa.timestamp("ns"))]))
    project.write("data/a.parquet", parquet(id=[1], t=inside))
    with pytest.raises(DataError, match=r"a\.parquet: t\.at: a time in nanoseconds within another column"):
        project.run("n")
    project.write("data/a.parquet", parquet(id=[1], t=pa.array([1], pa.timestamp("ns"))))
    project.write("data/b.parquet", parquet(id=[1], t=pa.array([1])))
    with pytest.raises(DataError, match="a time in nanoseconds in some files and no time in others"):
        project.run("n")


@pytest.mark.parametrize("cut", [0, 100, 4])
def test_a_damaged_file_beside_times_in_nanoseconds_is_set_aside_or_named(project, cut):
    job = NANOSECONDS % ("", "")
    project.write("data/a.parquet", parquet(id=[1], t=pa.array([1], pa.timestamp("ns")), u=[1]))
    project.write("data/c.parquet", parquet(id=[3], t=pa.array([1], pa.timestamp("us")), u=[1]))
    whole = (project.root / "data/a.parquet").read_bytes()
    project.write("data/b.parquet", whole[: len(whole) - cut] if cut else whole[:4] + b"x" * 400)
    project.job("n", job)
    with pytest.raises(DataError, match=r"b\.parquet"):
        project.run("n")
    project.job("n", job.replace("format: parquet", "format: parquet, on_bad_file: quarantine"))
    assert project.run("n").rows_inserted == 2
    assert [row[0] for row in times_as_text(project)] == [1, 3]


def test_times_in_nanoseconds_are_numbers_where_the_job_says_so(project):
    setting = "spark: {spark.sql.legacy.parquet.nanosAsLong: true}\n"
    derived = "transforms: [derive: {columns: {u: timestamp_micros(t div 1000)}}]\n"
    project.job("n", NANOSECONDS % (setting + derived, ""))
    project.write("data/a.parquet", parquet(id=[1], t=pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))))
    project.run("n")
    assert times_as_text(project) == [(1, "1700000000123456789", "2023-11-14 22:13:20.123456", "bigint")]
