"""What each expectation of Great Expectations is here: one function an expectation, or the reason why there is no rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lakehouse.config.suite import Expectation
from lakehouse.frames import quoted
from lakehouse.sql_text import text_literal, tokens
from lakehouse.suites.mapping import AGGREGATES, NOT_NAN, QUERY, QUERY_START
from lakehouse.suites.spark_sql import listed, literal

Kwargs = Mapping[str, Any]
Found = tuple[str, dict[str, Any], str | None]
"""A rule's name, its options, and the condition under which it asks a row."""

_MORE_THAN_A_CONDITION = frozenset({"select", "group", "having", "order", "limit", "union", "except", "intersect", "window",
                                    "offset", "qualify", "lateral", "cluster", "distribute", "sort", "minus"})  # fmt: skip


def rule_of(item: Expectation, mostly: float) -> Found:
    """The rule that breaks for the same rows, or for the same batches; raises ValueError where there is none."""
    if mostly < 1:
        return _mostly(item, mostly)
    known = _RULES.get(item.type)
    if known is None:
        raise ValueError(_reason(item.type))
    return known(item.kwargs)


def _mostly(item: Expectation, mostly: float) -> Found:
    """The share of the rows with a value for which the expectation holds, as a rule on the whole batch."""
    if item.type == "expect_column_values_to_not_be_null":
        return "completeness", {"column": item.kwargs["column"], "min": mostly}, None
    known = _CONDITIONS.get(item.type)
    if known is None:
        raise ValueError(f"no rule holds for a share of the rows only ('mostly': {mostly:g})")
    name = quoted(item.kwargs["column"])
    share = f"avg(if({known(item.kwargs)}, 1, 0)) FILTER (WHERE {name} IS NOT NULL)"
    return "aggregate", {"sql": share, "min": mostly}, None


def _reason(name: str) -> str:
    if name.startswith(("expect_column_to_exist", "expect_table_column")) or name.endswith(
        ("_of_type", "_in_type_list")
    ):
        return "which columns there are, and their types, are the contract's or the schema's business"
    if "like_pattern" in name:
        return "Great Expectations has it for SQL databases, not for Spark"
    return "no rule means the same"


def _in_set(kwargs: Kwargs) -> Found:
    return "accepted_values", {"column": kwargs["column"], "values": _values(kwargs)}, None


def _values(kwargs: Kwargs) -> list[Any]:
    values = kwargs.get("value_set")
    if not isinstance(values, list) or not values:
        raise ValueError("it has no list of values")
    if len({int if type(item) is float else type(item) for item in values}) > 1 or not all(
        isinstance(item, str | int | float) for item in values
    ):
        raise ValueError("its values are of several types, or of none that YAML has")
    return values


def _between(kwargs: Kwargs) -> Found:
    least, greatest = kwargs.get("min_value"), kwargs.get("max_value")
    if kwargs.get("strict_min") or kwargs.get("strict_max"):
        return "expr", {"sql": _within(kwargs)}, None
    bounds = _bounds(kwargs)
    takes_nan = greatest is None and not isinstance(least, str)
    # NaN is greater than every number: Great Expectations lets it pass, in_range does not
    where = NOT_NAN.format(quoted(kwargs["column"])) if takes_nan else None
    return "in_range", {"column": kwargs["column"], **bounds}, where


def _bounds(kwargs: Kwargs) -> dict[str, Any]:
    if kwargs.get("strict_min") or kwargs.get("strict_max"):
        raise ValueError("its ends do not belong to the range")
    bounds = {"min": kwargs.get("min_value"), "max": kwargs.get("max_value")}
    found = {name: bound for name, bound in bounds.items() if bound is not None}
    if not found:
        raise ValueError("it has neither 'min_value' nor 'max_value'")
    return found


def _numbers(kwargs: Kwargs) -> dict[str, Any]:
    """The bounds of a figure; whole numbers where they are."""
    bounds = _bounds(kwargs)
    if not all(isinstance(bound, int | float) for bound in bounds.values()):
        raise ValueError("only numbers can be held against a range here")
    return {name: int(bound) if float(bound).is_integer() else bound for name, bound in bounds.items()}


def _within(kwargs: Kwargs) -> str:
    name = quoted(kwargs["column"])
    signs = (
        (">" if kwargs.get("strict_min") else ">=", "min_value"),
        ("<" if kwargs.get("strict_max") else "<=", "max_value"),
    )
    ends = [f"{name} {sign} {literal(kwargs[end])}" for sign, end in signs if kwargs.get(end) is not None]
    if not ends:
        raise ValueError("it has neither 'min_value' nor 'max_value'")
    return " AND ".join(ends)


def _column(rule: str) -> Callable[[Kwargs], Found]:
    return lambda kwargs: (rule, {"column": kwargs["column"]}, None)


def _regex(kwargs: Kwargs) -> Found:
    return "matches", {"column": kwargs["column"], "pattern": kwargs["regex"]}, None


def _any_regex(kwargs: Kwargs) -> Found:
    if kwargs.get("match_on", "any") == "any":
        return "matches", {"column": kwargs["column"], "pattern": "|".join(kwargs["regex_list"])}, None
    return "expr", {"sql": _each(kwargs, "")}, None


def _each(kwargs: Kwargs, negation: str) -> str:
    return " AND ".join(
        f"{quoted(kwargs['column'])} {negation}RLIKE {text_literal(regex)}" for regex in kwargs["regex_list"]
    )


def _condition(kwargs: Kwargs, condition: str) -> Found:
    return "expr", {"sql": f"{quoted(kwargs['column'])} {condition}"}, None


def _length(kwargs: Kwargs) -> Found:
    bounds = _numbers(kwargs)
    if not all(isinstance(bound, int) for bound in bounds.values()):
        raise ValueError("a length is a whole number")
    return "length", {"column": kwargs["column"], **bounds}, None


def _one_length(kwargs: Kwargs) -> Found:
    return "length", {"column": kwargs["column"], "min": kwargs["value"], "max": kwargs["value"]}, None


def _pair(kwargs: Kwargs) -> list[str]:
    if kwargs.get("ignore_row_if") != "either_value_is_missing":
        raise ValueError("a NULL in one of the columns passes here; it asks for ignore_row_if: either_value_is_missing")
    return [kwargs["column_A"], kwargs["column_B"]]


def _equal_pair(kwargs: Kwargs) -> Found:
    return "columns_equal", {"columns": _pair(kwargs)}, None


def _greater(kwargs: Kwargs) -> Found:
    strict = {} if kwargs.get("or_equal") else {"strict": True}
    return "columns_ordered", {"columns": _pair(kwargs)[::-1], **strict}, None


def _several(kwargs: Kwargs, rule: str) -> Found:
    columns = list(kwargs["column_list"])
    if kwargs.get("ignore_row_if", "all_values_are_missing") != "any_value_is_missing":
        raise ValueError("a NULL in one of the columns passes here; it asks for ignore_row_if: any_value_is_missing")
    return rule, {"columns": columns}, None


def _equal_columns(kwargs: Kwargs) -> Found:
    if len(kwargs["column_list"]) != 2:
        raise ValueError("of more than two columns a NULL in one leaves the others to be compared here")
    return _several(kwargs, "columns_equal")


def _rows(kwargs: Kwargs) -> Found:
    return "row_count", _numbers(kwargs), None


def _just_rows(kwargs: Kwargs) -> Found:
    return "row_count", {"min": kwargs["value"], "max": kwargs["value"]}, None


def _share_there(kwargs: Kwargs) -> Found:
    bounds = _bounds(kwargs)
    if set(bounds) == {"min"}:
        return "completeness", {"column": kwargs["column"], **bounds}, None
    return "aggregate", {"sql": f"count({quoted(kwargs['column'])}) / count(*)", **bounds}, None


def _distinct(kwargs: Kwargs) -> Found:
    return "distinct_count", {"column": kwargs["column"], **_numbers(kwargs)}, None


def _figure(function: str) -> Callable[[Kwargs], Found]:
    return lambda kwargs: ("aggregate", {"sql": f"{function}({quoted(kwargs['column'])})", **_numbers(kwargs)}, None)


def _query(kwargs: Kwargs) -> Found:
    """A query for broken rows that is no more than a condition on each of them."""
    query = kwargs["unexpected_rows_query"].strip().rstrip(";").strip()
    words = [piece.text for piece in tokens(query) if piece.kind != "skip"]
    start = [piece.text for piece in tokens(QUERY_START) if piece.kind != "skip"]
    if [word.lower() for word in words[: len(start)]] != [word.lower() for word in start]:
        raise ValueError(f"only a query that begins with {QUERY_START.strip()} is a condition on single rows")
    condition = query[query.lower().index("where") + len("where") :].strip()
    if _MORE_THAN_A_CONDITION & {word.lower() for word in words[len(start) :]}:
        raise ValueError("the query does more than name rows by a condition")
    plain = condition.replace("{{", "{").replace("}}", "}")
    return "expr", {"sql": _negated(plain)}, None


def _negated(condition: str) -> str:
    """What holds for the rows that a condition does not name; NULL names none."""
    pieces = tokens(condition)
    solid = [piece.text for piece in pieces if piece.kind != "skip"]
    if solid[:2] == ["NOT", "("] and solid[-1] == ")" and _closes_last(solid[1:]):
        return condition[condition.index("(") + 1 : condition.rindex(")")].strip()
    return f"NOT ({condition}\n)" if "--" in condition else f"NOT ({condition})"


def _closes_last(words: list[str]) -> bool:
    """True where the first bracket closes with the last word."""
    depth = 0
    for position, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if depth == 0:
            return position == len(words) - 1
    return False


_RULES: dict[str, Callable[[Kwargs], Found]] = {
    "expect_column_values_to_not_be_null": _column("not_null"),
    "expect_column_values_to_be_null": lambda kwargs: _condition(kwargs, "IS NULL"),
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_not_be_in_set": lambda kwargs: _condition(kwargs, f"NOT IN {listed(_values(kwargs))}"),
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_values_to_not_match_regex": lambda kwargs: _condition(
        kwargs, f"NOT RLIKE {text_literal(kwargs['regex'])}"
    ),
    "expect_column_values_to_match_regex_list": _any_regex,
    "expect_column_values_to_not_match_regex_list": lambda kwargs: ("expr", {"sql": _each(kwargs, "NOT ")}, None),
    "expect_column_value_lengths_to_be_between": _length,
    "expect_column_value_lengths_to_equal": _one_length,
    "expect_column_values_to_be_unique": lambda kwargs: ("unique", {"columns": [kwargs["column"]]}, None),
    "expect_compound_columns_to_be_unique": lambda kwargs: _several(kwargs, "unique"),
    "expect_column_pair_values_to_be_equal": _equal_pair,
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_multicolumn_values_to_be_equal": _equal_columns,
    "expect_table_row_count_to_be_between": _rows,
    "expect_table_row_count_to_equal": _just_rows,
    "expect_column_proportion_of_non_null_values_to_be_between": _share_there,
    "expect_column_unique_value_count_to_be_between": _distinct,
    **{name: _figure(function) for function, name in AGGREGATES.items()},
    QUERY: _query,
}
_CONDITIONS: dict[str, Callable[[Kwargs], str]] = {
    "expect_column_values_to_be_in_set": lambda kwargs: f"{quoted(kwargs['column'])} IN {listed(_values(kwargs))}",
    "expect_column_values_to_not_be_in_set": lambda kwargs: (
        f"{quoted(kwargs['column'])} NOT IN {listed(_values(kwargs))}"
    ),
    "expect_column_values_to_be_between": _within,
    "expect_column_values_to_match_regex": lambda kwargs: (
        f"{quoted(kwargs['column'])} RLIKE {text_literal(kwargs['regex'])}"
    ),
    "expect_column_values_to_not_match_regex": lambda kwargs: (
        f"NOT {quoted(kwargs['column'])} RLIKE {text_literal(kwargs['regex'])}"
    ),
}
