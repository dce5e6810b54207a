"""Writes what docs/ takes from the code: reference.md, and the list of all messages at the end of troubleshooting.md.

`make docs` calls it before it builds the site; tests/test_site.py holds that what is committed is what the code says.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from messages import messages  # noqa: E402  (this folder is no package)

from lakehouse import registry  # noqa: E402
from lakehouse.commands.options import COMMANDS  # noqa: E402
from lakehouse.config.contract import Contract  # noqa: E402
from lakehouse.config.job_config import JobConfig  # noqa: E402
from lakehouse.planning.plan import BatchRuleSettings, RuleSettings, TableSettings  # noqa: E402

MARK = "<!-- what follows is written by docs/pages.py -->"
_WORDS = {
    "source": ("Sources", None),
    "rule": ("Rules on a row", RuleSettings),
    "set_rule": ("Rules on many rows", BatchRuleSettings),
    "transform": ("Transforms", None),
    "sink": ("Sinks", TableSettings),
}
_UNITS = {
    "A job's YAML": "config planning registry commands.options frames sql_text refusals measures display",
    "Sources": "sources csv_files text_files typed_files parquet_times landing column_types cdc_formats databases kafka event_time",
    "Rules, contracts and suites": "rules batches contracts commands.contract expectations commands.expectation suites commands.quality profiling commands.profile",
    "Transforms": "transforms intervals",
    "Sinks and change data": "sinks upserts targets table_layout change_data history commands.table",
    "Runs, streams and checkpoints": "pipeline lease run_report commands.report commands.stream commands.jobs batch_log api runs rule_results",
    "Projects, tests and looks at a lake": "new_files commands.project commands.tests testing commands.show commands.sql commands.plan table_log",
    "The quarantine": "quarantine commands.quarantine quarantine_decisions",
    "The lake, Spark and this machine": "storage session diagnosis sample_data",
}
_OTHER = "Elsewhere"


def reference() -> str:
    """The page of every key, word, option and command, from the code itself."""
    parts = [
        "# Reference",
        "Every key of a job and of a contract, every source, rule, transform and sink with its options, and every command. This page is\n"
        "written from the code by `make docs`; `lakehouse list rules` (`sources`, `transforms`, `sinks`) and `lakehouse schema` say the same.",
        "## Keys of a job",
        _properties(JobConfig.model_json_schema(by_alias=True)),
    ]
    for kind, (title, common) in _WORDS.items():
        parts.append(f"## {title}")
        if common is not None:
            parts += [inspect.cleandoc(common.__doc__ or ""), _properties(common.model_json_schema(by_alias=True))]
        parts += [_word(entry) for entry in registry.known(kind)]
    parts += ["## Keys of a contract", _properties(Contract.model_json_schema(by_alias=True))]
    fields = Contract.model_json_schema(by_alias=True)["$defs"]
    parts += [
        f"### {name}\n\n{_properties({**schema, '$defs': fields})}"
        for name, schema in fields.items()
        if "properties" in schema
    ]
    parts += ["## Commands", *_commands(COMMANDS)]
    return "\n\n".join(parts) + "\n"


def _word(entry: registry.Registered) -> str:
    said = inspect.getdoc(entry.function) or ""
    first, _, rest = said.partition("\n")
    parts = [f"### {entry.name}", first, rest.strip(), _properties(entry.options.model_json_schema(by_alias=True))]
    return "\n\n".join(part for part in parts if part)


def _properties(schema: Mapping[str, Any]) -> str:
    """A table of a model's keys: type, default and what is said of each."""
    required, known = set(schema.get("required", ())), schema.get("$defs", {})
    rows = []
    for name, item in schema.get("properties", {}).items():
        default = "required" if name in required else _default(item.get("default"))
        rows.append([f"`{name}`", _type(item, known), default, item.get("description", "")])
    if not rows:
        return "No options."
    head = ["name", "type", "default", "what it says"]
    kept = [place for place in range(4) if place < 3 or any(row[3] for row in rows)]
    return _table([head[place] for place in kept], [[row[place] for place in kept] for row in rows])


def _type(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """A schema in words."""
    if "$ref" in schema:
        return _type(known[schema["$ref"].rsplit("/", 1)[-1]], known)
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(item, known) for item in schema["anyOf"] if item.get("type") != "null"))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), known)}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        keys = ", ".join(f"`{name}`" for name in schema.get("properties", {}))
        return (
            f"mapping with {keys}"
            if keys
            else f"mapping of {_type(inner, known)}"
            if isinstance(inner, dict) and inner
            else "mapping"
        )
    return {"string": _text_type(schema), "integer": "whole number", "boolean": "true or false"}.get(
        str(schema.get("type")), str(schema.get("type", "any"))
    )


def _text_type(schema: Mapping[str, Any]) -> str:
    pattern = str(schema.get("pattern", ""))
    if "available_now" in pattern:
        return "`available_now` or a duration"
    if "week" in pattern:
        return "duration"
    return {"sql": "SQL", "password": "secret"}.get(str(schema.get("format")), "table" if r"\." in pattern else "text")


def _default(value: object) -> str:
    if value is None or value in ([], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _commands(commands: Sequence[Any], before: str = "lakehouse") -> Iterator[str]:
    """A heading a command, its arguments as a table."""
    for command in commands:
        name = f"{before} {command.name}"
        if command.parts:
            yield from _commands(command.parts, name)
            continue
        parser = argparse.ArgumentParser(add_help=False)
        if command.options is not None:
            command.options(parser)
        rows = [[_argument(action), (action.help or "").replace("%%", "%")] for action in parser._actions]
        yield f"### {name}\n\n{command.help[0].upper()}{command.help[1:]}. For example `lakehouse {command.example}`."
        if rows:
            yield _table(["argument", "what it does"], rows)


def _argument(action: argparse.Action) -> str:
    value = action.metavar or ("\\|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    shown = " ".join(value) if isinstance(value, tuple) else str(value)
    if not action.option_strings:
        return f"`{shown}`".replace("\\|", "|")
    takes = "" if action.nargs == 0 else f" {shown}"
    return f"`{', '.join(action.option_strings)}{takes}`".replace("\\|", "|")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def all_messages() -> str:
    """Every message by topic; `…` stands for what differs."""
    topic = {unit: name for name, units in _UNITS.items() for unit in units.split()}
    found: dict[str, list[str]] = {name: [] for name in (*_UNITS, _OTHER)}
    for message in messages():
        found[topic.get(message.unit, _OTHER)].append(message.text)
    blocks = [
        f"### {name}\n\n" + "\n".join(f"- {shown(text)}" for text in texts) for name, texts in found.items() if texts
    ]
    return f"{MARK}\n\n" + "\n\n".join(blocks) + "\n"


def shown(text: str) -> str:
    """A message as Markdown: code, however many backquotes it has."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def troubleshooting(text: str) -> str:
    """The page with its list of messages as the code has them now."""
    return text.partition(MARK)[0] + all_messages()


def main() -> None:
    """Writes both."""
    (HERE / "reference.md").write_text(reference())
    page = HERE / "troubleshooting.md"
    page.write_text(troubleshooting(page.read_text()))


if __name__ == "__main__":
    main()
