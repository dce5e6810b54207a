"""What a model refuses of a YAML value, in the user's words: where it stands, what is wrong, what is known there."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lakehouse.errors import did_you_mean
from lakehouse.redaction import is_secret

Place = tuple[str | int, ...]

TABLE_NAME = r"^[A-Za-z0-9_]+\.[A-Za-z0-9_]+$"
_LIKE = {
    TABLE_NAME: "a table's name, layer.table",
    r"^\s*\d+(\.\d+)?\s+(second|minute|hour|day|week)s?\s*$": "like '10 minutes' or '1 day'",
}
"""What a pattern asks for, in words."""
_KINDS = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def refusals(error: ValidationError, model: type[BaseModel], value: Any, what: str = "") -> list[tuple[Place, str]]:
    """Each place that the model refuses and why, once: `transform 'keep_latest' has no option 'order'. Did you ...`.

    Where a value may be of several types, each type's own refusal is part of one message; the type that got furthest
    into the value is the one that was meant.
    """
    by_place: dict[Place, list[ErrorDetails]] = {}
    for item in error.errors():
        by_place.setdefault(_place(item, value), []).append(item)
    deepest = [place for place in by_place if not any(_is_inside(other, place) for other in by_place)]
    return [_told(place, by_place[place], model, what) for place in deepest]


def _place(item: ErrorDetails, value: Any) -> Place:
    """The error's place in the value: without the names of the types that were tried on the way."""
    place: list[str | int] = []
    for part in item["loc"]:
        is_there = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        if is_there:
            place.append(part)
            value = value[part]
    return (*place, item["loc"][-1]) if item["type"] == "missing" else tuple(place)


def _is_inside(place: Place, outer: Place) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _told(place: Place, items: list[ErrorDetails], model: type[BaseModel], what: str) -> tuple[Place, str]:
    first, name = items[0], str(place[-1]) if place else ""
    subject = f"{what}: " if what else ""
    if first["type"] == "extra_forbidden":
        thing = f"{what} has no option '{name}'." if what and len(place) == 1 else f"{subject}unknown key '{name}'."
        return place, thing + did_you_mean(name, _keys_at(model, place[:-1]))
    if first["type"] == "missing":
        return place, f"{what} needs the option '{name}'" if what else f"{_named(place)} is missing"
    if is_secret(name):
        return place, f"{subject}{_named(place)} must be text; write it as ${{VARIABLE}}"
    return place, f"{subject}{_named(place)} {_expectation(items, what)}"


def _named(place: Place) -> str:
    return f"'{'.'.join(map(str, place))}'" if place else "the file"


def _expectation(items: list[ErrorDetails], what: str) -> str:
    found = items[0]["input"]
    if all(item["type"] in _KINDS for item in items):
        *others, last = dict.fromkeys(_KINDS[item["type"]] for item in items)
        either = f"{', '.join(others)} or " if others else ""
        return f"must be {either}{last}, not {_described(found)}"
    item = next(item for item in items if item["type"] not in _KINDS)
    context = item.get("ctx", {})
    if item["type"] == "literal_error":
        expected = context["expected"].replace("'", "").replace(" or ", ", ")
        return f"cannot be {_described(found)}.{did_you_mean(str(found), expected.split(', '))}"
    if item["type"] == "string_pattern_mismatch":
        kind = _LIKE.get(context["pattern"], f"like {context['pattern']}")
        return f"must be {kind}, not {_described(found)}"
    if item["type"] in ("too_long", "too_short"):
        is_word = isinstance(found, dict) and not what
        return "must hold exactly one name with its options" if is_word else "must not be empty"
    return f"is refused: {item['msg'][0].lower()}{item['msg'][1:]} (found {_described(found)})"


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = "true" if value is True else "false" if value is False else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that the model knows at a place inside it."""
    current: Any = model
    for part in place:
        if isinstance(part, int):  # a list's items are of the model that the list's type names
            continue
        if current is None or part not in _fields(current):
            return []
        current = _inner_model(_fields(current)[part].annotation)
    return list(_fields(current)) if current is not None else []


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_inner_model(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
