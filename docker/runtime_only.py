"""Prints the installed packages that only the extra `dev` asks for: an image that runs jobs goes without them."""

import re
from importlib.metadata import Distribution, distributions

from packaging.requirements import Requirement

KEPT = {"pip", "setuptools"}


def name_of(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def needed(installed: dict[str, Distribution], package: str, extras: frozenset[str], found: set[tuple]) -> None:
    """Adds a package and all that it asks for in this environment, with these extras of it."""
    if (package, extras) in found or package not in installed:
        return
    found.add((package, extras))
    for line in installed[package].requires or []:
        wanted = Requirement(line)
        if any(not wanted.marker or wanted.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            needed(installed, name_of(wanted.name), frozenset(wanted.extras), found)


def main() -> None:
    installed = {name_of(each.metadata["Name"]): each for each in distributions()}
    found: set[tuple] = set()
    needed(installed, "lakehouse", frozenset({"", "expectations"}), found)
    for name in sorted(installed.keys() - KEPT - {package for package, _ in found}):
        print(name)


if __name__ == "__main__":
    main()
