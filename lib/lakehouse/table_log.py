"""A Delta table as its log tells it, read without Spark: columns, size, rows, and its last versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lakehouse.commits import info_of
from lakehouse.errors import ConfigError, DataError
from lakehouse.runs import open_table, rows_of
from lakehouse.storage import read_text

_NAMES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}
_UNREADABLE = "Unsupported table features"


@dataclass(frozen=True)
class Column:
    """A column of a table: its type as Spark writes it, and its comment."""

    name: str
    type: str
    nullable: bool
    comment: str | None = None


@dataclass(frozen=True)
class Version:
    """One version of a table: when and by what it was made, the rows that it says it changed, and the run that made it."""

    version: int
    at: datetime
    operation: str
    changes: Mapping[str, int]
    run_id: str | None = None
    job: str | None = None


@dataclass(frozen=True)
class TableState:
    """A table at one version; `rows` is None where neither the files' statistics nor a count says it."""

    path: str
    id: str
    version: int
    columns: tuple[Column, ...]
    partitions: tuple[str, ...]
    comment: str | None
    properties: Mapping[str, str]
    files: int
    bytes: int
    rows: int | None


class Unreadable(DataError):
    """The table has a feature that only Spark reads."""


def opened(path: str, root: str, version: int | None = None, at: str | None = None) -> Any:
    """The table for delta-rs, as it is, at a version, or at a time (ISO; UTC where it says no zone); None where there is none.

    Raises ConfigError for a version or a time that the log does not have, Unreadable for a table only Spark reads.
    """
    from deltalake.exceptions import DeltaError

    try:
        table = open_table(path, root)
        if table is not None and (version is not None or at is not None):
            _go_to(table, version, at)
    except DeltaError as error:
        said = str(error).splitlines()[0]
        if _UNREADABLE in said:
            raise Unreadable(f"{path}: {said}") from error
        asked = f"version {version}" if version is not None else f"{at}"
        raise ConfigError(f"{path} cannot be read as of {asked}: {said}") from error
    return table


def state_of(table: Any) -> TableState:
    """What an opened table is, from its log; its rows are counted only where deleted ones cannot be told from the log."""
    metadata = table.metadata()
    files = _files(table)
    return TableState(
        str(table.table_uri), str(metadata.id), table.version(), _columns(table), tuple(metadata.partition_columns),
        metadata.description, dict(metadata.configuration), len(files), sum(size for size, _ in files),
        _rows(table, [rows for _, rows in files]),
    )  # fmt: skip


def versions_of(path: str, root: str, until: int, limit: int) -> list[Version]:
    """The last versions up to one, newest first."""
    newest = open_table(path, root)  # one that was sent back to a version gives its commits wrong numbers
    found = [_version(commit) for commit in newest.history(limit + newest.version() - until)]
    return [one for one in found if one.version <= until]


def type_text(kind: Any) -> str:
    """A type of Delta's schema as Spark writes it: `array<struct<a:bigint>>`."""
    if isinstance(kind, str):
        return _NAMES.get(kind, kind)
    if kind["type"] == "struct":
        fields = ",".join(f"{field['name']}:{type_text(field['type'])}" for field in kind["fields"])
        return f"struct<{fields}>"
    if kind["type"] == "array":
        return f"array<{type_text(kind['elementType'])}>"
    return f"map<{type_text(kind['keyType'])},{type_text(kind['valueType'])}>"


def _go_to(table: Any, version: int | None, at: str | None) -> None:
    newest = table.version()
    if version is not None and not 0 <= version <= newest:
        raise ConfigError(f"there is no version {version} of {_place(table)}; the newest is {newest}")
    if at is not None:
        moment, first = _moment(at), min(_version(commit).at for commit in table.history())
        if moment < first:
            raise ConfigError(f"{_place(table)} is known from {first:%Y-%m-%d %H:%M:%S} UTC on, not as of {at}")
        table.load_as_version(moment)
    else:
        table.load_as_version(version)


def _columns(table: Any) -> tuple[Column, ...]:
    fields = json.loads(table.schema().to_json())["fields"]
    return tuple(
        Column(field["name"], type_text(field["type"]), field["nullable"], field["metadata"].get("comment"))
        for field in fields
    )


def _files(table: Any) -> list[tuple[int, int | None]]:
    """Bytes and rows of each file; rows are None where the file has no statistics."""
    import pyarrow as pa

    found = pa.table(table.get_add_actions(flatten=True))
    rows = found["num_records"].to_pylist() if "num_records" in found.column_names else [None] * found.num_rows
    return list(zip(found["size_bytes"].to_pylist(), rows, strict=True))


def _rows(table: Any, rows: Sequence[int | None]) -> int | None:
    from deltalake.exceptions import DeltaError

    known = [number for number in rows if number is not None]
    deleted = _deleted(table)
    if len(known) == len(rows) and deleted is not None:
        return sum(known) - deleted
    try:
        return int(rows_of(table, "SELECT count(*) AS rows FROM t")[0]["rows"])
    except DeltaError:
        return None


def _deleted(table: Any) -> int | None:
    """The rows that lie in files and are deleted: from the version's checksum; None where that does not say."""
    if "deletionVectors" not in (table.protocol().reader_features or ()):
        return 0
    text = read_text(f"{_place(table)}/_delta_log/{table.version():020d}.crc")
    try:
        return None if text is None else json.loads(text).get("numDeletedRecordsOpt")
    except ValueError:
        return None


def _place(table: Any) -> str:
    """The table's folder as `storage` knows it."""
    return str(table.table_uri).removeprefix("file://").replace("s3://", "s3a://").rstrip("/")


def _version(commit: Mapping[str, Any]) -> Version:
    info = info_of(commit["version"], commit)
    counted = {  # an UPDATE, a DELETE and delta-rs have words of their own
        "inserted": info.inserted or info.metrics.get("num_added_rows", 0),
        "updated": info.updated or info.metrics.get("numUpdatedRows", 0),
        "deleted": info.deleted or info.metrics.get("numDeletedRows", 0),
    }
    at = datetime.fromtimestamp(int(commit.get("timestamp", 0)) / 1000, UTC)
    changes = {name: number for name, number in counted.items() if number > 0}
    return Version(info.version, at, info.operation, changes, info.note.get("run_id"), info.note.get("job"))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"'{text}' is no time; write it as 2026-01-31 or 2026-01-31T06:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
