"""Which options of a snapshot sink make no sense, seen before Spark starts."""

from __future__ import annotations

import re
from typing import Any

from lakehouse.errors import did_you_mean

_TYPES = (
    "string",
    "date",
    "timestamp",
    "timestamp_ntz",
    "tinyint",
    "smallint",
    "int",
    "integer",
    "bigint",
    "long",
    "decimal",
)
_TIMES = ("date", "timestamp", "timestamp_ntz")
_GROUP = re.compile(r"(?<!\\)\((?!\?)|\(\?<[A-Za-z]")
# what Java's regular expressions have and Python's have not: Java judges these itself, once the job runs
_JAVA_ALONE = re.compile(r"\\[pPQEhHRXGzZ]|&&|\[[^\]]*\[|[*+?}]\+")
# the letters that Spark takes in a format of dates and times, and how often each may stand in a row
_LETTERS = {
    "G": 4, "y": 6, "Q": 4, "q": 4, "M": 4, "L": 4, "d": 2, "D": 3, "E": 4, "F": 1, "a": 1, "h": 2, "H": 2, "k": 2, "K": 2,
    "m": 2, "s": 2, "S": 9, "V": 2, "z": 4, "O": 4, "X": 5, "x": 5, "Z": 5,
}  # fmt: skip


def require_sense(
    *, version_column: str | None, version_pattern: str | None, version_type: str, version_format: str | None, strategy: str,
    stored_as: int, updated_at: str | None, check_columns: Any, hard_deletes: str | None, **_: object,
) -> None:  # fmt: skip
    """Raises ValueError for options that contradict each other, or that say nothing."""
    if version_column and version_pattern:
        raise ValueError("'version_column' and 'version_pattern' exclude each other; keep one")
    if strategy == "full" and not (version_column or version_pattern):
        raise ValueError("strategy full needs 'version_column' or 'version_pattern'")
    if version_pattern:
        _require_pattern(version_pattern)
    _require_type(version_type, version_format, version_pattern)
    if strategy == "timestamp" and not updated_at:
        raise ValueError("strategy timestamp needs 'updated_at'")
    if (strategy == "check") != (check_columns is not None):
        raise ValueError("'check_columns' belongs to strategy check, which needs it: a list of columns, or all")
    if hard_deletes == "new_record" and stored_as == 1:
        raise ValueError("'hard_deletes: new_record' needs 'stored_as: 2'")


def _require_pattern(pattern: str) -> None:
    if not _JAVA_ALONE.search(pattern):
        try:
            re.compile(re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern))
        except re.error as error:
            raise ValueError(f"'{pattern}' is no regular expression: {error}") from error
    if not _GROUP.search(pattern):
        raise ValueError(f"'version_pattern' has no group; put ( ) around the version in '{pattern}'")


def _require_type(kind: str, form: str | None, pattern: str | None) -> None:
    name = kind.strip().lower()
    if name.partition("(")[0].strip() not in _TYPES:
        raise ValueError(f"'version_type' cannot be '{kind}'.{did_you_mean(name, _TYPES)}")
    if form is None:
        return
    if pattern is None:
        raise ValueError("'version_format' reads what 'version_pattern' finds; take it out, or cast the column")
    if name not in _TIMES:
        raise ValueError(f"'version_format' needs 'version_type' to be one of {', '.join(_TIMES)}, not {kind}")
    _require_format(form)


def _require_format(form: str) -> None:
    """Raises ValueError for a format that Spark does not take: `yyyyMMdd` is one, `%Y%m%d` and `YYYY` are none."""
    if form.count("'") % 2:
        raise ValueError(f"'version_format' '{form}' has a quote without its end")
    plain = re.sub(r"'[^']*'", " ", form)
    for found in re.finditer(r"([A-Za-z])\1*", plain):
        letter, length = found[1], len(found[0])
        if length > _LETTERS.get(letter, 0):
            raise ValueError(
                f"'version_format' '{form}' has '{found[0]}', which Spark does not take; a date is yyyy-MM-dd, a time "
                "HH:mm:ss, text of its own stands in single quotes"
            )
    if not re.search("[yMdHhDsS]", plain):
        raise ValueError(f"'version_format' '{form}' names no part of a date or a time; a date is yyyy-MM-dd")
