"""The promise of freshness, measured: how old a table's newest row is, or its last good run. Needs no Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from lakehouse import runs
from lakehouse.errors import counted
from lakehouse.planning.plan import Plan
from lakehouse.registry import length_of
from lakehouse.runs import RunRecord

State = Literal["fresh", "late", "empty", "missing", "unmeasured", "not promised"]

_BY_RUN = "last good run"


@dataclass(frozen=True)
class Freshness:
    """One table under a contract: what was promised, the newest moment that was found, and what that comes to."""

    contract: str
    version: str
    owner: str | None
    job: str
    table: str
    promised: str | None
    measured_by: str
    state: State
    newest: datetime | None = None
    age: timedelta | None = None
    written_by: str | None = None
    """The contract's version that the table was last written by; with `, another text` where its file differs from that."""

    @property
    def holds(self) -> bool:
        """True where the promise is kept, or none was made."""
        return self.state in ("fresh", "not promised")

    def __str__(self) -> str:
        """The promise and what became of it, in one line."""
        owner = f"; its owner is {self.owner}" if self.owner else ""
        return f"contract {self.contract} promises {self.table} no older than {self.promised}: {self._found()}{owner}"

    def _found(self) -> str:
        if self.state == "missing":
            return "there is no such table yet"
        if self.state == "unmeasured":
            return f"the table has no column '{self.measured_by}' to tell by"
        if self.newest is None or self.age is None:
            return f"it holds no {self.measured_by}" if self.measured_by != _BY_RUN else "no run of it has succeeded"
        return f"{self.state}, {self.measured_by} is {self.newest:%Y-%m-%d %H:%M:%S} UTC, {age_text(self.age)} ago"


def freshness(plan: Plan, now: datetime) -> list[Freshness]:
    """Each table that a job under a contract writes, measured at a moment; none for a job without a contract."""
    return [_measured(plan, table, now) for table in plan.outputs] if plan.contract is not None else []


def with_broken_promises(plan: Plan, record: RunRecord) -> RunRecord:
    """The record of an ending run with a note for each table of it whose newest row is older than promised."""
    sla = plan.contract.sla if plan.contract is not None else None
    if sla is None or sla.freshness is None or sla.column is None:  # this run itself is the last one
        return record
    notes = [str(found) for found in freshness(plan, record.started) if not found.holds]
    return replace(record, notes=(*record.notes, *notes))


def age_text(age: timedelta) -> str:
    """A length of time in its greatest unit."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= size or unit == "second":
            return counted(seconds // size, unit)
    raise AssertionError


def _measured(plan: Plan, table: str, now: datetime) -> Freshness:
    identity, contract = plan.contract_identity, plan.contract
    sla = contract.sla if contract else None
    promised, column = (sla.freshness, sla.column) if sla else (None, None)
    name = _name_in_table(plan, column) if column else _BY_RUN
    blank = Freshness(identity["contract"], identity["contract_version"], contract.owner if contract else None, plan.name,
                      table, promised, name, "not promised")  # fmt: skip
    opened = runs.open_table(plan.layout.table(table), plan.layout.root)
    if opened is None:
        return replace(blank, state="missing") if promised else blank
    blank = replace(blank, written_by=_written_by(opened, identity))
    if promised is None:
        return blank
    if column and name.lower() not in {field.name.lower() for field in opened.schema().fields}:
        return replace(blank, state="unmeasured")
    newest = _newest(plan, table, opened, name) if column else _last_good_run(plan)
    if newest is None:
        return replace(blank, state="empty")
    age = now - newest
    return replace(blank, newest=newest, age=age, state="fresh" if age <= length_of(promised) else "late")


def _written_by(opened: Any, identity: dict[str, Any]) -> str | None:
    properties = opened.metadata().configuration
    prefix = f"lakehouse.contract.{identity['contract']}"
    version = properties.get(f"{prefix}.version")
    same = properties.get(f"{prefix}.fingerprint") == identity["contract_fingerprint"]
    return None if version is None else version if same else f"{version}, another text"


def _name_in_table(plan: Plan, column: str) -> str:
    """What the job's transforms call the column in the end."""
    for step in plan.transforms:
        if step.name == "rename":
            column = next((new for old, new in step.option("columns").items() if old.lower() == column.lower()), column)
    return column


def _newest(plan: Plan, table: str, opened: Any, column: str) -> datetime | None:
    """The greatest value of a column, UTC: from the statistics of the table's files, else from the rows."""
    stored = next(field.name for field in opened.schema().fields if field.name.lower() == column.lower())
    known = list(_file_maxima(opened, stored))
    if None in known:
        known = _from_rows(plan, table, stored) or known
    return max((_moment(value) for value in known if value is not None), default=None)


def _from_rows(plan: Plan, table: str, column: str) -> list[Any]:
    """The greatest value of a column as its rows have it; none where the table can only be read by Spark."""
    from deltalake.exceptions import DeltaError

    name = runs.identifier(column)
    try:
        return [
            row["newest"]
            for row in runs.query(plan.layout.table(table), plan.layout.root, f"SELECT max({name}) AS newest FROM t")
        ]
    except DeltaError:  # a feature such as type widening: what the files tell must do
        return []


def _file_maxima(opened: Any, column: str) -> Iterator[Any]:
    """The greatest value of each file that holds one; None for a file that does not tell."""
    import pyarrow as pa

    actions = pa.table(opened.get_add_actions(flatten=True))
    for row in actions.to_pylist():
        if row.get(f"max.{column}") is not None:
            yield row[f"max.{column}"]
        elif row.get("num_records") is None or row.get(f"null_count.{column}") != row["num_records"]:
            yield None


def _last_good_run(plan: Plan) -> datetime | None:
    sql = f"SELECT max(ended) AS newest FROM t WHERE job = {runs.literal(plan.name)} AND state = 'succeeded'"
    rows = runs.query(plan.layout.runs, plan.layout.root, sql)
    return _moment(rows[0]["newest"]) if rows and rows[0]["newest"] is not None else None


def _moment(value: date | datetime) -> datetime:
    """A date is its first moment; what names no zone is UTC."""
    moment = value if isinstance(value, datetime) else datetime.combine(value, time.min)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
