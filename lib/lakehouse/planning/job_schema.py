"""The JSON Schemas of a job's and of a contract's YAML, derived from the config's models and the registered functions' signatures."""

from __future__ import annotations

from typing import Any

from lakehouse import registry
from lakehouse.cdc_formats import DEFAULTS
from lakehouse.config.contract import Contract
from lakehouse.config.job_config import JobConfig
from lakehouse.planning.plan import BatchRuleSettings, RuleSettings, TableSettings

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def job_schema() -> Schema:
    """What an editor checks a job's YAML against; the same words and options that the plan checks."""
    schema = JobConfig.model_json_schema(by_alias=True)
    words = {kind: _one_of(kind) for kind in ("source", "transform", "sink")}
    properties = schema["properties"]
    properties["source"], properties["sink"] = words["source"], words["sink"]
    properties["rules"]["items"], properties["transforms"]["items"] = _one_of("rule", "set_rule"), words["transform"]
    properties["sinks"] = {"type": "array", "minItems": 1, "items": _routed(words["sink"])}
    return {"$schema": _DRAFT, "title": "A lakehouse job", **schema}


def contract_schema() -> Schema:
    """What an editor checks a contract's YAML against."""
    schema = Contract.model_json_schema(by_alias=True)
    schema["properties"]["rules"]["items"] = _one_of("rule", "set_rule")
    return {"$schema": _DRAFT, "title": "A contract", **schema}


def _one_of(*kinds: registry.Kind) -> Schema:
    return {"oneOf": [_word(entry) for kind in kinds for entry in registry.known(kind)]}


def _word(entry: registry.Registered) -> Schema:
    """`{name: {options}}`, or the bare name where no option is required."""
    options = entry.options.model_json_schema(by_alias=True)
    for common in _common(entry):
        extra = common.model_json_schema(by_alias=True)
        options["properties"] = {**extra["properties"], **options.get("properties", {})}
    options["description"] = entry.summary
    # a source with a cdc_format gives a sink these
    options["required"] = [name for name in options.get("required", []) if entry.kind != "sink" or name not in DEFAULTS]
    word: Schema = {
        "type": "object",
        "properties": {entry.name: options},
        "required": [entry.name],
        "additionalProperties": False,
        "description": entry.summary,
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
