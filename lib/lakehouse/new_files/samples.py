"""A look at data before there is a job for it: its columns, and the first rows of a table or of files. No Spark."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.errors import ConfigError
from lakehouse.runs import open_table, rows_of
from lakehouse.storage import FileInfo, list_files, read_part
from lakehouse.tables import Layout, resolved

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 10_000
_FILES = 5
_BYTES = 4 * 2**20
_KINDS = {"csv": "csv", "json": "json", "jsonl": "json", "ndjson": "json", "parquet": "parquet"}


@dataclass(frozen=True)
class Sample:
    """Columns with their Spark types (text where the data says no more), and rows of them; `format` None for a table."""

    place: str
    types: dict[str, str]
    rows: Sequence[dict[str, Any]]
    format: str | None = None


def table_sample(layout: Layout, name: str) -> Sample:
    """The table's columns, without those that bronze adds (leading underscore). Raises ConfigError where it is not there."""
    import pyarrow as pa

    table = open_table(layout.table(name), layout.root)
    if table is None:
        raise ConfigError(f"there is no table {name} at {layout.table(name)}; run the job that writes it first")
    rows = rows_of(table, f"SELECT * FROM t LIMIT {_ROWS}")
    return Sample(name, _own(_types(pa.schema(table.schema().to_arrow()))), rows)


def file_sample(path: str, root: Path) -> Sample:
    """The columns of the first files of a folder, of a glob, or of one file; CSV is text.

    Raises ConfigError where there are none, or none of a kind that is known here.
    """
    files = [file for file in list_files(resolved(path, root)) if _kind(file) is not None]
    if not files:
        raise ConfigError(f"there is no file of {', '.join(_KINDS)} at {path}")
    kind = str(_kind(files[0]))
    looked_at = [file for file in files if _kind(file) == kind][:_FILES]
    try:
        return _sample(path, kind, looked_at)
    except (ValueError, OSError, csv.Error) as error:
        raise ConfigError(f"{looked_at[0].path} cannot be read as {kind}: {str(error).splitlines()[0]}") from error


def _kind(file: FileInfo) -> str | None:
    return _KINDS.get(file.path.rpartition(".")[2].lower())


def _sample(path: str, kind: str, files: Sequence[FileInfo]) -> Sample:
    import pyarrow as pa

    if kind == "parquet":
        tables = [_parquet(file) for file in files]
        rows = [row for table in tables for row in table.to_pylist()][:_ROWS]
        return Sample(path, _own(_types(pa.unify_schemas([table.schema for table in tables]))), rows, kind)
    parsed = [row for file in files for row in (_csv_rows(file) if kind == "csv" else _json_rows(file))][:_ROWS]
    if kind == "csv":
        return Sample(path, _own({name: "string" for row in parsed for name in row}), parsed, kind)
    return Sample(path, _own(_types(pa.schema(_json_types(parsed)))), parsed, kind)


def _own(types: dict[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in types.items() if not name.startswith("_")}


def _parquet(file: FileInfo) -> pa.Table:
    from pyarrow import parquet

    return parquet.read_table(io.BytesIO(read_part(file.path, file.size))).slice(0, _ROWS)


def _text(file: FileInfo) -> str:
    """The file's text; of a long one its first megabytes, up to the end of a line."""
    read = read_part(file.path, _BYTES)
    whole = read if file.size <= _BYTES else read[: read.rfind(b"\n") + 1]
    return whole.decode("utf-8-sig", errors="replace")


def _csv_rows(file: FileInfo) -> list[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(_text(file), newline=""), restval=None, restkey="_more")
    return [{name: value or None for name, value in row.items()} for row in rows]


def _json_rows(file: FileInfo) -> list[dict[str, Any]]:
    found = []
    for line in _text(file).splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # what cannot be read is the job's business, not that of its first contract
        if isinstance(row, dict):
            found.append(row)
    if not found:
        raise ValueError("it has no line that is a JSON object")
    return found


def _json_types(rows: Sequence[dict[str, Any]]) -> dict[str, pa.DataType]:
    """Each field of any row with the type that holds its values; text where none does."""
    import pyarrow as pa

    found = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            found[name] = pa.array([row.get(name) for row in rows]).type
        except (pa.ArrowException, OverflowError):
            found[name] = pa.string()
    return found


def _types(schema: pa.Schema) -> dict[str, str]:
    """Each column's type as Spark's DDL has it; text where Spark has no such type."""
    from pyspark.sql.pandas.types import from_arrow_type

    found = {}
    for field in schema:
        try:
            found[field.name] = from_arrow_type(field.type).simpleString()
        except Exception:  # a column that is NULL in each row, or of a type that Spark cannot hold
            found[field.name] = "string"
    return {name: "string" if kind == "void" else kind for name, kind in found.items()}
