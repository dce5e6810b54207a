"""`${secret:name}`: its value, from a folder of files or from a command that asks a store."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lakehouse.redaction import keep_hidden

PLACES = ("source", "sink", "sinks", "spark")
"""The keys of a job under which a secret may stand; what else a job says is shown, hashed and written."""
_FOLDER, _COMMAND = "LAKE_SECRETS", "LAKE_SECRET_COMMAND"
_USUAL_FOLDER = "/run/secrets"  # where Docker and Kubernetes mount them
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:#/-]*")
_SECONDS = 30.0


def secret(name: str, variables: Mapping[str, str]) -> str:
    """The secret's value, without the newline that ends a file; from now on no text that is shown holds it.

    `LAKE_SECRET_COMMAND` is a command whose output it is (`{name}` in it stands for the name), else the value is the
    content of the file `name` in the folder `LAKE_SECRETS`, /run/secrets by default. Raises ValueError, which says
    where it was looked for.
    """
    if not _NAME.fullmatch(name) or ".." in name.split("/"):
        raise ValueError(f"'{name}' cannot be a secret's name: letters, digits and _ . @ : # / - are, '..' is not")
    command = variables.get(_COMMAND)
    value = _of_command(command, name) if command else _of_file(Path(variables.get(_FOLDER) or _USUAL_FOLDER), name)
    if not value:
        raise ValueError(f"the secret {name} is empty")
    keep_hidden(value)
    return value


def _of_file(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except FileNotFoundError as error:
        raise ValueError(
            f"there is no secret {name}: no file {folder / name}; write it there, or name another folder in {_FOLDER}, "
            f"or a command that prints it in {_COMMAND}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ValueError(f"the secret {name} in {folder / name} cannot be read: {why}") from error


def _of_command(command: str, name: str) -> str:
    """What the command prints; it is run without a shell, so that a name can be no second command."""
    try:
        words = [word.replace("{name}", name) for word in shlex.split(command)]
        done = subprocess.run(  # noqa: S603 (the user's own command)
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        why = f"no answer in {_SECONDS:g} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise ValueError(f"{_COMMAND} gave no secret {name}: {why}") from error
    if done.returncode:
        said = next(iter(done.stderr.strip().splitlines()), "")
        raise ValueError(f"{_COMMAND} gave no secret {name}: exit code {done.returncode}{f', {said}' if said else ''}")
    return done.stdout.removesuffix("\n").removesuffix("\r")
