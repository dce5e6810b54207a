"""A job's YAML, parsed once at the door: overlays, variables, shape; every problem at once, with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lakehouse.errors import ConfigError, Problem, did_you_mean
from lakehouse.refusals import TABLE_NAME, Place, refusals
from lakehouse.yaml_text import Document, Value, parse, scalar
from lakehouse.yaml_text import Path as KeyPath

_VARIABLE = re.compile(r"\$(?P<escape>\$\{)|\$\{(?P<name>[^}:]*)(?P<rest>:[^}]*)?\}|(?P<open>\$\{)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IN_PLACE = {"layer": "silver", "source": {"rows": {}}}  # of what is missing or refused
Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _one_word(value: object) -> object:
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict) and len(value) == 1 and next(iter(value.values())) is None:
        return {next(iter(value)): {}}
    return value


Word = Annotated[dict[str, dict[str, Any]], BeforeValidator(_one_word), Field(min_length=1, max_length=1)]
"""`{name: {option: value}}`: one registered function and its options."""


class FromVariable(str):
    """Text that a variable gave: a number or a truth value where an option wants one."""


def _share(value: object) -> object:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else value


Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]
"""A share of rows: `35%` or 0.35."""


class QualityGate(_Strict):
    """What a batch must satisfy before anything reaches the target."""

    max_quarantined: Share | None = Field(None, description="The greatest share of rows that may be quarantined: 35%.")
    min_rows: int | None = Field(None, ge=0, description="The fewest rows that the input may have.")


class Stream(_Strict):
    """How often a stream takes what is new."""

    trigger: str = "available_now"
    watermark: dict[str, Any] | None = None
    max_batches: int | None = Field(None, ge=1)
    late: Literal["keep", "merge"] = "keep"


class JobConfig(_Strict):
    """One job, as its YAML says; the options of sources, rules, transforms and sinks are checked by the plan."""

    layer: Literal["bronze", "silver", "gold"]
    description: str | None = None
    tags: list[str] = Field(default_factory=list)
    source: Word
    read: Literal["incremental", "full"] | None = None
    inputs: list[Annotated[str, Field(pattern=TABLE_NAME)]] = Field(default_factory=list)
    contract: str | None = None
    schema_: str | None = Field(None, alias="schema", description="Spark DDL: `id bigint, name string`.")
    rules: list[Word] = Field(default_factory=list)
    quality_gate: QualityGate | None = None
    allow_empty: bool = False
    quarantine: Annotated[str, Field(pattern=TABLE_NAME)] | None = None
    transforms: list[Word] = Field(default_factory=list)
    sink: Word | None = None
    sinks: list[dict[str, Any]] | None = Field(None, min_length=1)
    exclusive: bool = False
    stream: Stream | None = None
    expectations: dict[str, Any] | str | None = None
    spark: dict[str, str | int | float | bool] = Field(default_factory=dict)


class _Environment(_Strict):
    """`conf/env/<name>.yml`: what lies over every job, over single ones, and variables that the environment does not set."""

    all: dict[str, Any] = Field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = Field(default_factory=dict)
    variables: dict[str, str | int | float | bool] = Field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A parsed file's lines: where a key path stands, also after an overlay from another file."""

    file: str
    lines: Mapping[KeyPath, tuple[str, int]] = field(default_factory=dict, repr=False)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at the line of `path`, or of its nearest ancestor that has one."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return Problem(*self.lines[path[:length]], message)
        return Problem(self.file, 0, message)


@dataclass(frozen=True)
class Job:
    """A job's name, its project's root, its config and where each key stands.

    Where there are `problems`, the config lacks the parts that are `refused`, so that all others can be checked too.
    """

    name: str
    root: Path
    file: Path
    config: JobConfig
    source: Source
    problems: tuple[Problem, ...] = ()
    refused: frozenset[Place] = frozenset()


def project_root(file: Path) -> Path:
    """The parent of the nearest `conf/` above the YAML file, else the file's own folder."""
    for folder in file.absolute().parents:
        if folder.name == "conf":
            return folder.parent
    return file.absolute().parent


def shown(file: Path) -> str:
    """A file as messages name it: from the working directory where it lies below it."""
    try:
        return str(file.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def read_yaml(file: Path) -> Document:
    """The parsed file; raises ConfigError where it is missing, no text or no YAML."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(Problem(shown(file), 0, "no such file")) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(shown(file), 0, f"cannot be read: {error}")) from error
    return parse(text, shown(file))


def load_job(file: Path, *, env: str | None, lake: str, variables: Mapping[str, str] | None = None) -> Job:
    """The job of a YAML file with the problems in it; raises ConfigError where it is no mapping at all."""
    document = read_yaml(file)
    if not isinstance(document.value, dict):
        raise ConfigError(Problem(document.file, 1, "a job is a mapping: layer, source, sink, ..."))
    root = project_root(file)
    lines = {path: (document.file, line) for path, line in document.lines.items()}
    value, defaults = document.value, {"LAKE": lake}
    if env:
        value, extra = _overlaid(value, lines, root / "conf" / "env" / f"{env}.yml", file.stem)
        defaults = {**extra, **defaults}
    known = {**defaults, **(os.environ if variables is None else variables), "LAKE": lake}
    source = Source(document.file, lines)
    problems: list[Problem] = []
    filled: Any = _filled(value, (), lambda path, text: _replaced(text, path, source, known, problems))
    config, wrong = _checked(JobConfig, filled)
    refused = frozenset(_part(place) for place, _ in wrong)
    if config is None:
        config = JobConfig.model_validate({**_IN_PLACE, **_without(filled, refused)})
    problems += [source.problem(place, message) for place, message in wrong]
    return Job(file.stem, root, file.absolute(), config, source, tuple(problems), refused)


def _part(place: Place) -> Place:
    """The part of a job that a problem spoils: one rule or transform of the list, else all below a key."""
    return place[: 2 if place[0] in ("rules", "transforms") else 1]


def _without(filled: dict[str, Any], refused: frozenset[Place]) -> dict[str, Any]:
    """The job without what is refused; a rule or transform leaves its place in the list, so that all others keep theirs."""
    whole = {key: item for key, item in filled.items() if (key,) not in refused}
    for key in ("rules", "transforms"):
        if isinstance(whole.get(key), list):
            whole[key] = [{"": {}} if (key, index) in refused else item for index, item in enumerate(whole[key])]
    return whole


def load_mapping(model: type[Model], file: Path) -> tuple[Model, Source]:
    """A YAML file that is one model: a contract."""
    document = read_yaml(file)
    source = Source(document.file, {path: (document.file, line) for path, line in document.lines.items()})
    return validated(model, document.value, source, os.environ), source


def validated(model: type[Model], value: Value, source: Source, variables: Mapping[str, str]) -> Model:
    """The value as the model, variables replaced; raises ConfigError with every problem."""
    problems: list[Problem] = []
    filled = _filled(value, (), lambda path, text: _replaced(text, path, source, variables, problems))
    result, found = checked_options(model, filled, source)
    problems += found
    if problems or result is None:
        raise ConfigError(sorted(set(problems)))
    return result


def checked_options(
    model: type[Model],
    value: Any,
    source: Source,
    path: KeyPath = (),
    what: str = "",
    context: dict[str, Any] | None = None,
) -> tuple[Model | None, list[Problem]]:
    """The value as the model, or what is wrong with it: `transform 'keep_latest' has no option 'order'. Did you ...`."""
    result, wrong = _checked(model, value, what, context)
    return result, [source.problem((*path, *place), message) for place, message in wrong]


def _checked(
    model: type[Model], value: Any, what: str = "", context: dict[str, Any] | None = None
) -> tuple[Model | None, list[tuple[Place, str]]]:
    try:
        return model.model_validate(value, context=context), []
    except ValidationError as error:
        typed = _with_typed_variables(value, error)
        if typed != value:
            return _checked(model, typed, what, context)
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


def _overlaid(
    value: dict[str, Value], lines: dict[KeyPath, tuple[str, int]], file: Path, job: str
) -> tuple[dict[str, Value], dict[str, str]]:
    """The job under an environment file (its `all:` keys first, then those under `jobs: {<job>: ...}`), and its variables."""
    document = read_yaml(file)
    source = Source(document.file, {path: (document.file, line) for path, line in document.lines.items()})
    overlay, problems = checked_options(_Environment, document.value or {}, source)
    jobs = {found.stem for found in file.parents[1].glob("*.yml")} | {job}
    for name in set(overlay.jobs) - jobs if overlay else ():
        problems.append(source.problem(("jobs", name), f"there is no job '{name}'.{did_you_mean(name, jobs)}"))
    if overlay is None or problems:
        raise ConfigError(sorted(problems))
    for place, part in ((("all",), overlay.all), (("jobs", job), overlay.jobs.get(job, {}))):
        value = _merged(value, part)
        lines.update({path[len(place) :]: line for path, line in source.lines.items()
                      if path[: len(place)] == place and path != place})  # fmt: skip
    return value, {
        key: str(item).lower() if isinstance(item, bool) else str(item) for key, item in overlay.variables.items()
    }


def _merged(below: dict[str, Value], above: dict[str, Value]) -> dict[str, Value]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, dict) and isinstance(value, dict):
            other_word = key in ("source", "sink") and not set(under) & set(value)
            merged[key] = value if other_word else _merged(under, value)
        else:
            merged[key] = value
    return merged


def _filled(value: Value, path: KeyPath, replace: Callable[[KeyPath, str], Value]) -> Value:
    if isinstance(value, dict):
        return {key: _filled(item, (*path, key), replace) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, (*path, index), replace) for index, item in enumerate(value)]
    return replace(path, value) if isinstance(value, str) and "${" in value else value


def _replaced(text: str, path: KeyPath, source: Source, variables: Mapping[str, str], problems: list[Problem]) -> Value:
    def lookup(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        name, rest = match["name"], match["rest"]
        if name == "secret":
            problems.append(source.problem(path, "no secret store can be named here yet; set an environment variable"))
        elif not _is_variable(match):
            problems.append(
                source.problem(path, f"'{match[0]}' is neither ${{VAR}} nor ${{VAR:-default}}; a literal is $${{")
            )
        elif name in variables and (variables[name] or rest is None):
            return variables[name]
        elif rest is not None:
            return rest[2:]
        else:
            problems.append(
                source.problem(path, f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
            )
        return ""

    return FromVariable(_VARIABLE.sub(lookup, text))


def _is_variable(match: re.Match[str]) -> bool:
    rest = match["rest"] or ":-"
    return bool(_NAME.fullmatch(match["name"] or "")) and rest.startswith(":-") and "${" not in rest
