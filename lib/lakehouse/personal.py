"""Which columns of a table show no value: what the contracts of the jobs before it call personal, wherever it went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from lakehouse.batches.job_columns import personal_columns
from lakehouse.config.contract import Contract
from lakehouse.config.jobs import load_mapping
from lakehouse.config.project_files import project_root
from lakehouse.errors import ConfigError
from lakehouse.history.shape import PREVIOUS
from lakehouse.planning.graph import ordered
from lakehouse.planning.plan import Plan
from lakehouse.planning.planner import plan_job
from lakehouse.raw_rows import CORRUPT
from lakehouse.sql_text import aliases_of
from lakehouse.tables import QUARANTINE_SUFFIX

_RECORDS = frozenset({CORRUPT, "_rescued_data", "_key", "_headers"})  # a record's own text: nobody knows what is in it
_RAW_ROWS = frozenset({"row", "reasons", "mended"})


def personal_columns_of(table: str, files: Sequence[Path]) -> set[str]:
    """A table's columns, in lower case, whose values are not shown; see `personal_by_table`."""
    return personal_by_table([table], files)[table]


def personal_by_table(tables: Iterable[str], files: Sequence[Path]) -> dict[str, set[str]]:
    """For each table its personal columns, in lower case, by the jobs of these files; of a quarantine the raw rows.

    They are followed from job to job, through renames and what is made of them. A table whose jobs have no contract shows
    no value of a column named like one that any contract of the project calls personal. Raises ConfigError where a job
    cannot be planned that might write one of the tables.
    """
    tables = list(tables)
    plans = _plans(tables, files)
    carried, named = _carried(plans), _named_personal(files)
    return {table: _personal(table, plans, carried.get(table, set()), named) for table in tables}


def _personal(table: str, plans: Sequence[Plan], carried: set[str], named: set[str]) -> set[str]:
    writers = [plan for plan in plans if table in (*plan.outputs, *plan.asides)]
    found = {name.lower() for name in carried}
    if not writers or any(plan.contract is None for plan in writers):
        found |= {prefix + name.lower() for name in named for prefix in ("", PREVIOUS)}
    holds_raw_rows = table.endswith(QUARANTINE_SUFFIX) or any(table == plan.quarantine for plan in writers)
    if not found:
        return found
    return found | _RECORDS | (_RAW_ROWS if holds_raw_rows else set())


def _carried(plans: Sequence[Plan]) -> dict[str, set[str]]:
    """What reaches each table, in run order: what its job's contract calls personal, and what comes with its inputs."""
    found: dict[str, set[str]] = {}
    for plan in ordered(plans):
        given = {name for table in plan.inputs for name in found.get(table, ())}
        query = plan.source.option("query") if plan.source.name == "sql" else None
        if query and given:
            given |= aliases_of(query, given)
        for table in (*plan.outputs, *plan.asides):
            found.setdefault(table, set()).update(personal_columns(plan, given))
    return found


def _plans(tables: Collection[str], files: Iterable[Path]) -> list[Plan]:
    plans = []
    for file in files:
        try:
            plans.append(plan_job(file, lake="lake"))  # where it lies says nothing of its columns
        except ConfigError:
            text = file.read_text(encoding="utf-8", errors="replace")
            if any(table.removesuffix(QUARANTINE_SUFFIX) in text for table in tables):
                raise
    return plans


def _named_personal(files: Sequence[Path]) -> set[str]:
    """Every column that a contract of these projects calls personal."""
    roots = {project_root(file) for file in files}
    contracts = [file for root in sorted(roots) for file in sorted((root / "conf" / "contracts").glob("*.yml"))]
    return {field.name for file in contracts for field in load_mapping(Contract, file)[0].fields if field.pii}
