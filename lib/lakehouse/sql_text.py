"""SQL as text: finds table names and the clock in a user's SQL without touching strings, comments or other braces."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<string>[rR]?'(?:\\.|''|[^'\\])*'|[rR]?"(?:\\.|""|[^"\\])*")
      | (?P<input>\{input\})
      | (?P<name>(?:`(?:``|[^`])*`|[^\W\d]\w*)(?:\.(?:`(?:``|[^`])*`|[^\W\d]\w*))*)
      | (?P<number>\d[\w.]*)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(r"`(?:``|[^`])*`|[^`.]+")
_CLOCKS = frozenset(
    {"now", "current_timestamp", "current_date", "curdate", "current_time", "localtimestamp", "unix_timestamp"}
)
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
_QUERY_STARTS = frozenset({"select", "values", "from", "("})


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
    start = _after_common_tables(words) if words[:1] == ["with"] else 0
    return words[start : start + 1] != [] and words[start] in _QUERY_STARTS and not {";", "insert"} & set(words)


def _after_common_tables(words: list[str]) -> int:
    """Where the statement behind `WITH a AS (...), b (x) AS (...)` begins: it need not be a query."""
    depth = 0
    for position, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        following = words[position + 1] if position + 1 < len(words) else ""
        if word == ")" and depth == 0 and following not in (",", "as"):
            return position + 1
    return len(words)


def mentions(sql: str, name: str) -> bool:
    """True where `name` stands in the SQL as (a part of) a name."""
    return any(name in _parts(token.text) for token in tokens(sql) if token.kind == "name")


def aliases(sql: str) -> list[str]:
    """The names that a query gives to what it selects, and to its tables: what stands after `AS`."""
    found = [token for token in tokens(sql) if token.kind != "skip"]
    named = [after for token, after in pairwise(found) if token.text.lower() == "as" and after.kind == "name"]
    return [part for token in named for part in _parts(token.text)]


def dotted_names(sql: str) -> dict[str, bool]:
    """The first two parts of each name that has as many, joined by a dot; True for one that stands where a table must."""
    found: dict[str, bool] = {}
    before = ""
    for token in tokens(sql):
        parts = _parts(token.text) if token.kind == "name" else []
        if len(parts) > 1:
            name = ".".join(parts[:2])
            found[name] = found.get(name, False) or before in ("from", "join")
        before = token.text.lower() if token.kind != "skip" else before
    return found


def aliases_of(sql: str, names: Collection[str]) -> set[str]:
    """The columns that a query makes (`... AS alias`) by an expression that mentions one of the names."""
    pieces = [token for token in tokens(sql) if token.kind != "skip"]
    lowered, found = {name.lower() for name in names}, set()
    for place, (word, alias) in enumerate(pairwise(pieces)):
        if word.text.lower() == "as" and alias.kind == "name":
            used = {part for token in _expression_before(pieces, place) for part in _parts(token.text.lower())}
            if used & lowered:
                found.add(_parts(alias.text)[-1])
    return found


def _expression_before(pieces: Sequence[Token], place: int) -> Iterator[Token]:
    """The names of the expression that ends before a place: back to the comma, bracket or SELECT that it begins after."""
    depth = 0
    for token in reversed(pieces[:place]):
        depth += (token.text == ")") - (token.text == "(")
        if depth < 0 or (depth == 0 and (token.text == "," or token.text.lower() == "select")):
            return
        if token.kind == "name":
            yield token


def with_clock(sql: str, now: datetime) -> str:
    """The SQL with `now()`, `current_timestamp`, `current_date` and their like as literals of `now` (UTC)."""
    pieces = tokens(sql)
    moment = now.astimezone(UTC)
    out: list[str] = []
    position = before = 0
    while position < len(pieces):
        token = pieces[position]
        word = token.text.lower()
        call = _empty_call(pieces, position)
        is_alias = pieces[before].text.lower() == "as"
        if token.kind == "name" and word in _CLOCKS and (call or word.startswith("current_")) and not is_alias:
            out.append(_clock_literal(word, moment))
            position += call
        else:
            out.append(token.text)
        before = before if token.kind == "skip" else position
        position += 1
    return "".join(out)


def _empty_call(pieces: list[Token], position: int) -> int:
    """How many pieces `()` takes right behind a position; 0 where there is no such call."""
    found = ""
    for taken, piece in enumerate(pieces[position + 1 :], 1):
        found += "" if piece.kind == "skip" else piece.text
        if found == "()":
            return taken
        if found not in ("", "("):
            break
    return 0


def _clock_literal(word: str, moment: datetime) -> str:
    if word in ("current_date", "curdate"):
        return f"DATE '{moment:%Y-%m-%d}'"
    if word == "current_time":
        return f"TIME '{moment:%H:%M:%S.%f}'"
    if word == "unix_timestamp":
        return f"{int(moment.timestamp())}L"
    kind = "TIMESTAMP_NTZ" if word == "localtimestamp" else "TIMESTAMP"
    zone = "" if word == "localtimestamp" else "Z"
    return f"{kind} '{moment:%Y-%m-%d %H:%M:%S.%f}{zone}'"


def with_views(sql: str, views: Mapping[str, str]) -> str:
    """The SQL with each declared table's name (`silver.orders`) and `{input}` replaced by its view's name.

    A table without an alias keeps the last part of its name as one, so that `orders.amount` still resolves (unless two
    tables end alike); `silver.orders.amount`, `silver.orders.*` and `{input}.amount` resolve too.
    """
    pieces = tokens(sql)
    named = [_table(token, views) for token in pieces]
    aliases = _aliases({table: views[table] for table, columns in filter(None, named) if not columns})
    out: list[str] = []
    for position, (token, found) in enumerate(zip(pieces, named, strict=True)):
        if found is None:
            out.append(token.text)
            continue
        table, columns = found
        alias = _quoted(aliases.get(table, table.rsplit(".", 1)[-1]))
        if columns or _following(pieces, position) == ".":
            out.append(".".join((alias, *map(_quoted, columns))))
        else:
            out.append(views[table] + ("" if _has_alias(pieces, position) else f" AS {alias}"))
    return "".join(out)


def _table(token: Token, views: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """The declared table that a piece names, and the path of columns behind it."""
    if token.kind == "input":
        return ("input", []) if "input" in views else None
    parts = _parts(token.text) if token.kind == "name" else []
    table = ".".join(parts[:2])
    return (table, parts[2:]) if len(parts) > 1 and table in views and "." not in parts[0] + parts[1] else None


def _aliases(views: Mapping[str, str]) -> dict[str, str]:
    """What a table is called that the query gives no alias: the last part of its name, its view where two end alike."""
    last = {name: name.rsplit(".", 1)[-1] for name in views}
    endings = list(last.values())
    return {name: ending if endings.count(ending) == 1 else views[name] for name, ending in last.items()}


def bare(sql: str) -> str:
    """The SQL without blanks and comments: two conditions that say the same in the same words are equal so."""
    return "".join(token.text for token in tokens(sql) if token.kind != "skip")


def text_literal(value: str) -> str:
    """The text as a literal of Spark's SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _parts(name: str) -> list[str]:
    """A dotted name's parts, unquoted: `a.b` between one pair of backquotes is one part."""
    return [part[1:-1].replace("``", "`") if part[0] == "`" else part for part in _PART.findall(name)]


def _quoted(part: str) -> str:
    return "`" + part.replace("`", "``") + "`"


def _following(pieces: list[Token], position: int) -> str:
    return pieces[position + 1].text if position + 1 < len(pieces) else ""


def _has_alias(pieces: list[Token], position: int) -> bool:
    following = next((token for token in pieces[position + 1 :] if token.kind != "skip"), None)
    return following is not None and following.kind == "name" and following.text.lower() not in _AFTER_TABLE
