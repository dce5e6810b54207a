"""A document of the Open Data Contract Standard as a contract of ours; what has no place in one is named, never dropped silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lakehouse.config.yaml_files import Source
from lakehouse.config.yaml_text import Path as KeyPath
from lakehouse.contracts.odcs import KIND, OF_CONTRACT
from lakehouse.contracts.odcs_properties import custom_properties, imported_property, imported_rule
from lakehouse.errors import ConfigError, Problem

_READ = (
    "apiVersion",
    "kind",
    "version",
    "name",
    "tags",
    "description",
    "team",
    "schema",
    "slaProperties",
    "customProperties",
)
_LISTS = ("schema", "properties", "quality", "slaProperties", "customProperties", "relationships", "enum", "members")


@dataclass(frozen=True)
class Imported:
    """A contract's mapping, ready to be written, under its name; and what of the document is not in it."""

    name: str
    contract: dict[str, Any]
    left_out: list[Problem] = field(default_factory=list)


def imported(value: Any, source: Source, name: str | None = None) -> list[Imported]:
    """A contract for each object of a document; `name` names the only one, or picks one of several.

    Raises ConfigError where it is no document of the standard, or has no such object.
    """
    if not isinstance(value, dict) or value.get("kind") != KIND or not isinstance(value.get("schema"), list):
        said = f"is no contract of the Open Data Contract Standard: it has 'kind: {KIND}' and a list under 'schema'"
        raise ConfigError(Problem(source.file, 0, said))
    wrong = [source.problem(path, f"'{path[-1]}' is a list of mappings here") for path in _misshapen(value)]
    if wrong:
        raise ConfigError(wrong)
    objects: list[tuple[KeyPath, dict[str, Any]]] = [
        (("schema", index), item) for index, item in enumerate(value["schema"])
    ]
    if name is not None and len(objects) > 1:
        objects = [(path, item) for path, item in objects if item.get("name") == name]
    if not objects:
        known = ", ".join(str(item.get("name")) for item in value["schema"]) or "none"
        raise ConfigError(source.problem(("schema",), f"there is no object '{name}' here; it has {known}"))
    found = []
    for path, item in objects:
        left: list[tuple[KeyPath, str]] = []
        contract = _contract(value, item, path, name or str(item.get("name")), left)
        problems = [source.problem(place, said) for place, said in left]
        found.append(Imported(contract["name"], contract, sorted(set(problems))))
    return found


def _misshapen(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The places where the standard wants a list of mappings and there is something else."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _misshapen(item, (*path, index))
    for key, item in value.items() if isinstance(value, dict) else ():
        if key in _LISTS and not (isinstance(item, list) and all(isinstance(part, dict) for part in item)):
            yield (*path, key)
        elif key not in ("implementation", "arguments", "value"):
            yield from _misshapen(item, (*path, key))


def _contract(
    document: dict[str, Any], item: dict[str, Any], path: KeyPath, name: str, left: list[tuple[KeyPath, str]]
) -> dict[str, Any]:
    custom = custom_properties(document.get("customProperties"), OF_CONTRACT, ("customProperties",), left)
    parts = item.get("properties") or []
    properties = [imported_property(part, (*path, "properties", index)) for index, part in enumerate(parts)]
    left += [note for one in properties for note in one.left_out]
    keys = sorted((one.key, place) for place, one in enumerate(properties) if one.key is not None)
    contract = {
        "name": name,
        "version": str(document.get("version", "1.0.0")),
        "owner": _owner(document.get("team"), left),
        "description": _description(document.get("description"), left) or item.get("description"),
        "compatibility": custom.get("compatibility"),
        "classification": custom.get("classification"),
        "tags": [*(document.get("tags") or []), *(item.get("tags") or [])],
        "keys": [properties[place].field["name"] for _, place in keys],
        "sla": _sla(document.get("slaProperties"), str(item.get("name")), left),
        "fields": [one.field for one in properties],
        "rules": [*_rules(item, path, left), *(rule for one in properties for rule in one.rules)],
    }
    _leave(document, _READ, (), left, expected={"status": "active", "id": name})
    read = ("name", "logicalType", "physicalType", "properties", "quality", "tags")
    _leave(item, read, path, left, expected={"physicalName": name, "description": contract["description"]})
    return {key: given for key, given in contract.items() if given not in (None, [], {})}


def _leave(
    mapping: dict[str, Any],
    read: Iterable[str],
    path: KeyPath,
    left: list[tuple[KeyPath, str]],
    expected: dict[str, Any],
) -> None:
    """Notes every key that nothing reads, unless it says what is expected anyway."""
    for key, value in mapping.items():
        if key not in read and expected.get(key) != value:
            left.append(((*path, key), f"'{key}' has no place in a contract and is left out"))


def _rules(item: dict[str, Any], path: KeyPath, left: list[tuple[KeyPath, str]]) -> Iterator[dict[str, Any]]:
    for index, check in enumerate(item.get("quality") or []):
        rule = imported_rule(check)
        if rule is None:
            left.append(((*path, "quality", index), "a quality check that no rule of ours says is left out"))
        else:
            yield rule


def _owner(team: Any, left: list[tuple[KeyPath, str]]) -> str | None:
    """The team's name, else the member whose role is owner."""
    members = team.get("members") if isinstance(team, dict) else team
    names = [member.get("username") for member in members or [] if str(member.get("role")).lower() == "owner"]
    if isinstance(team, dict) and team.get("name"):
        names = [team["name"]]
        _leave(team, ("name",), ("team",), left, expected={})
    elif members:
        left.append((("team",), "the team's members but its owner are left out"))
    return names[0] if names else None


def _description(given: Any, left: list[tuple[KeyPath, str]]) -> str | None:
    if not isinstance(given, dict):
        return None if given is None else str(given)
    _leave(given, ("purpose",), ("description",), left, expected={})
    return str(given["purpose"]) if given.get("purpose") else None


def _sla(given: Any, name: str, left: list[tuple[KeyPath, str]]) -> dict[str, Any]:
    """The latency of the object as our freshness, by the column that it names."""
    units = {"d": "day", "day": "day", "h": "hour", "hour": "hour", "min": "minute", "minute": "minute",
             "s": "second", "second": "second", "w": "week", "week": "week"}  # fmt: skip
    found: dict[str, Any] = {}
    for index, item in enumerate(given or []):
        word, unit = str(item.get("unit", "")), str(item.get("unit", "")).lower()
        unit = units.get(unit) or units.get(unit.removesuffix("s"), "")
        table, _, column = str(item.get("element", "")).rpartition(".")
        if (
            str(item.get("property")).lower() not in ("latency", "ly", "freshness")
            or not unit
            or table not in ("", name)
        ):
            left.append((("slaProperties", index), f"the promise '{item.get('property')}' is left out"))
            continue
        own = word if unit == word.removesuffix("s") else f"{unit}{'' if item.get('value') == 1 else 's'}"
        found["freshness"] = f"{item.get('value')} {own}"
        if column and (table or column != name):
            found["column"] = column
        read = ("property", "value", "unit", "element")
        _leave(item, read, ("slaProperties", index), left, expected={})
    return found
