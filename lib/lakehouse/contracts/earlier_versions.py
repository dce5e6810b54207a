"""Earlier versions of a contract's file: from a file, a folder, or git's memory of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.config.contract import Contract
from lakehouse.config.jobs import of_document
from lakehouse.config.yaml_files import Source, read_yaml, shown
from lakehouse.config.yaml_text import parse
from lakehouse.errors import ConfigError

_SECONDS = 60


@dataclass(frozen=True)
class Earlier:
    """An earlier version of a contract: where it is from, what it says, and where each key of it stands."""

    label: str
    contract: Contract
    source: Source


@dataclass(frozen=True)
class Found:
    """The earlier versions, the one asked for first, and what could not be looked at."""

    versions: tuple[Earlier, ...] = ()
    notes: tuple[str, ...] = ()


def earlier_versions(file: Path, against: str, *, every: bool) -> Found:
    """What a contract's file is held against: the file, the folder's file of that name, or the file at a git ref.

    None where the contract is new there. With `every` and a ref, all other versions that git knows follow. Raises
    ConfigError for a place that is neither, where git is missing, and for an earlier version that cannot be read.
    """
    place = Path(against)
    if place.is_file():
        return Found((_of_file(place),))
    if place.is_dir():
        candidates = [place / file.name, place / "contracts" / file.name, place / "conf" / "contracts" / file.name]
        return Found(tuple(_of_file(found) for found in candidates if found.is_file())[:1])
    return _of_git(file, against, every=every)


def _of_file(file: Path) -> Earlier:
    contract, source = of_document(Contract, read_yaml(file))
    return Earlier(shown(file), contract, source)


def _of_git(file: Path, ref: str, *, every: bool) -> Found:
    folder = file.absolute().parent
    if shutil.which("git") is None:
        raise ConfigError(f"--against {ref}: git is not installed; name a file or a folder with the earlier contracts")
    if _git(folder, "rev-parse", "--git-dir") is None:
        raise ConfigError(f"--against {ref}: {folder} is in no git repository; name a file or a folder")
    if ref.startswith("-") or _git(folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}") is None:
        raise ConfigError(
            f"--against {ref} is neither a file, a folder nor a commit of git; `git branch -a` lists some"
        )
    text = _git(folder, "show", f"{ref}:./{file.name}")
    versions = [] if text is None else [_of_text(text, ref, file)]
    notes: list[str] = []
    if every:
        for earlier in _history(folder, ref, file, text):
            if isinstance(earlier, str):
                notes.append(earlier)
            else:
                versions.append(earlier)
        if (_git(folder, "rev-parse", "--is-shallow-repository") or "").strip() == "true":
            notes.append("this clone is shallow: older versions are not in it; `git fetch --unshallow` brings them")
    return Found(tuple(versions), tuple(notes))


def _history(folder: Path, ref: str, file: Path, newest: str | None) -> Iterator[Earlier | str]:
    """Every other content that the file had up to a ref, newest first; a note for one that is no contract of today."""
    seen = {newest}
    for commit in (_git(folder, "log", "--format=%h", ref, "--", file.name) or "").split():
        text = _git(folder, "show", f"{commit}:./{file.name}")
        if text is None or text in seen:
            continue
        seen.add(text)
        try:
            yield _of_text(text, commit, file)
        except ConfigError as error:
            yield f"left out: {str(error).splitlines()[0]}"


def _of_text(text: str, label: str, file: Path) -> Earlier:
    contract, source = of_document(Contract, parse(text, f"{label}:{shown(file)}"))
    return Earlier(label, contract, source)


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers, or None where it refuses."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 (the user's git)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"git did not answer within {_SECONDS} s: {' '.join(command)}") from error
    return done.stdout.decode("utf-8-sig", "replace") if done.returncode == 0 else None
