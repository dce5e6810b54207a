"""What is secret in a job's YAML, and the same without it: for everything that is shown, hashed or written."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, quote_plus

SHOWN = "***"
_NAME = re.compile(r"password|passwd|secret|token|credential", re.IGNORECASE)
_PARAMETER = re.compile(r"(?i)((?:password|passwd|secret|token)[\w.]*\s*=\s*)(\"[^\"]*\"|'[^']*'|[^&;\s]*)")
# What secret stores gave this process: nothing that it says may hold one, whoever quotes it.
_GIVEN: set[str] = set()
_SHORTEST = 4  # characters: to hide less would tear other words apart, and hides nothing that cannot be guessed
_USER_INFO = re.compile(r"(://[^/\s:@]*:)[^/\s]*(@)")


def is_secret(name: object) -> bool:
    """True where an option of this name holds a secret."""
    return bool(_NAME.search(str(name)))


def keep_hidden(value: str) -> None:
    """From now on `hidden` takes this value out, as it is and as a URL has it."""
    if len(value) >= _SHORTEST:
        _GIVEN.update((value, quote(value, safe=""), quote_plus(value)))


def hidden(text: str) -> str:
    """The text with `***` for each value that a secret store gave."""
    for value in sorted(_GIVEN, key=len, reverse=True):
        text = text.replace(value, SHOWN)
    return text


def without_secrets(value: Any) -> Any:
    """The value with `***` for what options with a secret's name hold, for passwords within URLs, and for `hidden`."""
    if isinstance(value, dict):
        return {
            key: SHOWN if is_secret(key) and isinstance(item, str | int | float) else without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if not isinstance(value, str):
        return value
    return _USER_INFO.sub(rf"\1{SHOWN}\2", _PARAMETER.sub(rf"\1{SHOWN}", hidden(value)))
