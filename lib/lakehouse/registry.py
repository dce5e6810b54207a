"""What can be named in YAML: a registered function's name is its word, its keyword-only parameters are its options."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_type_hints, overload

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    create_model,
)

from lakehouse.errors import ConfigError, Problem
from lakehouse.sql_text import with_clock

Kind = Literal["source", "rule", "set_rule", "transform", "sink"]
KINDS: tuple[Kind, ...] = typing.get_args(Kind)
_PACKAGES: dict[str, str] = {
    "source": "sources",
    "rule": "rules",
    "set_rule": "rules",
    "transform": "transforms",
    "sink": "sinks",
}

_BY_POSITION: dict[Kind, tuple[str, ...]] = {
    "source": ("spark",),
    "rule": (),
    "set_rule": ("df",),
    "transform": ("df",),
    "sink": ("df", "write"),
}

# Given by the pipeline to a function that asks for them by name; never options.
GIVEN = frozenset({"now", "tables", "event_times", "read", "counted", "profiles"})

# before a parameter's name in its model: pydantic keeps names like `schema` and `copy` for itself
_FIELD = "option_"

F = TypeVar("F", bound=Callable[..., Any])


def _at_run_start(sql: str, info: ValidationInfo) -> str:
    now = (info.context or {}).get("now")
    return with_clock(sql, now) if isinstance(now, datetime) else sql


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Sql = Annotated[str, AfterValidator(_at_run_start), Field(json_schema_extra={"format": "sql"})]
"""A SQL expression or query: `now()` and its like in it mean the run's start."""

Measures = Annotated[dict[str, Sql], Field(min_length=1)]
"""Figures of a group of rows, `{name: sql}`."""

_COLUMNS = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
Columns = Annotated[list[str], BeforeValidator(_as_list), WithJsonSchema(_COLUMNS)]
"""One column's name or a list of them."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+\.[A-Za-z0-9_]+$")]
"""A table's name: `layer.table`."""

Duration = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s+(second|minute|hour|day|week)s?\s*$")]
"""A length of time: `10 minutes`."""


def length_of(duration: str) -> timedelta:
    """The length that a Duration says."""
    number, unit = duration.split()
    return timedelta(**{f"{unit.removesuffix('s')}s": float(number)})


def _share(value: object) -> object:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else value


_SHARE = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$|\$\{"},
    ]
}
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1), WithJsonSchema(_SHARE)]
"""A share of rows: `35%` or 0.35."""

Secret = Annotated[str, Field(json_schema_extra={"format": "password"})]
"""What is shown, logged and written nowhere: see `lakehouse.redaction`."""

Dimension = Literal["completeness", "accuracy", "consistency", "timeliness", "validity", "uniqueness"]
"""What kind of quality a rule is about."""

Extras = Literal["drop", "quarantine"]
"""Where the rows go that a transform takes out."""


@dataclass(frozen=True)
class Registered:
    """One word of the YAML: its kind, its function, and what the decorator said beside it."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    traits: dict[str, Any]

    @property
    def summary(self) -> str:
        """The first sentence of its docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def said(self) -> str:
        """What it is, as a message calls it: `rule 'unique'`."""
        return f"{self.kind.removeprefix('set_')} '{self.name}'"

    @property
    def given(self) -> set[str]:
        """Which of the things that the pipeline has to give the function asks for."""
        return set(GIVEN) & set(inspect.signature(self.function).parameters)

    @property
    def options(self) -> type[BaseModel]:
        """The model of its options: names, types, defaults; unknown ones are refused."""
        return _options_model(self.function, tuple(self.traits.get("without", ())))


_REGISTERED: dict[tuple[Kind, str], dict[str, Registered]] = {}


class Decorator(Protocol):
    """`@rule`, or `@rule(dimension="validity")` with what the product wants to know beside the function."""

    @overload
    def __call__(self, function: F, /) -> F: ...
    @overload
    def __call__(self, function: None = None, /, **traits: Any) -> Callable[[F], F]: ...


def _require_shape(kind: Kind, function: Callable[..., Any]) -> None:
    """Raises TypeError where the function takes its options by position: they would be none."""
    given = _BY_POSITION[kind]
    found = list(inspect.signature(function).parameters.values())
    if [parameter for parameter in found[len(given) :] if parameter.kind is not parameter.KEYWORD_ONLY]:
        shape = ", ".join([*given, "*", "option: type"])
        raise TypeError(f"{kind} '{function.__name__}': each option is a keyword: def {function.__name__}({shape})")


def _registrar(kind: Kind) -> Decorator:
    def register(function: F, traits: dict[str, Any]) -> F:
        name = function.__name__.rstrip("_")
        _require_shape(kind, function)
        _REGISTERED.setdefault((kind, name), {})[function.__module__] = Registered(kind, name, function, traits)
        return function

    def decorate(function: Any = None, /, **traits: Any) -> Any:
        return (lambda decorated: register(decorated, traits)) if function is None else register(function, {})

    decorate.__doc__ = f"Registers a {kind} under the function's name."
    return decorate


source = _registrar("source")
rule = _registrar("rule")
set_rule = _registrar("set_rule")
transform = _registrar("transform")
sink = _registrar("sink")


def find(kind: Kind, name: str, module: str | None = None) -> Registered | None:
    """The entry that a job means: its own script's first, then the product's, then any other that was imported."""
    builtin = f"lakehouse.{_PACKAGES[kind]}.{name}"
    if (kind, name) not in _REGISTERED and name.isidentifier():
        _import_if_there(builtin)
    entries = _REGISTERED.get((kind, name), {})
    for owner in (module, builtin, "__main__"):
        if owner in entries:
            return entries[owner]
    return next((entry for owner, entry in entries.items() if not _is_job_script(owner)), None)


def find_rule(name: str, module: str | None = None) -> Registered | None:
    """The row or set rule of a name: the job's own script's first, then any other."""
    found = [entry for kind in ("rule", "set_rule") if (entry := find(kind, name, module)) is not None]
    own = [entry for entry in found if entry.function.__module__ == module]
    return next(iter([*own, *found]), None)


def known(kind: Kind, module: str | None = None) -> list[Registered]:
    """All entries of a kind, by name; a job's own where `module` is given."""
    package = importlib.import_module(f"lakehouse.{_PACKAGES[kind]}")
    for info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{info.name}")
    names = sorted(name for (of_kind, name) in _REGISTERED if of_kind == kind)
    found = (find(kind, name, module) for name in names)
    return [entry for entry in found if entry is not None]


def call_options(entry: Registered, options: BaseModel) -> dict[str, Any]:
    """The options as the function's keyword arguments (`with` is the parameter `with_`)."""
    return {name.removeprefix(_FIELD): getattr(options, name) for name in type(options).model_fields}


def _is_job_script(module: str) -> bool:
    return module.startswith("lakehouse_job_")


def _import_if_there(module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise


@cache
def _options_model(function: Callable[..., Any], without: tuple[str, ...]) -> type[BaseModel]:
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in GIVEN and parameter.name not in without
    ]
    hints = _hints(function, parameters)
    fields: dict[str, Any] = {}
    for parameter in parameters:
        default = ... if parameter.default is parameter.empty else parameter.default
        alias = parameter.name.rstrip("_")
        fields[_FIELD + parameter.name] = (hints[parameter.name], Field(default, alias=alias))
    config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
    return create_model(function.__name__.rstrip("_"), __config__=config, **fields)


def _hints(function: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> dict[str, Any]:
    """The options' types alone: a frame's type may stand under TYPE_CHECKING and need no import."""
    annotations = {
        parameter.name: Any if parameter.annotation is parameter.empty else parameter.annotation
        for parameter in parameters
    }
    holder = type("holder", (), {"__annotations__": annotations})
    try:
        return get_type_hints(holder, globalns=function.__globals__, include_extras=True)
    except NameError as error:
        code = function.__code__
        message = f"the types of {function.__name__}'s options cannot be read: {error}"
        raise ConfigError(Problem(code.co_filename, code.co_firstlineno, message)) from error
