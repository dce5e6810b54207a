"""A job's YAML, loaded at the door: its environment laid over it, variables replaced, every problem at its line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from lakehouse.config.job_config import JobConfig, Strict
from lakehouse.config.project_files import project_root
from lakehouse.config.validation import checked, checked_options
from lakehouse.config.variables import with_variables
from lakehouse.config.yaml_files import Source, read_yaml, source_of
from lakehouse.config.yaml_text import Document, Value
from lakehouse.errors import ConfigError, Problem, did_you_mean
from lakehouse.refusals import Place

_IN_PLACE = {"layer": "silver", "source": {"rows": {}}}  # of what is missing or refused
Model = TypeVar("Model", bound=BaseModel)


class Environment(Strict):
    """`conf/env/<name>.yml`: what lies over every job, over single ones, and variables that the environment does not set."""

    all: dict[str, Any] = Field(default_factory=dict, description="Keys that lie over those of every job.")
    jobs: dict[str, dict[str, Any]] = Field(default_factory=dict, description="By job the keys that lie over its own.")
    variables: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="What `${NAME}` means where the environment does not say it."
    )


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


def load_job(file: Path, *, env: str | None, lake: str, variables: Mapping[str, str] | None = None) -> Job:
    """The job of a YAML file with the problems in it; raises ConfigError where it is no mapping at all."""
    document = read_yaml(file)
    if not isinstance(document.value, dict):
        raise ConfigError(Problem(document.file, 1, "a job is a mapping: layer, source, sink, ..."))
    root, value, source = project_root(file), document.value, source_of(document)
    defaults: dict[str, str] = {}
    if env:
        overlay, above = _environment(root / "conf" / "env" / f"{env}.yml", file.stem)
        value, source = _overlaid(value, source, overlay, above, file.stem)
        defaults = {name: _text(item) for name, item in overlay.variables.items()}
    known = {**defaults, **(os.environ if variables is None else variables), "LAKE": lake}
    filled, unset = with_variables(value, known)
    config, wrong = checked(JobConfig, filled)
    refused = frozenset(_part(place) for place, _ in wrong)
    if config is None:
        config = JobConfig.model_validate({**_IN_PLACE, **_without(filled, refused)})
    problems = tuple(source.problem(place, message) for place, message in (*unset, *wrong))
    return Job(file.stem, root, file.absolute(), config, source, problems, refused)


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
    """A YAML file that is one model: a contract; raises ConfigError with every problem in it."""
    return of_document(model, read_yaml(file))


def of_document(model: type[Model], document: Document) -> tuple[Model, Source]:
    """A parsed YAML file that is one model; raises ConfigError with every problem in it."""
    source = source_of(document)
    filled, unset = with_variables(document.value, os.environ)
    found, wrong = checked(model, filled)
    if found is None or unset:
        raise ConfigError(sorted({source.problem(place, message) for place, message in (*unset, *wrong)}))
    return found, source


def _environment(file: Path, job: str) -> tuple[Environment, Source]:
    """An environment's file; raises ConfigError with every problem in it, a job that is not there among them."""
    document = read_yaml(file)
    source = source_of(document)
    overlay, problems = checked_options(Environment, document.value or {}, source)
    jobs = {found.stem for found in file.parents[1].glob("*.yml")} | {job}
    for name in set(overlay.jobs) - jobs if overlay else ():
        problems.append(source.problem(("jobs", name), f"there is no job '{name}'.{did_you_mean(name, jobs)}"))
    if overlay is None or problems:
        raise ConfigError(sorted(problems))
    return overlay, source


def _overlaid(
    value: dict[str, Value], below: Source, overlay: Environment, above: Source, job: str
) -> tuple[dict[str, Value], Source]:
    """The job under an environment, its `all:` keys first, then those under `jobs: {<job>: ...}`, and where each key stands."""
    lines = dict(below.lines)
    for place, part in ((("all",), overlay.all), (("jobs", job), overlay.jobs.get(job, {}))):
        value = _merged(value, part)
        lines.update({path[len(place) :]: line for path, line in above.lines.items()
                      if path[: len(place)] == place and path != place})  # fmt: skip
    return value, Source(below.file, lines)


def _text(item: str | int | float | bool) -> str:
    """A variable's value as the YAML shows it."""
    return str(item).lower() if isinstance(item, bool) else str(item)


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
