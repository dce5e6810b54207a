"""YAML as text: values by the 1.2 core schema, each with the line it stands on; duplicates, tags and bombs refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from lakehouse.errors import ConfigError, Problem

Path = tuple[str | int, ...]
Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

_MAX_DEPTH = 40
_MAX_NODES = 50_000
_MAX_NUMBER = 100  # characters: Python refuses to read numbers of thousands of digits
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"(?P<sign>[-+]?)\.(?P<word>inf|Inf|INF|nan|NaN|NAN)")
_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass
class Document:
    """A YAML file's value, and the line (from 1) of each key and item by its path."""

    file: str
    value: Value = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def refuse(self, line: int, message: str) -> None:
        """Notes a problem at a line."""
        self.problems.append(Problem(self.file, line, message))


def scalar(text: str) -> Value:
    """What a plain scalar means in YAML 1.2's core schema: `no`, `on` and dates are strings."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_NUMBER:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    return float(special["sign"] + special["word"]) if special else text


def parse(text: str, file: str) -> Document:
    """The one document of `text`; raises ConfigError with every problem found."""
    document = Document(file)
    try:
        _require_harmless(text, document)
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise ConfigError(Problem(file, line, f"not YAML: {error.problem or error.context}")) from error
    except yaml.YAMLError as error:
        raise ConfigError(Problem(file, 0, f"not YAML: {str(error).splitlines()[0]}")) from error
    if node is not None:
        document.value = _value(node, (), document)
    if document.problems:
        raise ConfigError(document.problems)
    return document


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes where it would be read as a number, a word or nothing; no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Says the same value again where it comes again."""
        return True


def _quoted_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if isinstance(scalar(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted_text)


def yaml_text(value: Any) -> str:
    """The value as YAML that `parse` reads back as it is; lists and mappings of plain values take one line."""
    return str(
        yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=10**6)
    )


def yaml_line(value: Any) -> str:
    """The value as YAML on one line."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=True, allow_unicode=True, width=10**6)
    return str(text).removesuffix("\n").removesuffix("\n...")


def _require_harmless(text: str, document: Document) -> None:
    """Walks the events, which needs no recursion: refuses tags and deep nesting before anything is built."""
    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 0
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise ConfigError(Problem(document.file, line, f"YAML tags are not allowed: {tag}"))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise ConfigError(Problem(document.file, line, f"nested deeper than {_MAX_DEPTH} levels"))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _value(node: yaml.Node, path: Path, document: Document) -> Value:
    document.nodes += 1
    if document.nodes > _MAX_NODES:
        raise ConfigError(
            Problem(document.file, 0, f"more than {_MAX_NODES} values (aliases counted as often as used)")
        )
    if len(path) > _MAX_DEPTH:  # by aliases, one of which may even hold itself
        raise ConfigError(
            Problem(document.file, node.start_mark.line + 1, f"nested deeper than {_MAX_DEPTH} levels by aliases")
        )
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), document) for index, item in enumerate(node.value)]
    return node.value if getattr(node, "style", None) else scalar(node.value)


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Value]:
    mapping: dict[str, Value] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.refuse(line, "a key must be a word")
            continue
        key = key_node.value
        if key in mapping:
            document.refuse(line, f"'{key}' is here twice; the first is on line {document.lines[(*path, key)]}")
            continue
        document.lines[(*path, key)] = line
        mapping[key] = _value(value_node, (*path, key), document)
    return mapping
