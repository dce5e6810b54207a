"""YAML files as they were read: their text parsed, and the line of each key for the problems found in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.config.yaml_text import Document, parse
from lakehouse.config.yaml_text import Path as KeyPath
from lakehouse.errors import ConfigError, Problem


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


def source_of(document: Document) -> Source:
    """The lines of one file."""
    return Source(document.file, {path: (document.file, line) for path, line in document.lines.items()})
