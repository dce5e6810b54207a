"""New files written all or none: where one is there already, nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lakehouse.config.yaml_files import shown
from lakehouse.errors import ConfigError, Problem


def write_new(root: Path, files: Mapping[str, str]) -> list[Path]:
    """Writes the files below a folder, and their paths; raises ConfigError, a line each, where some are there already."""
    paths = {root / name: text for name, text in files.items()}
    there = [Problem(shown(path), 0, "is there already; nothing was written") for path in paths if path.exists()]
    if there:
        raise ConfigError(there)
    for path, text in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(paths)
