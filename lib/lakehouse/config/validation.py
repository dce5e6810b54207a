"""A YAML value held against its model: the model, or every problem of it at its place."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lakehouse.config.variables import FromVariable
from lakehouse.config.yaml_files import Source
from lakehouse.config.yaml_text import Path, Value, scalar
from lakehouse.errors import Problem
from lakehouse.refusals import Place, refusals

Model = TypeVar("Model", bound=BaseModel)


def checked_options(
    model: type[Model],
    value: Any,
    source: Source,
    path: Path = (),
    what: str = "",
    context: dict[str, Any] | None = None,
) -> tuple[Model | None, list[Problem]]:
    """The value as the model, or what is wrong with it: `transform 'keep_latest' has no option 'order'. Did you ...`."""
    result, wrong = checked(model, value, what, context)
    return result, [source.problem((*path, *place), message) for place, message in wrong]


def checked(
    model: type[Model], value: Any, what: str = "", context: dict[str, Any] | None = None
) -> tuple[Model | None, list[tuple[Place, str]]]:
    """The value as the model, or each place of it that the model refuses."""
    try:
        return model.model_validate(value, context=context), []
    except ValidationError as error:
        typed = _with_typed_variables(value, error)
        if typed != value:
            return checked(model, typed, what, context)
        return None, refusals(error, model, value, what)


def _with_typed_variables(value: Any, error: ValidationError) -> Any:
    """The value with variables as the numbers or truth values that the model wants of them."""
    for item in error.errors():
        found = item["input"]
        if item["type"] in ("int_type", "float_type", "bool_type") and isinstance(found, FromVariable):
            value = _put(value, item["loc"], scalar(found))
    return value


def _put(value: Any, loc: tuple[int | str, ...], new: Value) -> Any:
    if not loc:
        return new
    if isinstance(value, dict) and loc[0] in value:
        return {**value, loc[0]: _put(value[loc[0]], loc[1:], new)}
    if isinstance(value, list) and isinstance(loc[0], int):
        return [_put(item, loc[1:], new) if index == loc[0] else item for index, item in enumerate(value)]
    return value
