"""Measures that can be brought up to date without their rows: counts, sums, least and greatest, and what is worked out of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lakehouse.sql_text import Token, tokens

_MERGED = {
    "count": "({old} + {new})",
    "count_if": "({old} + {new})",
    "sum": "coalesce({old} + {new}, {old}, {new})",
    "min": "least({old}, {new})",
    "max": "greatest({old}, {new})",
}
_MEANS = ("avg", "mean")
# what may stand around aggregates: the same for the same values
_AROUND = frozenset(
    [
        *(
            "abs",
            "bround",
            "ceil",
            "ceiling",
            "coalesce",
            "floor",
            "greatest",
            "if",
            "ifnull",
            "least",
            "nullif",
            "nvl",
        ),
        *("round", "sqrt", "try_add", "try_divide", "try_multiply", "try_subtract"),
        *("and", "or", "not", "case", "when", "then", "else", "end", "is", "null", "true", "false"),
    ]
)


@dataclass(frozen=True)
class _Call:
    """An aggregate in a measure: which pieces of it are the call, the function, and its arguments with their FILTER."""

    first: int
    last: int
    function: str
    asked: str


def merged_measures(measures: Mapping[str, str], quote: str = "`") -> dict[str, str]:
    """Each measure as SQL over the finished row (`target`) and that of the rows to be added (`source`).

    Raises ValueError naming the first measure that cannot be had so.
    """
    calls = {name: list(_calls(tokens(sql))) for name, sql in measures.items()}
    known: dict[tuple[str, str], str] = {}
    for name, found in calls.items():
        whole = [index for index, token in enumerate(tokens(measures[name])) if token.kind != "skip"]
        if (
            len(found) == 1
            and [found[0].first, found[0].last] == [whole[0], whole[-1]]
            and found[0].function in _MERGED
        ):
            column = quote + name + quote
            merged = _MERGED[found[0].function].format(old=f"target.{column}", new=f"source.{column}")
            known.setdefault((found[0].function, found[0].asked), merged)
    return {name: _rewritten(name, tokens(sql), calls[name], known) for name, sql in measures.items()}


def _calls(pieces: list[Token]) -> Iterator[_Call]:
    """The aggregates that are known here, none of them within another one."""
    index = 0
    while index < len(pieces):
        function = pieces[index].text.lower()
        start = _next(pieces, index)
        if pieces[index].kind == "name" and function in (*_MERGED, *_MEANS) and _text(pieces, start) == "(":
            last = _closing(pieces, start)
            condition = _next(pieces, last)
            if _text(pieces, condition) == "filter":
                last = _closing(pieces, _next(pieces, condition))
            yield _Call(index, last, function, _plain(pieces[start : last + 1]))
            index = last
        index += 1


def _rewritten(name: str, pieces: list[Token], calls: list[_Call], known: Mapping[tuple[str, str], str]) -> str:
    """The measure with each aggregate in it as the merged one."""
    out, index = [], 0
    by_start = {call.first: call for call in calls}
    while index < len(pieces):
        call, token = by_start.get(index), pieces[index]
        if call is not None:
            out.append(_merged(name, call, known))
            index = call.last
        elif token.kind == "name" and token.text.lower() not in _AROUND:
            raise ValueError(f"measure '{name}': {token.text} cannot be brought up to date without the window's rows")
        else:
            out.append(token.text)
        index += 1
    return "".join(out)


def _merged(name: str, call: _Call, known: Mapping[tuple[str, str], str]) -> str:
    if call.asked.lstrip("( ").startswith("distinct"):
        raise ValueError(f"measure '{name}': {call.function}{call.asked} needs the window's rows again")
    parts = ("sum", "count") if call.function in _MEANS else (call.function,)
    missing = [part for part in parts if (part, call.asked) not in known]
    if missing:
        wanted = " and ".join(f"{part}{call.asked}" for part in missing)
        raise ValueError(
            f"measure '{name}' is worked out of {wanted}: add a measure for each, so that the table keeps it"
        )
    found = [known[part, call.asked] for part in parts]
    return f"try_divide({', '.join(found)})" if len(found) == 2 else found[0]


def _plain(pieces: list[Token]) -> str:
    """The text so that the same is written the same: no blanks, names in lower case."""
    words = [token.text if token.kind == "string" else token.text.lower() for token in pieces if token.kind != "skip"]
    text = ""
    for word in words:
        apart = text and (text[-1].isalnum() or text[-1] in "_`'\"") and (word[0].isalnum() or word[0] in "_`'\"")
        text += f" {word}" if apart else word
    return text


def _next(pieces: list[Token], index: int) -> int:
    """The next piece that says something; past the last one where there is none."""
    index += 1
    while index < len(pieces) and pieces[index].kind == "skip":
        index += 1
    return index


def _text(pieces: list[Token], index: int) -> str:
    return pieces[index].text.lower() if index < len(pieces) else ""


def _closing(pieces: list[Token], start: int) -> int:
    """Where the parenthesis closes that opens at `start`."""
    depth = 0
    for index in range(start, len(pieces)):
        depth += (_text(pieces, index) == "(") - (_text(pieces, index) == ")")
        if depth == 0:
            return index
    return len(pieces) - 1
