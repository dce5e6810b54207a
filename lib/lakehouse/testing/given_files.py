"""Files as a test writes them, put where the job's source looks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError

_KINDS = "csv, json, jsonl or parquet"


def put_file(folder: Path, name: str, content: str | Sequence[Mapping[str, Any]]) -> None:
    """Writes a file below a folder: text as it stands, rows in the format of the name's ending."""
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"file '{name}' lies outside the folder of the job's source")
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        file.write_text(content, encoding="utf-8")
    elif file.suffix in (".json", ".jsonl", ".ndjson"):
        file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in content), encoding="utf-8")
    elif file.suffix == ".csv":
        file.write_text(_csv(content), encoding="utf-8")
    elif file.suffix == ".parquet":
        _put_parquet(file, content)
    else:
        raise ConfigError(f"rows of '{name}' are written as {_KINDS}, by the name's ending; write its text instead")


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _put_parquet(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows]), file)
