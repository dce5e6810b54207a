"""A contract in the words of the Open Data Contract Standard, v3.1."""

from __future__ import annotations

import re
from typing import Any

from lakehouse.config.contract import Contract, ContractField
from lakehouse.config.spark_types import SparkType, spark_type
from lakehouse.contracts.odcs import API_VERSION, ENGINE, KIND, LOGICAL

Document = dict[str, Any]

_BOUND: dict[str, tuple[type, ...]] = {
    "integer": (int, float),
    "number": (int, float),
    "date": (str,),
    "timestamp": (str,),
}
"""The types of a bound that the standard takes for a logical type."""

_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")


def odcs_document(contract: Contract, name: str) -> Document:
    """The document of a contract: one object, `name`, with a property for each field.

    What the standard has no word for stands under `customProperties`, where the import finds it.
    """
    said = {"compatibility": contract.compatibility, "classification": contract.classification}
    found: Document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "id": name,
        "name": contract.name,
        "version": str(contract.version),
        "status": "active",
        "tags": list(contract.tags),
        "description": {"purpose": contract.description} if contract.description else {},
        "team": {"name": contract.owner} if contract.owner else {},
        "schema": [_object(contract, name)],
        "slaProperties": _sla(contract, name),
        "customProperties": _custom(said),
    }
    return {key: value for key, value in found.items() if value}


def _object(contract: Contract, name: str) -> Document:
    keys = {key.lower(): place for place, key in enumerate(contract.keys, 1)}
    found: Document = {
        "name": name,
        "logicalType": "object",
        "physicalType": "table",
        "properties": [_property(field, keys.get(field.name.lower())) for field in contract.fields],
        "quality": [_quality(word) for word in contract.rules],
    }
    return {key: value for key, value in found.items() if value}


def _property(field: ContractField, place: int | None) -> Document:
    kind = spark_type(field.type)
    options, rest = _options(field, LOGICAL.get(kind.name, "string"))
    found = {"name": field.name, **_typed(kind), "physicalType": field.type}
    if field.description is not None:
        found["description"] = field.description
    if field.required:
        found["required"] = True
    if place is not None:
        found |= {"primaryKey": True, "primaryKeyPosition": place}
    if field.pii:
        found["classification"] = "pii"
    if field.references is not None and _REFERENCE.fullmatch(field.references):
        found["relationships"] = [{"type": "foreignKey", "to": field.references}]
    elif field.references is not None:
        rest["references"] = field.references
    if field.allowed is not None:
        found["quality"] = [{"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": list(field.allowed)}}]
    more = {"logicalTypeOptions": options, "customProperties": _custom({**rest, "mask": field.mask})}
    return {**found, **{key: value for key, value in more.items() if value}}


def _typed(kind: SparkType) -> Document:
    """The type in the standard's words, down to what is nested in it, and Spark's own text of it."""
    found: Document = {"logicalType": LOGICAL.get(kind.name, "string"), "physicalType": str(kind)}
    if kind.name == "struct":
        found["properties"] = [
            {"name": part.name, **_typed(part.type), **({"required": True} if part.required else {})}
            for part in kind.parts
        ]
    if kind.name == "array":
        found["items"] = _typed(kind.parts[0].type)
    return found


def _options(field: ContractField, logical: str) -> tuple[Document, Document]:
    """The bounds and the pattern as options of the logical type; what that type has no option for comes second."""
    options: Document = {}
    rest: Document = {}
    for ours, theirs in (("min", "minimum"), ("max", "maximum")):
        value = getattr(field, ours)
        if isinstance(value, _BOUND.get(logical, ())):
            options[theirs] = value
        else:
            rest[ours] = value
    (options if logical == "string" and field.pattern is not None else rest)["pattern"] = field.pattern
    return options, rest


def _quality(word: dict[str, dict[str, Any]]) -> Document:
    """A rule, as it stands, for the engine that knows it."""
    return {"type": "custom", "engine": ENGINE, "implementation": word}


def _sla(contract: Contract, name: str) -> list[Document]:
    if contract.sla is None or contract.sla.freshness is None:
        return []
    number, unit = contract.sla.freshness.split()
    value = float(number) if "." in number else int(number)
    element = {"element": f"{name}.{contract.sla.column}"} if contract.sla.column else {}
    return [{"property": "latency", "value": value, "unit": unit, **element}]


def _custom(said: Document) -> list[Document]:
    return [{"property": name, "value": value} for name, value in said.items() if value is not None]
