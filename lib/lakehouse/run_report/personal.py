"""What of a row may be shown: no value that a contract calls personal, nor one of a broken row that could hold such a value."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.batches.job_columns import personal_columns
from lakehouse.config.contract import Contract
from lakehouse.config.jobs import load_mapping
from lakehouse.errors import ConfigError
from lakehouse.frames import as_shown
from lakehouse.planning.plan import Plan
from lakehouse.planning.planner import plan_job
from lakehouse.raw_rows import CORRUPT

_TECHNICAL = frozenset({"_source_file", "_ingested_at", "_run_id", "_topic", "_partition", "_offset", "_timestamp"})
_RAW = frozenset({CORRUPT, "_rescued_data", "_key", "_headers"})  # a record's own text: nobody knows what is in it
_HIDDEN = "***"


class Written(str):
    """A number as the row has it, to its last digit."""

    __slots__ = ()


@dataclass(frozen=True)
class Policy:
    """Columns (in lower case) whose values are masked; where `plain` is given, all others but those are masked too."""

    masked: frozenset[str] = frozenset()
    plain: frozenset[str] | None = None


def policy_of(plan: Plan) -> Policy | None:
    """What may be shown of a job's rows; None (nothing) where a contract that would say so cannot be read.

    Under a contract with `pii` a column that it does not name (a raw record, rescued data) may hold what it calls
    personal. A job without a contract masks what any contract of its project calls personal.
    """
    if plan.contract is None:
        contracts = _contracts(plan)
        names = None if contracts is None else _lower(name for found in contracts for name in _personal(found))
        return None if names is None else Policy(names | _RAW if names else names)
    masked = _lower((*_personal(plan.contract), *personal_columns(plan)))
    if not masked:
        return Policy()
    return Policy(masked | _RAW, _lower(field.name for field in plan.contract.fields) - masked | _TECHNICAL)


def personal_columns_of(table: str, files: Iterable[Path]) -> set[str]:
    """The table's columns that a contract of a job that writes it calls personal; of a quarantine the raw rows.

    Raises ConfigError where a job of these files cannot be planned that might be one of them: its values must not be shown.
    """
    found: set[str] = set()
    for file in files:
        try:
            plan = plan_job(file, lake="lake")  # where it lies says nothing of its columns
        except ConfigError:
            if table.removesuffix("__quarantine") in file.read_text(encoding="utf-8", errors="replace"):
                raise
            continue
        personal = personal_columns(plan)
        if table in plan.outputs:
            found |= personal
        if table == plan.quarantine and personal:
            found |= {"row", "reasons"}
    return found


def shown_row(row: str, policy: Policy) -> tuple[tuple[str, Any], ...]:
    """The columns of a row (JSON, as the quarantine keeps it) with what may be shown of each; text that is no JSON
    object under the name `row`.
    """
    try:
        found = json.loads(row, parse_float=Written, parse_int=Written)
        if isinstance(found, dict):
            known = policy.plain is None
            return tuple((name, _shown(name, value, policy, known=known)) for name, value in found.items())
    except (ValueError, RecursionError):  # no JSON, or deeper than anybody would read
        pass
    return (("row", as_shown("row", row, {"row"} if policy.masked else ())),)


def value_text(value: Any) -> str:
    """A value as the row has it: text as it is, all else as JSON."""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(name)}: {_json(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    return value if isinstance(value, Written) else json.dumps(value, ensure_ascii=False)


def _shown(name: str, value: Any, policy: Policy, *, known: bool) -> Any:
    """The value, at any depth: masked by name, or below no name that is `known` to be plain."""
    lowered = name.lower()
    if value is None or lowered in policy.masked:
        return as_shown(lowered, value, policy.masked)
    known = known or lowered in (policy.plain or ())
    if isinstance(value, dict):
        return {inner: _shown(inner, item, policy, known=known) for inner, item in value.items()}
    if isinstance(value, list):
        return [_shown(name, item, policy, known=known) for item in value]
    return value if known and not _holds_masked(value, policy.masked) else _HIDDEN


def _holds_masked(value: Any, masked: Collection[str]) -> bool:
    """True for a text that names a masked column: a whole record kept as text."""
    return isinstance(value, str) and value.lstrip()[:1] in ("{", "[") and any(name in value.lower() for name in masked)


def _personal(contract: Contract) -> list[str]:
    return [field.name for field in contract.fields if field.pii]


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _contracts(plan: Plan) -> list[Contract] | None:
    """Every contract of the job's project; None where one cannot be read."""
    try:
        files = sorted((plan.job.root / "conf" / "contracts").glob("*.yml"))
        return [load_mapping(Contract, file)[0] for file in files]
    except ConfigError:
        return None
