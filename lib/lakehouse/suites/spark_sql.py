"""Conditions as SQL text: names, literals, and the row conditions of Great Expectations in Spark's SQL."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

from lakehouse.frames import quoted
from lakehouse.sql_text import text_literal

_LEGACY = re.compile(
    r"""\s*col\("(?P<column>[^"]+)"\)\s*(?:(?P<null>\.notnull\(\))
      | (?P<operator>==|!=|>=|<=|>|<)\s*(?:(?P<number>[+-]?\d+(?:\.\d+)?)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'))\s*""",
    re.VERBOSE,
)
_OPERATORS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_LISTS = {"IN": "IN", "NOT_IN": "NOT IN"}


def literal(value: Any, *, double: bool = False) -> str:
    """A value of JSON or YAML as a literal of the type that Spark gives it in Python; `double`: a number as a double."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value} is no number that JSON has")
    if isinstance(value, float) or (double and isinstance(value, int)):
        return f"{float(value)!r}D"
    if isinstance(value, int):
        return str(value) if abs(value) < 2**31 else f"{value}L"
    if isinstance(value, str):
        return text_literal(value)
    raise ValueError(f"{value!r} is no value that SQL can compare with")


def listed(values: list[Any]) -> str:
    """What stands behind IN."""
    return f"({', '.join(map(literal, values))})"


def where_of(kwargs: dict[str, Any]) -> str | None:
    """An expectation's row condition in Spark's SQL, None where it has none; raises ValueError where it cannot be one."""
    condition = kwargs.get("row_condition")
    if condition is None or condition == "":
        return None
    if isinstance(condition, dict):
        return _condition(condition)
    parser = kwargs.get("condition_parser")
    if parser == "spark" and isinstance(condition, str):
        return condition
    if parser in ("great_expectations", "great_expectations__experimental__"):
        return _legacy(str(condition))
    raise ValueError(f"its row_condition is written for '{parser}', not for Spark")


def _condition(said: dict[str, Any]) -> str:
    """A condition of Great Expectations 1.x, which is an object."""
    kind = said.get("type")
    if kind in ("and", "or"):
        parts = [f"({_condition(part)})" for part in said.get("conditions", [])]
        return f" {kind.upper()} ".join(parts)
    if kind == "pass_through":
        return str(said["pass_through_filter"])
    column = said.get("column") or {}
    name = quoted(str(column.get("name") if isinstance(column, dict) else column))
    if kind == "nullity":
        return f"{name} IS {'' if said.get('is_null') else 'NOT '}NULL"
    operator, value = str(said.get("operator")), said.get("parameter")
    if operator in _OPERATORS:
        return f"{name} {_OPERATORS[operator]} {literal(value)}"
    if operator in _LISTS and isinstance(value, list) and value:
        return f"{name} {_LISTS[operator]} {listed(value)}"
    raise ValueError("its row_condition is none that is known")


def _legacy(said: str) -> str:
    """A condition like `col("amount") > 5`."""
    found = _LEGACY.fullmatch(said)
    if found is None:
        raise ValueError(f"its row_condition {said} is none that is known")
    name = quoted(found["column"])
    if found["null"]:
        return f"{name} IS NOT NULL"
    value = found["number"]
    if value is None:
        value = _legacy_text(found["double"] if found["double"] is not None else found["single"])
    elif "." in value:
        value += "D"
    return f"{name} {_OPERATORS[found['operator']]} {value}"


def _legacy_text(said: str) -> str:
    """A quoted value: Great Expectations takes it for a number where the column is one, which the suite does not say."""
    if re.fullmatch(r"\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*", said):
        raise ValueError(f"its row_condition compares with '{said}', a text or a number by the column's type")
    return text_literal(said)
