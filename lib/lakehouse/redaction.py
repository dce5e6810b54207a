"""What is secret in a job's YAML, and the same without it: for everything that is shown, hashed or written."""

from __future__ import annotations

import re
from typing import Any

SHOWN = "***"
_NAME = re.compile(r"password|passwd|secret|token|credential", re.IGNORECASE)
_PARAMETER = re.compile(r"(?i)((?:password|passwd|secret|token)[\w.]*\s*=\s*)(\"[^\"]*\"|'[^']*'|[^&;\s]*)")
_USER_INFO = re.compile(r"(://[^/\s:@]*:)[^/\s]*(@)")


def is_secret(name: object) -> bool:
    """True where an option of this name holds a secret."""
    return bool(_NAME.search(str(name)))


def without_secrets(value: Any) -> Any:
    """The value with `***` for what options with a secret's name hold, and for passwords within URLs."""
    if isinstance(value, dict):
        return {
            key: SHOWN if is_secret(key) and isinstance(item, str | int | float) else without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if not isinstance(value, str):
        return value
    return _USER_INFO.sub(rf"\1{SHOWN}\2", _PARAMETER.sub(rf"\1{SHOWN}", value))
