"""A column that old files hold in one width and new ones in another: a table made anew is the one that grew batch by batch."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse import DataError, read_table
from lakehouse.cli import command

JOB = """
layer: silver
source:
  files: {{path: data, format: parquet}}
sink:
  scd2: {{table: silver.t, keys: [id], sequence_by: [at]{more}}}
"""


def file(project, number, amount, price, **more):
    columns = {
        "id": pa.array([1]), "at": pa.array([number]), "amount": pa.array([7]).cast(amount),
        "price": pa.array([1], price), "parts": pa.array([{"size": None}], pa.struct([("size", amount)])), **more,
    }  # fmt: skip
    (project.root / "data").mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), project.root / f"data/{number}.parquet")


def test_files_of_two_widths_are_read_together_as_they_were_one_by_one(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    project.job("t", JOB.format(more=", type_widening: true"))
    sent = [
        (1, pa.int32(), pa.decimal128(5, 1)),
        (2, pa.int32(), pa.decimal128(6, 2)),
        (3, pa.int64(), pa.decimal128(6, 2)),
    ]
    for number, amount, price in sent:
        file(project, number, amount, price)
        project.run("t")
    file(project, 4, pa.int32(), pa.decimal128(5, 1), note=pa.array(["new"]))  # the old width again
    project.run("t")

    def rows():  # the deltalake package reads no table whose types were widened
        found = read_table("silver.t", lake=str(project.lake)).collect()
        return sorted(str(sorted(row.asDict(recursive=True).items())) for row in found)

    before = rows()
    assert len(before) == 4
    assert command(["rebuild", "silver.t"]) == 0
    assert "it is the same, row for row" in capsys.readouterr().out
    project.run("t", full_refresh=True)
    assert rows() == before


def test_files_of_two_widths_without_type_widening_are_named(project):
    file(project, 1, pa.int32(), pa.decimal128(5, 1))
    file(project, 2, pa.int64(), pa.decimal128(5, 1))
    project.job("t", JOB.format(more=""))
    said = r"column 'amount' is int in .*1\.parquet and bigint in .*2\.parquet; set type_widening: true on the sink, or read"
    with pytest.raises(DataError, match=said):
        project.run("t")
    file(project, 2, pa.string(), pa.decimal128(5, 1))
    project.job("t", JOB.format(more=", type_widening: true"))
    with pytest.raises(
        DataError, match=r"is int in .* and string in .*2\.parquet; read the folder's files of one type"
    ):
        project.run("t")
