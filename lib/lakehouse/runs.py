"""The run log: an intent before a run's first write, a record at its end, both readable without Spark."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from lakehouse.errors import SinkError
from lakehouse.outages import STORAGE_OPTIONS, answered, one_line
from lakehouse.storage import read_text, s3_client, s3_credentials
from lakehouse.tables import Layout, is_remote

COUNTS = (
    "rows_read", "rows_valid", "rows_quarantined", "rows_dropped", "rows_late", "rows_open", "rows_warned",
    "rows_to_sink", "rows_inserted", "rows_updated", "rows_deleted", "rows_unchanged", "rows_unrouted",
)  # fmt: skip
_LOOKED_AT = 100  # commits, by several drivers, in the seconds between a write and the look whether it is in


@dataclass(frozen=True)
class Input:
    """What a run read: a table at a version (after `from_version`, where it was read incrementally), or files."""

    name: str
    version: int | None = None
    from_version: int | None = None
    files: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Output:
    """What a run did to one target: the version it made (None: nothing to write) and the rows that changed in it."""

    name: str
    version: int | None = None
    rows: int = 0
    target_rows_inserted: int = 0
    target_rows_updated: int = 0
    target_rows_deleted: int = 0


@dataclass(frozen=True)
class RunRecord:
    """One run. Every row read has one fate: `rows_read = rows_valid + rows_quarantined + rows_dropped + rows_late`, and
    of what reaches the sinks `rows_to_sink = rows_inserted + rows_updated + rows_deleted + rows_unchanged`."""

    run_id: str
    job: str
    config_fingerprint: str
    started: datetime
    ended: datetime | None = None
    state: str = "running"
    error: str | None = None
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    rows_read: int = 0
    rows_valid: int = 0
    rows_quarantined: int = 0
    rows_dropped: int = 0
    rows_late: int = 0
    rows_open: int = 0
    rows_warned: int = 0
    rows_to_sink: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    rows_unchanged: int = 0
    rows_unrouted: int = 0
    batches: int = 0
    ignored_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    contract: str | None = None
    contract_version: str | None = None
    contract_fingerprint: str | None = None

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return (self.ended - self.started).total_seconds() if self.ended else 0.0


def new_run_id(now: datetime) -> str:
    """A run's name: sorts by its start (UTC), and two runs never share one."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(5)}"


def to_json(record: RunRecord) -> str:
    """The record as one line."""
    return json.dumps(asdict(record), default=lambda value: value.isoformat())


def from_json(text: str) -> RunRecord:
    """The record of `to_json`."""
    found: dict[str, Any] = json.loads(text)
    found["inputs"] = tuple(Input(**item) for item in found["inputs"])
    found["outputs"] = tuple(Output(**item) for item in found["outputs"])
    for name in ("started", "ended"):
        found[name] = datetime.fromisoformat(found[name]) if found[name] else None
    for name in ("ignored_columns", "notes"):
        found[name] = tuple(found[name])
    return RunRecord(**found)


def append(layout: Layout, record: RunRecord) -> None:
    """Adds the record to `$LAKE/_runs`. Raises SinkError."""
    add_rows(layout.runs, layout.root, [asdict(record)], _schema())


def read(layout: Layout, job: str | None = None, limit: int | None = None) -> list[RunRecord]:
    """The run records, newest first; none where no run was recorded yet."""
    rows = query(layout.runs, layout.root, "SELECT * FROM t")
    chosen = sorted(
        (row for row in rows if job is None or row["job"] == job), key=lambda row: row["started"], reverse=True
    )
    return [_record(row) for row in chosen[:limit]]


def is_recorded(layout: Layout, run_id: str) -> bool:
    """True where a run has its record already."""
    return bool(query(layout.runs, layout.root, f"SELECT run_id FROM t WHERE run_id = {literal(run_id)} LIMIT 1"))


def add_rows(
    path: str, root: str, rows: Sequence[Mapping[str, Any]], schema: Any, *, once: tuple[str, int] | None = None
) -> None:
    """Adds rows, in the types of a pyarrow schema, to a Delta table; `once`: under this owner's number, for `taken`.

    Written by delta-rs, not by Spark: its commit is a create-if-absent on S3 too, so that several drivers may append
    at once, and it takes milliseconds. Raises SinkError where the lake is out of reach.
    """
    from deltalake.exceptions import DeltaError

    try:
        answered(path, "written", lambda: _append(path, root, rows, schema, once))
    except (DeltaError, OSError) as error:
        raise SinkError(f"{path} cannot be written: {one_line(error)}") from error


def _append(path: str, root: str, rows: Sequence[Mapping[str, Any]], schema: Any, once: tuple[str, int] | None) -> None:
    """One try; raises what delta-rs says, but where only the answer to the commit was lost: it is in."""
    import pyarrow as pa
    from deltalake import CommitProperties, Transaction, write_deltalake

    token = secrets.token_hex(8)
    identity = CommitProperties({"write": token}, app_transactions=[Transaction(*once)] if once else None)
    try:
        write_deltalake(
            path, pa.Table.from_pylist(list(rows), schema=schema), mode="append", schema_mode="merge",
            storage_options=storage_options(root), commit_properties=identity,
        )  # fmt: skip
    except Exception:
        if not (is_remote(root) and _is_in(path, root, token)):
            raise


def _is_in(path: str, root: str, token: str) -> bool:
    """True where one of the table's last commits bears the token. Raises Unreachable where nobody can tell."""
    opened = open_table(path, root)
    newest = opened.version() if opened is not None else -1
    logs = (f"{path}/_delta_log/{version:020d}.json" for version in range(newest, max(newest - _LOOKED_AT, -1), -1))
    return any(token in (read_text(log) or "") for log in logs)


def taken(path: str, root: str, owner: str) -> int | None:
    """The last number under which an owner's rows were added; None where there were none yet. Raises SinkError."""
    from deltalake.exceptions import DeltaError

    try:
        opened = open_table(path, root)
        return opened.transaction_version(owner) if opened is not None else None
    except (DeltaError, OSError) as error:
        raise SinkError(f"{path} cannot be read: {one_line(error)}") from error


def open_table(path: str, root: str) -> Any:
    """A Delta table opened without Spark, or None where there is none. Raises Unreachable."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        return answered(path, "read", lambda: DeltaTable(path, storage_options=storage_options(root)))
    except TableNotFoundError:
        return None


def query(path: str, root: str, sql: str) -> list[dict[str, Any]]:
    """The rows of a query over a table named `t`, read without Spark; none where there is no table."""
    opened = open_table(path, root)
    if opened is None:
        return []
    return rows_of(opened, sql)


def rows_of(opened: Any, sql: str) -> list[dict[str, Any]]:
    """The rows of a query over an open table, which it calls `t`. Raises Unreachable."""
    import pyarrow as pa
    from deltalake import QueryBuilder

    def read() -> list[dict[str, Any]]:
        # by pyarrow, which lets other threads go on while it waits: the lease's sign of life is one
        found: list[dict[str, Any]] = pa.table(QueryBuilder().register("t", opened).execute(sql)).to_pylist()
        return found

    return answered(opened.table_uri, "read", read)


def identifier(name: str) -> str:
    """A column's name for a query without Spark."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as a literal of `query`'s SQL."""
    return "'" + value.replace("'", "''") + "'"


def storage_options(root: str) -> dict[str, str] | None:
    """What delta-rs needs for S3, from the same provider chain that boto3 uses."""
    if not is_remote(root):
        return None
    client = s3_client()
    options = {
        "AWS_ENDPOINT_URL": str(client.meta.endpoint_url),
        "AWS_REGION": str(client.meta.region_name),
        "AWS_ALLOW_HTTP": str(str(client.meta.endpoint_url).startswith("http:")).lower(),
        "aws_conditional_put": "etag",
        **STORAGE_OPTIONS,
    }
    found = s3_credentials()
    if found is not None:
        options |= {"AWS_ACCESS_KEY_ID": str(found.access_key), "AWS_SECRET_ACCESS_KEY": str(found.secret_key)}
        options |= {"AWS_SESSION_TOKEN": found.token} if found.token else {}
    return options


def total(records: Sequence[RunRecord], name: str) -> int:
    """The sum of one count."""
    return sum(getattr(record, name) for record in records)


def now() -> datetime:
    """The wall clock, to the microsecond, UTC: a run reads it once, at its start and its end."""
    return datetime.now(UTC)


def _record(row: dict[str, Any]) -> RunRecord:
    known = {item.name for item in fields(RunRecord)}
    row = {name: value for name, value in row.items() if name in known and value is not None}
    row["inputs"] = tuple(Input(**item) for item in row.get("inputs", ()))
    row["outputs"] = tuple(Output(**item) for item in row.get("outputs", ()))
    row["ignored_columns"] = tuple(row.get("ignored_columns", ()))
    row["notes"] = tuple(row.get("notes", ()))
    return RunRecord(**row)


def _schema() -> Any:
    import pyarrow as pa

    moment, count, text = pa.timestamp("us", tz="UTC"), pa.int64(), pa.string()
    inputs = pa.list_(
        pa.struct([("name", text), ("version", count), ("from_version", count), ("files", count), ("bytes", count)])
    )
    changed = [(f"target_rows_{what}", count) for what in ("inserted", "updated", "deleted")]
    outputs = pa.list_(pa.struct([("name", text), ("version", count), ("rows", count), *changed]))
    return pa.schema([
        ("run_id", text), ("job", text), ("config_fingerprint", text), ("started", moment), ("ended", moment), ("state", text),
        ("error", text), ("inputs", inputs), ("outputs", outputs), *[(name, count) for name in COUNTS], ("batches", count),
        ("ignored_columns", pa.list_(text)), ("notes", pa.list_(text)),
        ("contract", text), ("contract_version", text), ("contract_fingerprint", text),
    ])  # fmt: skip
