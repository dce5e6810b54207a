"""What a contract says of its fields as CHECK constraints of a table: never stricter than the rules that the fields give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from lakehouse.config.contract import Contract, ContractField
from lakehouse.sql_text import text_literal

OF_CONTRACT = "contract_"
"""How the names of these constraints begin."""

_TEXT = ("string", "char", "varchar")


def conditions(contract: Contract, columns: Mapping[str, str]) -> dict[str, str]:
    """The conditions by the constraint's name, for the fields that `columns` has by the name of their column (quoted)."""
    found: dict[str, str] = {}
    for field in contract.fields:
        column = columns.get(field.name)
        if column is None:
            continue
        if field.required or field.name in contract.keys:
            found[f"{OF_CONTRACT}{field.name}_required"] = f"{column} IS NOT NULL"
        for what, condition in _of_values(field, column):
            found[f"{OF_CONTRACT}{field.name}_{what}"] = f"{column} IS NULL OR {condition}"
    return found


def is_text(field: ContractField) -> bool:
    """True for a field of text."""
    return field.type.strip().lower().startswith(_TEXT)


def _of_values(field: ContractField, column: str) -> Iterator[tuple[str, str]]:
    """What must hold for the field's values, NULL aside, and the word for it."""
    if field.allowed:
        yield "allowed", _is_allowed(field, column)
    bounds = [f"{column} {sign} {_literal(bound)}" for sign, bound in _bounds(field)]
    if bounds:
        yield "range", " AND ".join(bounds)
    if field.pattern is not None:
        yield "pattern", f"{column} RLIKE {text_literal(field.pattern)}"


def _is_allowed(field: ContractField, column: str) -> str:
    """As the rule `accepted_values` compares: values of several types, and those of a text column, as text."""
    values = field.allowed or []
    kinds = {int if type(value) is float else type(value) for value in values}
    if is_text(field) or len(kinds) > 1:
        texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        return f"CAST({column} AS STRING) IN ({', '.join(map(text_literal, texts))})"
    return f"{column} IN ({', '.join(map(_literal, values))})"


def _bounds(field: ContractField) -> Iterator[tuple[str, float | int | str]]:
    """The ends of the range; of a text column only those that are compared as text."""
    for sign, bound in ((">=", field.min), ("<=", field.max)):
        is_number = not isinstance(bound, str)
        if bound is None or (is_number and is_text(field)):
            continue
        if isinstance(bound, str) or math.isfinite(bound):
            yield sign, bound


def _literal(value: str | int | float | bool) -> str:
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value!r}D" if isinstance(value, float) else str(value)
