"""A contract: what a frame must look like after conform, and the rules that follow from its fields."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.config.job_config import Word
from lakehouse.config.spark_types import spark_type
from lakehouse.registry import Duration

_COLUMN = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+\.[^.]+")
Mask = Literal["null", "redact", "hash", "last_4", "email", "year"]
"""How a value is made unreadable: see the transform `mask`."""
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class ContractField(BaseModel):
    """One column: its Spark type, and what must hold for each of its values (NULL passes all but `required`)."""

    model_config = _STRICT

    name: str
    type: str = Field(
        "string", description="A Spark SQL type, as in DDL: int, decimal(12,2), timestamp, array<string>."
    )
    required: bool = False
    description: str | None = None
    allowed: list[str | int | float | bool] | None = None
    min: float | int | str | None = None
    max: float | int | str | None = None
    pattern: str | None = None
    pii: bool = False
    mask: Mask | None = Field(None, description="As the transform `mask`, after the rules and before the transforms.")
    references: str | None = None


class Sla(BaseModel):
    """What the owner promises."""

    model_config = _STRICT

    freshness: Duration | None = Field(None, description="How old the newest row may be: `1 day`, `90 minutes`.")
    column: str | None = Field(
        None, description="The field whose newest value counts; without it the end of the last run that succeeded."
    )


Compatibility = Literal[
    "backward", "forward", "full", "none", "backward_transitive", "forward_transitive", "full_transitive"
]


class Contract(BaseModel):
    """The contract file as it stands; `fields` in the order of the table's columns."""

    model_config = _STRICT

    name: str
    version: str | int | float = "1.0.0"
    owner: str | None = None
    description: str | None = None
    compatibility: Compatibility = Field(
        "backward",
        description="What a new version may change: backward keeps data of the version before valid, forward keeps its "
        "readers working, full both; `_transitive` holds that against every earlier version.",
    )
    fields: list[ContractField] = Field(min_length=1)
    keys: list[str] = Field(default_factory=list)
    rules: list[Word] = Field(default_factory=list, description="Rules of every job that uses the contract.")
    sla: Sla | None = None
    classification: str | None = None
    tags: list[str] = Field(default_factory=list)


def field_rules(contract: Contract) -> list[tuple[int, str, dict[str, Any]]]:
    """The rules that follow from the fields, as (the field's index, rule, options), in field order.

    A key must be there, and no more: a change feed and bronze hold several rows of one key, so `unique` is a job's to ask.
    """
    rules: list[tuple[int, str, dict[str, Any]]] = []
    keys = {key.lower() for key in contract.keys}
    for index, field in enumerate(contract.fields):
        if field.required or field.name.lower() in keys:
            rules.append((index, "not_null", {"column": field.name}))
        if field.allowed is not None:
            rules.append((index, "accepted_values", {"column": field.name, "values": list(field.allowed)}))
        if field.min is not None or field.max is not None:
            rules.append((index, "in_range", {"column": field.name, "min": field.min, "max": field.max}))
        if field.pattern is not None:
            rules.append((index, "matches", {"column": field.name, "pattern": field.pattern}))
        if field.references is not None and _COLUMN.fullmatch(field.references):
            table, _, column = field.references.rpartition(".")
            rules.append((index, "foreign_key", {"column": field.name, "table": table, "references": column}))
    return rules


def fingerprint(contract: Contract) -> str:
    """A digest of what the contract says: the same for any order of its keys, spelling of its types and comments."""
    said = contract.model_dump(mode="json", exclude_defaults=True)
    said["version"] = str(contract.version)
    for field, shown in zip(contract.fields, said["fields"], strict=True):
        shown["type"] = str(spark_type(field.type))
        if field.allowed is not None:
            shown["allowed"] = sorted(field.allowed, key=repr)
    said["tags"] = sorted(contract.tags)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _sla_problem(contract: Contract) -> str | None:
    """What is wrong with the column that the SLA looks at."""
    column = contract.sla.column if contract.sla else None
    if column is None:
        return None
    kinds = {field.name.lower(): spark_type(field.type).name for field in contract.fields}
    if column.lower() not in kinds:
        return f"'{column}' is not among the fields"
    if kinds[column.lower()] not in ("date", "timestamp", "timestamp_ntz"):
        return f"'{column}' is {kinds[column.lower()]}; freshness needs a date or a timestamp"
    return None


def contract_problems(contract: Contract) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong inside a contract that its types alone do not show, as (path, message)."""
    problems: list[tuple[tuple[str | int, ...], str]] = []
    names = [field.name.lower() for field in contract.fields]  # Spark takes `ID` and `id` for one column
    for index, field in enumerate(contract.fields):
        if field.name.lower() in names[:index]:
            problems.append((("fields", index, "name"), f"field '{field.name}' is here twice"))
        if field.references is not None and not _COLUMN.fullmatch(field.references):
            message = f"'{field.references}' is no column of a table; it is layer.table.column"
            problems.append((("fields", index, "references"), message))
    for index, key in enumerate(contract.keys):
        if key.lower() not in names:
            problems.append((("keys", index), f"key '{key}' is not among the fields"))
    sla = _sla_problem(contract)
    if sla is not None:
        problems.append((("sla", "column"), sla))
    return problems
