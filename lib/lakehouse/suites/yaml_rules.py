"""Rules as the text of a YAML file, and the text of a job's file with more of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lakehouse.config.yaml_files import shown
from lakehouse.config.yaml_text import parse
from lakehouse.errors import ConfigError, Problem

Rule = dict[str, dict[str, Any]]


def rules_text(rules: Sequence[Rule], indent: int = 2) -> str:
    """The items of a list of rules, one a line."""
    return "".join(f"{' ' * indent}- {_item(rule)}\n" for rule in rules)


def with_rules(file: Path, rules: Sequence[Rule]) -> tuple[str, int]:
    """A job's text with the rules that it does not have yet, behind its own, and how many these are.

    Raises ConfigError where its list of rules cannot be told from the text.
    """
    text = file.read_bytes().decode("utf-8-sig")
    before = parse(text, shown(file)).value
    if not isinstance(before, dict):
        raise ConfigError(Problem(shown(file), 1, "a job is a mapping: layer, source, sink, ..."))
    own = before.get("rules") or []
    if not isinstance(own, list):
        raise ConfigError(Problem(shown(file), 0, "'rules' is a list of rules"))
    new = [rule for rule in rules if rule not in own]
    if not new:
        return text, 0
    longer = _longer(text, new)
    if parse(longer, shown(file)).value != {**before, "rules": [*own, *new]}:
        said = "its 'rules' are no plain list, one rule a line: write them so, or take the rules from standard output"
        raise ConfigError(Problem(shown(file), 0, said))
    return longer, len(new)


def _longer(text: str, rules: Sequence[Rule]) -> str:
    """The text with the rules at the end of its list, or with a list where it has none."""
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if re.match(r"rules\s*:", line)), None)
    if start is None:
        return text + ("" if text.endswith("\n") else "\n") + "rules:\n" + rules_text(rules)
    end, indent = start + 1, 2
    for number in range(start + 1, len(lines)):
        item = re.match(r"( *)(- )?\S", lines[number])
        if item is None or lines[number].lstrip().startswith("#"):
            continue
        if not item[1] and not item[2]:
            break
        end, indent = number + 1, len(item[1]) if item[2] else indent
    above = "".join(lines[:end])
    return above + ("" if above.endswith("\n") else "\n") + rules_text(rules, indent) + "".join(lines[end:])


def _item(rule: Rule) -> str:
    name, options = next(iter(rule.items()))
    if not options:
        return name
    said = yaml.safe_dump(options, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return f"{name}: {said.strip()}"
