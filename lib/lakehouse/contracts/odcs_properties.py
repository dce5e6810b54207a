"""A property of the Open Data Contract Standard as a field of ours, and its quality checks as rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from lakehouse.config.spark_types import is_known, spark_type
from lakehouse.config.yaml_text import Path as KeyPath
from lakehouse.contracts.odcs import ENGINE, OF_FIELD, PHYSICAL

Left = tuple[KeyPath, str]

_READ = {
    "name", "logicalType", "physicalType", "logicalTypeOptions", "description", "required", "primaryKey",
    "primaryKeyPosition", "classification", "relationships", "quality", "customProperties", "properties", "items",
    "map", "enum",
}  # fmt: skip


@dataclass(frozen=True)
class Property:
    """A field, its place in the key (None: not in it), rules that it asks for, and what it says that no field can."""

    field: dict[str, Any]
    key: int | None
    rules: list[dict[str, Any]]
    left_out: list[Left]


def imported_property(given: dict[str, Any], path: KeyPath) -> Property:
    """The field of a property."""
    left: list[Left] = [
        ((*path, key), f"'{key}' has no place in a field and is left out")
        for key, value in given.items()
        if key not in _READ and value is not False and (key, value) != ("physicalName", given.get("name"))
    ]
    found: dict[str, Any] = {"name": str(given.get("name")), "type": _type(given, path, left)}
    found |= {key: given[key] for key in ("description",) if given.get(key)}
    if given.get("required"):
        found["required"] = True
    options, rules = _options(given, found["name"], path, left)
    custom = custom_properties(given.get("customProperties"), OF_FIELD, (*path, "customProperties"), left)
    found |= options | custom | _relation(given, path, left)
    if str(given.get("classification")).lower() in ("pii", "personal"):
        found["pii"] = True
    elif given.get("classification"):
        left.append(((*path, "classification"), f"the classification '{given['classification']}' is left out"))
    found |= _quality(given, rules, path, left)
    key = int(given.get("primaryKeyPosition") or 1) if given.get("primaryKey") else None
    return Property(found, key, rules, left)


def imported_rule(check: dict[str, Any]) -> dict[str, Any] | None:
    """The rule that a quality check carries for us, or None."""
    rule = check.get("implementation")
    return rule if check.get("engine") == ENGINE and isinstance(rule, dict) and len(rule) == 1 else None


def _type(given: dict[str, Any], path: KeyPath, left: list[Left]) -> str:
    """The physical type where Spark has it, else what the logical one means."""
    physical = given.get("physicalType")
    if physical and is_known(spark_type(str(physical))):
        return str(physical)
    found, said = _logical(given), physical or given.get("logicalType")
    if found is None or (physical and found != "string"):
        left.append(((*path, "name"), f"Spark has no type '{said}': {found or 'string'} is taken"))
    elif given.get("logicalType") == "number":
        left.append(((*path, "name"), "'number' says no digits: double is taken"))
    return found or "string"


def _logical(given: dict[str, Any]) -> str | None:
    logical = given.get("logicalType")
    if logical == "object" and given.get("properties"):
        return f"struct<{', '.join(_nested(part) for part in given['properties'])}>"
    if logical == "array" and isinstance(given.get("items"), dict):
        return f"array<{_inner(given['items'])}>"
    if logical == "map" and isinstance(given.get("map"), dict):
        return f"map<{_inner(given['map']['key'])},{_inner(given['map']['value'])}>"
    return PHYSICAL.get(str(logical))


def _nested(part: dict[str, Any]) -> str:
    name = str(part.get("name")).replace("`", "``")
    return f"`{name}`: {_inner(part)}{' NOT NULL' if part.get('required') else ''}"


def _inner(given: dict[str, Any]) -> str:
    return _type(given, (), [])


def _options(
    given: dict[str, Any], name: str, path: KeyPath, left: list[Left]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Bounds and pattern as the field says them; lengths as a rule."""
    ours = {"minimum": "min", "maximum": "max", "pattern": "pattern"}
    options = given.get("logicalTypeOptions") or {}
    found = {ours[key]: value for key, value in options.items() if key in ours}
    lengths = {"min": options.get("minLength"), "max": options.get("maxLength")}
    lengths = {key: value for key, value in lengths.items() if value is not None}
    left += [
        ((*path, "logicalTypeOptions", key), f"the option '{key}' is left out")
        for key in options
        if key not in (*ours, "minLength", "maxLength")
    ]
    return found, [{"length": {"column": name, **lengths}}] if lengths else []


def custom_properties(given: Any, known: Collection[str], path: KeyPath, left: list[Left]) -> dict[str, Any]:
    """The custom properties that are known; the others are noted as left out. `path` is that of their list."""
    found = {}
    for index, item in enumerate(given or []):
        if item.get("property") in known:
            found[item["property"]] = item.get("value")
        else:
            left.append(((*path, index), f"the custom property '{item.get('property')}' is left out"))
    return found


def _relation(given: dict[str, Any], path: KeyPath, left: list[Left]) -> dict[str, Any]:
    related = given.get("relationships") or []
    if len(related) == 1 and isinstance(related[0].get("to"), str) and "/" not in related[0]["to"]:
        return {"references": related[0]["to"]}
    left += (
        [((*path, "relationships"), "relationships of several columns or documents are left out")] if related else []
    )
    return {}


def _quality(given: dict[str, Any], rules: list[dict[str, Any]], path: KeyPath, left: list[Left]) -> dict[str, Any]:
    """Checks of values that may not occur at all, as the field says them; rules of ours go to `rules`."""
    found: dict[str, Any] = {"allowed": [item.get("value") for item in given["enum"]]} if given.get("enum") else {}
    for index, check in enumerate(given.get("quality") or []):
        arguments, rule = check.get("arguments") or {}, imported_rule(check)
        never = check.get("mustBe") == 0 and check.get("unit", "rows") == "rows"
        if rule is not None:
            rules.append(rule)
        elif never and check.get("metric") == "nullValues":
            found["required"] = True
        elif never and check.get("metric") == "invalidValues" and arguments.keys() <= {"validValues", "pattern"}:
            words = {"validValues": "allowed", "pattern": "pattern"}
            found |= {words[key]: value for key, value in arguments.items()}
        else:
            left.append(((*path, "quality", index), "a quality check that no rule of ours says is left out"))
    return found
