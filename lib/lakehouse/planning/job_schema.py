"""The JSON Schemas of the YAML files (jobs, contracts, environments, tests of jobs), derived from the config's models and the registered functions' signatures."""

from __future__ import annotations

import inspect
from typing import Any

from lakehouse import registry
from lakehouse.cdc_formats import DEFAULTS
from lakehouse.config.contract import Contract
from lakehouse.config.job_config import JobConfig
from lakehouse.config.job_tests import JobTests
from lakehouse.config.jobs import Environment
from lakehouse.planning.plan import BatchRuleSettings, RuleSettings, TableSettings

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, Schema]:
    """All of them, by what their files are."""
    return {"job": job_schema(), "contract": contract_schema(), "env": env_schema(), "job_test": job_test_schema()}


def job_schema() -> Schema:
    """What an editor checks a job's YAML against; the same words and options that the plan checks."""
    schema = JobConfig.model_json_schema(by_alias=True)
    words = {kind: _one_of(kind) for kind in ("source", "transform", "sink")}
    properties = schema["properties"]
    for key in ("source", "sink"):
        properties[key] = {**words[key], "description": properties[key]["description"]}
    properties["rules"]["items"], properties["transforms"]["items"] = _one_of("rule", "set_rule"), words["transform"]
    said = properties["sinks"]["description"]
    properties["sinks"] = {"type": "array", "minItems": 1, "items": _routed(words["sink"]), "description": said}
    return {"$schema": _DRAFT, "title": "A lakehouse job", **schema}


def contract_schema() -> Schema:
    """What an editor checks a contract's YAML against."""
    schema = Contract.model_json_schema(by_alias=True)
    schema["properties"]["rules"]["items"] = _one_of("rule", "set_rule")
    return {"$schema": _DRAFT, "title": "A contract", **schema}


def env_schema() -> Schema:
    """What an editor checks a file of conf/env against: parts of jobs, in which nothing has to be."""
    job = _part(job_schema())
    schema = Environment.model_json_schema(by_alias=True)
    properties = schema["properties"]
    body = {key: value for key, value in job.items() if key not in ("$schema", "title", "description", "$defs")}
    properties["all"] = {**body, "description": properties["all"]["description"]}
    properties["jobs"]["additionalProperties"] = body
    return {"$schema": _DRAFT, "title": "An environment", **schema, "$defs": job["$defs"]}


def job_test_schema() -> Schema:
    """What an editor checks a file of tests/jobs against."""
    return {"$schema": _DRAFT, "title": "Tests of a job", **_closed(JobTests.model_json_schema(by_alias=True))}


def _closed(schema: Any) -> Any:
    """The schema with mappings closed to keys that their pattern does not fit."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "patternProperties" in schema else {}
    return {**{key: _closed(value) for key, value in schema.items()}, **closed}


def _part(schema: Any) -> Any:
    """The schema of a part that is laid over a whole: no key has to be there, but the one that says which word is meant.

    A list is not laid over another, it takes its place: its items are whole.
    """
    if isinstance(schema, list):
        return [_part(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    is_word = "required" in schema and "title" not in schema  # which a model has
    return {
        key: value if key == "items" else _part(value)
        for key, value in schema.items()
        if key != "required" or is_word or isinstance(value, dict)
    }


def _one_of(*kinds: registry.Kind) -> Schema:
    return {"oneOf": [_word(entry) for kind in kinds for entry in registry.known(kind)]}


def _word(entry: registry.Registered) -> Schema:
    """`{name: {options}}`, or the bare name where no option is required."""
    options = entry.options.model_json_schema(by_alias=True)
    for common in _common(entry):
        extra = common.model_json_schema(by_alias=True)
        options["properties"] = {**extra["properties"], **options.get("properties", {})}
    said = inspect.getdoc(entry.function)
    options["description"] = said
    # a source with a cdc_format gives a sink these
    options["required"] = [name for name in options.get("required", []) if entry.kind != "sink" or name not in DEFAULTS]
    word: Schema = {
        "type": "object",
        "properties": {entry.name: options},
        "required": [entry.name],
        "additionalProperties": False,
        "description": said,
    }
    return word if options.get("required") else {"anyOf": [word, {"const": entry.name}]}


def _common(entry: registry.Registered) -> list[Any]:
    if entry.kind in ("rule", "set_rule"):
        return [BatchRuleSettings if entry.traits.get("measures") is True else RuleSettings]
    return [TableSettings] if entry.kind == "sink" and not entry.traits.get("external") else []


def _routed(sink: Schema) -> Schema:
    """A sink with the rows that it takes."""
    words = [word["anyOf"][0] if "anyOf" in word else word for word in sink["oneOf"]]
    where = {"where": {"type": "string", "format": "sql"}}
    return {"oneOf": [{**word, "properties": {**word["properties"], **where}} for word in words]}
