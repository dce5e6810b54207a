"""A contract as the JSON Schema (draft 2020-12) of one row, as Spark writes rows to JSON."""

from __future__ import annotations

from typing import Any

from lakehouse.config.contract import Contract, ContractField
from lakehouse.config.spark_types import SparkType, spark_type

Schema = dict[str, Any]

_WHOLE = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_FORMATS = {"date": "date", "timestamp": "date-time"}


def row_schema(contract: Contract) -> tuple[Schema, list[str]]:
    """The schema, and what it cannot say. Fields beyond it are let through: conform leaves them out."""
    keys = {key.lower() for key in contract.keys}
    needed = [field.name for field in contract.fields if field.required or field.name.lower() in keys]
    unsaid = [text for field in contract.fields for text in _unsaid(field)]
    unsaid += [f"rule {next(iter(word))}: JSON Schema has no such rule" for word in contract.rules]
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": contract.name,
        "$comment": f"version {contract.version}",
        "type": "object",
        "properties": {field.name: _property(field, needed=field.name in needed) for field in contract.fields},
        "required": needed,
    }
    return ({**schema, "description": contract.description} if contract.description else schema), unsaid


def _property(field: ContractField, *, needed: bool) -> Schema:
    kind = spark_type(field.type)
    said = _of_type(kind, nullable=not needed)
    if field.description:
        said["description"] = field.description
    if field.allowed is not None:
        said["enum"] = [*field.allowed, *([] if needed else [None])]
    if _is_number(kind):
        bounds = (("minimum", field.min), ("maximum", field.max))
        said |= {word: value for word, value in bounds if isinstance(value, int | float)}
        said |= _within_size(kind, said)
    if field.pattern is not None and kind.name in ("string", "char", "varchar"):
        said["pattern"] = field.pattern
    return said


def _within_size(kind: SparkType, said: Schema) -> Schema:
    """The bounds that a whole number's type sets, where the contract sets none."""
    if kind.name not in _WHOLE:
        return {}
    most = 2 ** (_WHOLE[kind.name] - 1)
    return {word: value for word, value in (("minimum", -most), ("maximum", most - 1)) if word not in said}


def _of_type(kind: SparkType, *, nullable: bool) -> Schema:
    said = _plain(kind)
    if nullable and "type" in said:
        said["type"] = [said["type"], "null"]
    return said


def _plain(kind: SparkType) -> Schema:
    if kind.name == "struct":
        needed = [part.name for part in kind.parts if part.required]
        parts = {part.name: _of_type(part.type, nullable=not part.required) for part in kind.parts}
        return {"type": "object", "properties": parts} | ({"required": needed} if needed else {})
    if kind.name == "array":
        return {"type": "array", "items": _of_type(kind.parts[0].type, nullable=True)}
    if kind.name == "map":
        return {"type": "object", "additionalProperties": _of_type(kind.parts[1].type, nullable=True)}
    if kind.name in _WHOLE:
        return {"type": "integer"}
    if _is_number(kind):
        return {"type": "number"}
    if kind.name == "boolean":
        return {"type": "boolean"}
    if kind.name == "binary":
        return {"type": "string", "contentEncoding": "base64"}
    if kind.name in ("char", "varchar"):
        return {"type": "string", "maxLength": kind.numbers[0]}
    if kind.name in _FORMATS:
        return {"type": "string", "format": _FORMATS[kind.name]}
    return {} if kind.name == "variant" else {"type": "string"}


def _is_number(kind: SparkType) -> bool:
    return kind.name in (*_WHOLE, "float", "double", "decimal")


def _unsaid(field: ContractField) -> list[str]:
    """What of a field JSON Schema has no word for."""
    kind, found = spark_type(field.type), []
    for bound in ("min", "max"):
        value = getattr(field, bound)
        if value is not None and not (_is_number(kind) and isinstance(value, int | float)):
            found.append(f"'{field.name}': {bound} {value} of a {kind}")
    if field.pattern is not None and kind.name not in ("string", "char", "varchar"):
        found.append(f"'{field.name}': a pattern of a {kind}")
    if kind.name == "decimal":
        found.append(f"'{field.name}': the digits of {kind}")
    found += [f"'{field.name}': {word}" for word in ("pii", "mask", "references") if getattr(field, word)]
    return found
