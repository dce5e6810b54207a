"""`${VAR}`, `${VAR:-default}` and `${secret:name}` in a YAML value, replaced by what the environment or a secret store says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lakehouse.config.secret_stores import PLACES, secret
from lakehouse.config.yaml_text import Path, Value
from lakehouse.refusals import Place

_VARIABLE = re.compile(r"\$(?P<escape>\$\{)|\$\{(?P<name>[^}:]*)(?P<rest>:[^}]*)?\}|(?P<open>\$\{)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class FromVariable(str):
    """Text that a variable gave: a number or a truth value where an option wants one."""


def escaped(value: Any) -> Any:
    """The value with each `${` written so that it is read as it stands."""
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def with_variables(value: Value, variables: Mapping[str, str]) -> tuple[Any, list[tuple[Place, str]]]:
    """The value with each variable as a FromVariable, and each place where one is not set or not well written."""
    wrong: list[tuple[Place, str]] = []
    return _filled(value, (), lambda path, text: _replaced(text, path, variables, wrong)), wrong


def _filled(value: Value, path: Path, replace: Callable[[Path, str], Value]) -> Value:
    if isinstance(value, dict):
        return {key: _filled(item, (*path, key), replace) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, (*path, index), replace) for index, item in enumerate(value)]
    return replace(path, value) if isinstance(value, str) and "${" in value else value


def _replaced(text: str, path: Path, variables: Mapping[str, str], wrong: list[tuple[Place, str]]) -> Value:
    def lookup(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        name, rest = match["name"], match["rest"]
        if name == "secret" and rest:
            return _secret(rest[1:], path, variables, wrong)
        if not _is_variable(match):
            wrong.append((path, f"'{match[0]}' is neither ${{VAR}} nor ${{VAR:-default}}; a literal is $${{"))
        elif name in variables and (variables[name] or rest is None):
            return variables[name]
        elif rest is not None:
            return rest[2:]
        else:
            wrong.append((path, f"the variable {name} is not set; set it, or write ${{{name}:-default}}"))
        return ""

    return FromVariable(_VARIABLE.sub(lookup, text))


def _secret(name: str, path: Path, variables: Mapping[str, str], wrong: list[tuple[Place, str]]) -> str:
    if not path or path[0] not in PLACES:
        wrong.append((path, f"a secret may stand under {', '.join(PLACES)} alone: what stands here is shown"))
        return ""
    try:
        return secret(name, variables)
    except ValueError as error:
        wrong.append((path, str(error)))
        return ""


def _is_variable(match: re.Match[str]) -> bool:
    rest = match["rest"] or ":-"
    return bool(_NAME.fullmatch(match["name"] or "")) and rest.startswith(":-") and "${" not in rest
