"""SQL as text: finds table names and the clock in a user's SQL without touching strings, comments or other braces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<string>r?'(?:\\.|''|[^'\\])*'|r?"(?:\\.|""|[^"\\])*")
      | (?P<input>\{input\})
      | (?P<name>(?:`(?:``|[^`])*`|[^\W\d]\w*)(?:\.(?:`(?:``|[^`])*`|[^\W\d]\w*))*)
      | (?P<number>\d[\w.]*)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_CLOCKS = frozenset({"now", "current_timestamp", "current_date", "curdate", "localtimestamp"})
_AFTER_TABLE = frozenset(
    [
        "on",
        "using",
        "where",
        "group",
        "having",
        "order",
        "sort",
        "cluster",
        "distribute",
        "limit",
        "offset",
        "window",
        "union",
        "except",
        "minus",
        "intersect",
        "join",
        "inner",
        "left",
        "right",
        "full",
        "cross",
        "natural",
        "semi",
        "anti",
        "lateral",
        "tablesample",
        "pivot",
        "unpivot",
        "select",
        "from",
        "set",
        "when",
    ]
)
_QUERY_STARTS = frozenset({"select", "with", "values", "from", "("})


@dataclass(frozen=True)
class Token:
    """A piece of SQL: `kind` is skip, string, input, name, number or other."""

    kind: str
    text: str


def tokens(sql: str) -> list[Token]:
    """The whole text as pieces; joined again they give the text back."""
    return [Token(match.lastgroup or "other", match.group()) for match in _TOKEN.finditer(sql)]


def is_query(sql: str) -> bool:
    """True for one SELECT-like statement; anything that could change something is none."""
    words = [token.text.lower() for token in tokens(sql) if token.kind != "skip"]
    while words and words[-1] == ";":
        words.pop()
    return bool(words) and words[0] in _QUERY_STARTS and ";" not in words and "insert" not in words


def mentions(sql: str, name: str) -> bool:
    """True where `name` stands in the SQL as (a part of) a name."""
    return any(name in token.text.replace("`", "").split(".") for token in tokens(sql) if token.kind == "name")


def with_clock(sql: str, now: datetime) -> str:
    """The SQL with `now()`, `current_timestamp`, `current_date` and their like as literals of `now` (UTC)."""
    pieces = tokens(sql)
    moment = now.astimezone(UTC)
    out: list[str] = []
    position = 0
    while position < len(pieces):
        token = pieces[position]
        called = "".join(piece.text for piece in pieces[position + 1 : position + 3]) == "()"
        word = token.text.lower()
        is_clock = token.kind == "name" and word in _CLOCKS and (called or word.startswith("current_"))
        if is_clock:
            out.append(_clock_literal(word, moment))
            position += 3 if called else 1
        else:
            out.append(token.text)
            position += 1
    return "".join(out)


def _clock_literal(word: str, moment: datetime) -> str:
    if word in ("current_date", "curdate"):
        return f"DATE '{moment:%Y-%m-%d}'"
    kind = "TIMESTAMP_NTZ" if word == "localtimestamp" else "TIMESTAMP"
    zone = "" if word == "localtimestamp" else "Z"
    return f"{kind} '{moment:%Y-%m-%d %H:%M:%S.%f}{zone}'"


def with_views(sql: str, views: Mapping[str, str]) -> str:
    """The SQL with each declared table's name (`silver.orders`) and `{input}` replaced by its view's name.

    A table without an alias keeps the last part of its name as one, so that `orders.amount` still resolves;
    `silver.orders.amount` resolves too.
    """
    pieces = tokens(sql)
    out: list[str] = []
    for position, token in enumerate(pieces):
        if token.kind == "input":
            out.append(views.get("input", token.text) + ("" if _has_alias(pieces, position) else " AS input"))
        elif token.kind == "name":
            out.append(_view_reference(token.text, pieces, position, views))
        else:
            out.append(token.text)
    return "".join(out)


def _view_reference(name: str, pieces: list[Token], position: int, views: Mapping[str, str]) -> str:
    plain = name.replace("`", "")
    if plain in views:
        alias = plain.rsplit(".", 1)[-1]
        return views[plain] if _has_alias(pieces, position) else f"{views[plain]} AS `{alias}`"
    table, _, column = plain.rpartition(".")
    if "." in table and table in views:
        return f"`{table.rsplit('.', 1)[-1]}`.`{column}`"
    return name


def _has_alias(pieces: list[Token], position: int) -> bool:
    following = next((token for token in pieces[position + 1 :] if token.kind != "skip"), None)
    return following is not None and following.kind == "name" and following.text.lower() not in _AFTER_TABLE
