"""What a shell completes behind TAB: commands and options, and the names of jobs, tables and environments."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lakehouse.commands.words import Parser
from lakehouse.config.project_files import conf_folder, job_files, project_root
from lakehouse.errors import LakehouseError
from lakehouse.storage import folders
from lakehouse.tables import is_remote, resolved


def shell_code(shell: str) -> str:
    """What a shell evaluates to complete `lakehouse`."""
    from argcomplete.shell_integration import shellcode

    return shellcode(["lakehouse"], shell=shell)


def complete(parser: Parser) -> None:
    """Answers a shell that asks, and ends the process; nothing where none asks."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    _name_values(parser)
    argcomplete.autocomplete(parser)


def job_names() -> list[str]:
    """The jobs of the nearest conf/."""
    return [file.stem for file in job_files(conf_folder(Path.cwd()))]


def table_names() -> list[str]:
    """The tables of a lake on this machine; none of a remote one, which a key press must not wait for."""
    root = resolved(os.environ.get("LAKE") or "lake", project_root(conf_folder(Path.cwd()) / "job.yml"))
    layers = [] if is_remote(root) else [name for name in folders(root) if not name.startswith(("_", "."))]
    return [f"{layer}.{table}" for layer in layers for table in folders(f"{root}/{layer}")]


def environment_names() -> list[str]:
    """The overlays in conf/env/."""
    return [file.stem for file in job_files(conf_folder(Path.cwd()) / "env")]


def _jobs_and_selectors() -> list[str]:
    return [*job_names(), *(f"layer:{layer}" for layer in ("bronze", "silver", "gold"))]


def _jobs_and_tables() -> list[str]:
    return [*job_names(), *table_names()]


_NAMES: dict[str, Callable[[], list[str]]] = {
    "JOB": job_names, "TABLE": table_names, "X": _jobs_and_selectors, "TABLE|ID": table_names, "JOB|SUITE": job_names,
    "RUN": job_names, "ENV": environment_names, "job": job_names, "table": _jobs_and_tables,
}  # fmt: skip


def _name_values(parser: Parser) -> None:
    """Gives each argument of the parser, and of those below it, the names that it may have."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _name_values(below)
            continue
        names = _NAMES.get(str(action.metavar or (action.dest.upper() if action.option_strings else action.dest)))
        if names is not None and action.choices is None:
            action.completer = _completer(names)  # type: ignore[attr-defined]


def _completer(names: Callable[[], list[str]]) -> Callable[..., list[str]]:
    def complete_name(**_: Any) -> list[str]:
        try:
            return names()
        except (LakehouseError, OSError):  # no project here, a lake that cannot be read: nothing to offer
            return []

    return complete_name
