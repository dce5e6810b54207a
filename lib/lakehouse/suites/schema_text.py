"""The columns of a schema in Spark's DDL, told without Spark."""

from __future__ import annotations

import re

_COLUMN = re.compile(r"\s*(?P<name>`[^`]+`|\w+)\s*:?\s+(?P<type>.+)", re.DOTALL)


def column_types(ddl: str) -> list[tuple[str, str]]:
    """Each column's name and type, `id bigint, price decimal(12,2) NOT NULL`; what is none of them is left out."""
    found = []
    for part in _parts(ddl):
        column = _COLUMN.fullmatch(part)
        if column is not None:
            found.append((column["name"].strip("`"), re.split(r"(?i)\s+(?:not\s+null|comment)\b", column["type"])[0]))
    return found


def _parts(ddl: str) -> list[str]:
    """The text between the commas that are within no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in ddl:
        if quote or sign in "`'\"":
            quote = "" if sign == quote else quote or sign
        depth += 0 if quote else (sign in "(<") - (sign in ")>")
        if sign == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts
