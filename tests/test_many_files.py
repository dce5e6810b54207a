"""Files at scale, with Spark: bad files, replays of them, archives and what a refresh finds there, repeats of content."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
import pytest

from conftest import Project, balanced
from lakehouse import ConfigError, DataError, storage
from lakehouse.cli import command
from lakehouse.landing import looks
from lakehouse.pipeline import advance, taking
from shop import finished, program, tables

MANY = "a,b\n" + "".join(f"{number},{random.Random(number).random()}\n" for number in range(20_000))


def job(options: str = "", more: str = "", layer: str = "bronze") -> str:
    return f"layer: {layer}\nsource:\n  files: {{path: data{options}}}\nsink:\n  append: {{table: {layer}.t}}\n{more}"


def parquet(rows: int = 3) -> bytes:
    buffer = io.BytesIO()
    pa.parquet.write_table(pa.table({"a": [random.Random(row).random() for row in range(rows)]}), buffer)
    return buffer.getvalue()


def orc() -> bytes:
    buffer = io.BytesIO()
    pa.orc.write_table(pa.table({"a": [1, 2, 3]}), buffer)
    return buffer.getvalue()


def torn(whole: bytes) -> bytes:
    """With a hole where the values are: the footer is as it was."""
    return whole[:4] + b"\xff" * (len(whole) // 2) + whole[4 + len(whole) // 2 :]


def sources(project: Project, table: str = "bronze.t", column: str = "_source_file") -> list[str]:
    return sorted(Path(row[column]).name for row in project.rows(table))


def quarantined(project: Project) -> dict[str, dict[str, Any]]:
    return {Path(row["source"]).name: row for row in project.rows("bronze.t__quarantine")}


# --- what cannot be read at all

BAD: dict[str, dict[str, bytes]] = {
    "parquet": {
        "zero.parquet": b"", "garbage.parquet": b"this is no parquet at all", "cut.parquet": parquet()[:-20],
        "torn.parquet": torn(parquet(5_000)),
    },
    "csv": {
        "cut.csv.gz": gzip.compress(MANY.encode())[:100_000], "none.csv.gz": b"no gzip", "utf16.csv": "a,b\n1,x\n".encode("utf-16"),
    },
    "json": {"cut.json.gz": gzip.compress(b"".join(b'{"a":"%d"}\n' % row for row in range(9_999)))[:9_000], "none.json.gz": b"no gzip"},
    "avro": {"zero.avro": b"", "garbage.avro": b"this is no avro at all"},
    "orc": {"zero.orc": b"", "garbage.orc": b"this is no orc at all", "cut.orc": orc()[:60]},
    "text": {"cut.txt.gz": gzip.compress(MANY.encode())[:100_000]},
}  # fmt: skip
GOOD: dict[str, bytes] = {
    "1.parquet": parquet(), "1.csv": b"a,b\n1,x\n2,y\n3,z\n", "1.json": b'{"a":"1"}\n{"a": \n{"a":"3"}\n',
    "1.orc": orc(), "1.txt": b"1\n2\n3\n",
}  # fmt: skip
SAID = {
    "zero.parquet": "it is empty, and no parquet file is", "garbage.parquet": "is not a Parquet file",
    "cut.parquet": "Parquet", "cut.csv.gz": "Unexpected end of input stream",
    "none.csv.gz": "its header: Not a gzipped file", "utf16.csv": "it is UTF-16; set options: {encoding: UTF-16}",
    "zero.avro": "it is empty, and no avro file is", "garbage.avro": "Avro", "cut.json.gz": "Unexpected end of input stream",
    "zero.orc": "it is empty, and no orc file is", "cut.txt.gz": "Unexpected end of input stream",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_cannot_be_read_stops_the_run_by_name_or_costs_one_row_of_the_quarantine(project, spark, kind):
    for name, content in {
        **{name: GOOD[name] for name in GOOD if name.endswith(f".{kind[:3]}") or kind in name},
        **BAD[kind],
    }.items():
        project.write(f"data/{name}", content)
    if kind == "text":
        project.write("data/1.txt", GOOD["1.txt"])
    if kind == "avro":
        spark.sql("SELECT id AS a FROM range(3)").coalesce(1).write.format("avro").save(f"{project.root}/made")
        project.write("data/1.avro", next((project.root / "made").glob("*.avro")).read_bytes())
    project.job("x", job(f", format: {kind}"))
    count = f"{len(BAD[kind])} file{'s' if len(BAD[kind]) > 1 else ''} cannot be read: "
    with pytest.raises(DataError) as stopped:
        project.run("x")
    assert stopped.value.exit_code == 3
    assert str(stopped.value).startswith(f"source 'files': {count}{project.root}/data/")
    assert str(stopped.value).endswith("mend or remove it, or set on_bad_file: quarantine")
    assert "\n" not in str(stopped.value)
    assert not list((project.lake / "bronze").rglob("*.json"))  # no commit

    project.job("x", job(f", format: {kind}, on_bad_file: quarantine"))
    record = project.run("x")
    assert (record.rows_read, record.rows_quarantined, balanced(record)) == (3, 0, True)
    assert len(sources(project)) == 3
    rows = quarantined(project)
    assert set(rows) == set(BAD[kind])
    for name, row in rows.items():
        assert (row["status"], row["source"]) == ("open", f"{project.root}/data/{name}")
        assert json.loads(row["row"]) == {"file": row["source"], "bytes": len(BAD[kind][name])}
        assert [reason["rule"] for reason in row["reasons"]] == ["readable_file"]
        assert SAID.get(name, "") in row["reasons"][0]["message"]
    assert [note for note in record.notes if "bronze.t__quarantine: cannot be read" in note]
    assert project.run("x").rows_read == 0
    assert len(quarantined(project)) == len(BAD[kind])


def test_good_batches_are_read_no_more_often_for_it_and_bad_ones_alone_write_no_table(project, monkeypatch):
    project.write("data/1.json", b'{"a":"1"}\nbroken\n')
    project.write("data/2.json", b'{"a":"2"}\n')
    looked = []
    monkeypatch.setattr(taking, "_reason", lambda run, files: looked.append(files))
    project.job("x", job(", on_bad_file: quarantine, max_files_per_trigger: 1"))
    assert project.run("x").batches == 2
    assert looked == []
    monkeypatch.undo()
    project.write("other/3.json.gz", b"no gzip")
    project.job("y", job(", on_bad_file: quarantine").replace("data", "other").replace("bronze.t", "bronze.u"))
    record = project.run("y")
    assert (record.rows_read, record.batches, project.version("bronze.u__quarantine")) == (0, 1, 0)
    assert not (project.lake / "bronze" / "u").exists()
    project.write("other/4.json", b'{"a":"4"}\n')
    assert project.run("y").rows_read == 1


def test_a_mended_file_is_left_to_its_replay_which_reads_it_once(project, capsys, monkeypatch):
    monkeypatch.chdir(project.root)
    project.job("x", job(", on_bad_file: quarantine, archive: done", 'schema: "a int, b string"\n', layer="silver"))
    project.write("data/1.csv", "a,b\n1,x\n")
    project.write("data/2.csv.gz", b"no gzip")
    project.write("data/3.csv.gz", b"no gzip either")
    assert project.run("x").rows_read == 1
    (two, three) = [row["id"][:12] for row in project.rows("silver.t__quarantine", order_by="source")]
    assert command(["quarantine", "fix", two, "--set", "a=1"]) == 2
    assert (
        f"{project.root}/data/2.csv.gz is a file: mend it there, then lakehouse quarantine replay {two}"
        in capsys.readouterr().err
    )
    assert command(["quarantine", "replay", two]) == 3
    assert "still cannot be read: " in capsys.readouterr().err

    project.write("data/2.csv.gz", gzip.compress(b"a,b\n2,y\nthree,z\n"))
    assert project.run("x").rows_read == 0  # neither new nor rewritten
    assert command(["quarantine", "replay", "silver.t"]) == 0
    assert "2 replayed by x: 1 valid (1 inserted" in capsys.readouterr().out
    assert sorted(row["a"] for row in project.rows("silver.t")) == [1, 2]
    rows = {Path(row["source"]).name: row for row in project.rows("silver.t__quarantine") if "file" in row["row"]}
    assert {name: row["status"] for name, row in rows.items()} == {"2.csv.gz": "replayed", "3.csv.gz": "open"}
    (broken,) = [row for row in project.rows("silver.t__quarantine") if "three" in row["row"]]
    assert (broken["status"], broken["source"]) == ("open", f"{project.root}/data/2.csv.gz")
    assert sorted(file.name for file in (project.root / "done").iterdir()) == ["1.csv", "2.csv.gz"]
    assert project.run("x").rows_read == 0
    assert command(["quarantine", "discard", three, "--why", "sent again"]) == 0
    assert command(["quarantine", "replay", "silver.t", "--rule", "readable_file"]) == 0
    assert sorted(row["a"] for row in project.rows("silver.t")) == [1, 2]


def test_a_bad_file_whose_name_looks_like_a_pattern_is_replayed_alone(project, monkeypatch):
    monkeypatch.chdir(project.root)
    project.job("x", job(", on_bad_file: quarantine"))
    project.write("data/1.csv.gz", gzip.compress(b"a\n1\n"))
    project.write("data/[12].csv.gz", b"no gzip")
    assert project.run("x").rows_read == 1
    project.write("data/[12].csv.gz", gzip.compress(b"a\n12\n"))
    assert command(["quarantine", "replay", "bronze.t"]) == 0
    found = [(row["a"], row["_source_file"]) for row in project.rows("bronze.t")]
    assert sorted(found) == [("1", f"{project.root}/data/1.csv.gz"), ("12", f"{project.root}/data/[12].csv.gz")]


def test_a_replay_of_a_file_that_dies_anywhere_is_finished_once(project, monkeypatch):
    monkeypatch.chdir(project.root)
    project.job("x", job(", on_bad_file: quarantine"))
    project.write("data/1.csv", "a\n1\n")
    project.write("data/2.csv.gz", b"no gzip")
    project.run("x")
    project.write("data/2.csv.gz", gzip.compress(b"a\n2\n"))

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(advance, "mark_replayed", die)
    assert command(["quarantine", "replay", "bronze.t"]) == 130
    monkeypatch.undo()
    monkeypatch.chdir(project.root)
    assert [row["status"] for row in project.rows("bronze.t__quarantine")] == ["open"]
    assert project.run("x").rows_read == 0
    assert [row["status"] for row in project.rows("bronze.t__quarantine")] == ["replayed"]
    assert command(["quarantine", "replay", "bronze.t"]) == 0
    assert sorted(row["a"] for row in project.rows("bronze.t")) == ["1", "2"]


def test_a_file_that_is_gone_once_the_batch_has_begun_is_left_out_and_noted(project, monkeypatch):
    for number in (1, 2, 3):
        project.write(f"data/{number}.json", f'{{"a":"{number}"}}\n')
    project.job("x", job())
    found = taking.load

    def gone_before(batch, read):
        (project.root / "data/2.json").unlink(missing_ok=True)
        return found(batch, read)

    monkeypatch.setattr(taking, "load", gone_before)
    record = project.run("x")
    assert sources(project) == ["1.json", "3.json"]
    assert record.notes == (f"{project.root}/data/2.json was listed, and was gone before it was read",)
    project.write("data/2.json", '{"a":"2"}\n')
    monkeypatch.undo()
    assert project.run("x").rows_read == 1


def test_utf_16_is_read_where_the_options_say_so(project):
    project.write("data/1.csv", "a,b\n1,ä\n2,\u20ac\n".encode("utf-16"))
    project.job("x", job(", options: {encoding: UTF-16}"))
    project.run("x")
    assert sorted((row["a"], row["b"]) for row in project.rows("bronze.t")) == [("1", "ä"), ("2", "€")]


# --- an archive, repeats of content, one look


def test_an_archive_takes_what_is_done_and_a_full_refresh_reads_it_again(project, monkeypatch):
    options = ", archive: data/done, max_files_per_trigger: 2, skip_same_content: true"
    project.job("x", job(options))
    for name, text in {"1": "1", "2": "2", "4": "1"}.items():
        project.write(f"data/{name}.csv", f"a\n{text}\n")
    done = project.root / "data/done"

    def archived() -> list[str]:
        return sorted(str(file.relative_to(done)) for file in done.rglob("*.csv"))

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(advance, "_tell_source", die)  # after the batch is finished, before its files are moved
    with pytest.raises(Exception, match="was interrupted"):
        project.run("x")
    monkeypatch.undo()
    assert archived() == []
    record = project.run("x")
    assert record.rows_read == 0
    assert archived() == ["1.csv", "2.csv", "4.csv"]
    assert record.notes == (f"{project.root}/data/4.csv holds what {project.root}/data/1.csv held: it was not read",)
    assert sorted(row["a"] for row in project.rows("bronze.t")) == ["1", "2"]

    project.write("data/1.csv", "a\n5\n")
    with pytest.raises(DataError, match=r"1 file was rewritten since taken \(.*/data/1\.csv\)"):
        project.run("x")
    project.job("x", job(f"{options}, on_rewrite: reprocess"))
    assert project.run("x").rows_read == 1
    assert len(archived()) == 4
    assert not list((project.root / "data").glob("*.csv"))

    project.write("data/6.csv", "a\n6\n")
    record = project.run("x", full_refresh=True)
    assert (record.rows_read, record.batches) == (4, 3)
    assert sorted(row["a"] for row in project.rows("bronze.t")) == ["1", "2", "5", "6"]
    assert archived()[-1] == "6.csv"
    assert project.run("x").rows_read == 0


@pytest.mark.soak
def test_bad_files_and_the_archive_are_the_same_on_s3(s3, tmp_path):
    lake = f"{s3}/{tmp_path.name}"
    options = f", archive: {lake}/done, on_bad_file: quarantine, max_files_per_trigger: 2, skip_same_content: true"
    (tmp_path / "conf").mkdir()
    file = tmp_path / "conf/bronze_x.yml"
    file.write_text(job(options).replace("data", f"{lake}/in"))
    files = {"1.csv": b"a\n1\n", "2.csv.gz": b"no gzip", "3.csv": b"a\n3\n", "sub/4.csv": b"a\n1\n"}

    def put(content: Mapping[str, bytes]) -> None:
        for name, body in content.items():
            storage.s3_client().put_object(Bucket="lake", Key=f"{tmp_path.name}/in/{name}", Body=body)

    def left(folder: str) -> list[str]:
        return [each.path.removeprefix(f"{lake}/{folder}/") for each in storage.list_files(f"{lake}/{folder}")]

    put(files)
    said = finished(program(lake, "run", str(file)))
    assert "bronze_x: 2 rows in, 2 out" in said
    assert (left("in"), left("done")) == (["2.csv.gz"], ["1.csv", "3.csv", "sub/4.csv"]), said
    put({"2.csv.gz": gzip.compress(b"a\n2\n")})
    finished(program(lake, "quarantine", "replay", "bronze.t", cwd=tmp_path))
    assert (left("in"), left("done")) == ([], ["1.csv", "2.csv.gz", "3.csv", "sub/4.csv"])
    held = tables(lake, {name: os.environ[name] for name in os.environ if name.startswith("AWS_")})
    assert [re.findall(r"'a': '(\d)'", row) for row in held["bronze.t"]] == [["1"], ["2"], ["3"]]
    assert [re.findall(r"'status': '(\w+)'", row) for row in held["bronze.t__quarantine"]] == [["replayed"]]


def test_a_refresh_that_dies_amid_the_archive_goes_on_with_the_rest_of_it(project, monkeypatch):
    project.job("x", job(", archive: done, max_files_per_trigger: 1"))
    for number in range(3):
        project.write(f"done/day=1/{number}.csv", f"a\n{number}\n")
    project.write("data/day=2/9.csv", "a\n9\n")
    taken = taking.advance

    def die_at_the_second(run, batch, *rest):
        if batch.number == 1:
            raise KeyboardInterrupt
        return taken(run, batch, *rest)

    monkeypatch.setattr(taking, "advance", die_at_the_second)
    with pytest.raises(Exception, match="was interrupted"):
        project.run("x")
    monkeypatch.undo()
    project.run("x")
    assert sources(project) == ["0.csv", "1.csv", "2.csv", "9.csv"]
    assert sorted(str(row["day"]) for row in project.rows("bronze.t")) == ["1", "1", "1", "2"]
    assert project.run("x").rows_read == 0


def test_a_run_of_many_batches_lists_its_folder_once_for_them_all(project, monkeypatch):
    for number in range(6):
        project.write(f"data/{number}.csv", f"a\n{number}\n")
    listed, found = [], looks.list_files
    monkeypatch.setattr(looks, "list_files", lambda place: listed.append(place) or found(place))
    project.job("x", job(", max_files_per_trigger: 1"))
    assert project.run("x").batches == 6
    assert len(listed) == 2  # the second one finds nothing more


@pytest.mark.parametrize(
    ("options", "more", "said"),
    [
        (", archive: data", "", "source 'files': 'archive' is the folder of 'path', or one above it"),
        (", archive: 's3a://b/done'", "", "'archive' must be in the store of 'path'"),
        (", archive: done", "read: full\n", "'archive' is about files that are taken once, and this job reads all each time"),
        (", on_bad_file: quarantine", "read: full\n", "'on_bad_file' is about files that are taken once"),
        (", min_age: soon", "", "min_age"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused_with_their_line(project, options, more, said):
    project.job("x", job(options, more))
    with pytest.raises(ConfigError) as refused:
        project.run("x")
    assert f"conf/x.yml:3: {said}" in str(refused.value) or said in str(refused.value)
