"""What a rule is in Great Expectations: one function a rule, each with the reason where there is no such thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from typing import Any

from lakehouse.frames import quoted
from lakehouse.sql_text import text_literal
from lakehouse.suites.spark_sql import listed, literal

Options = Mapping[str, Any]

QUERY, QUERY_START = "unexpected_rows_expectation", "SELECT * FROM {batch} WHERE "
FLOATS = frozenset({"float", "real", "double"})
WHOLE = frozenset({"tinyint", "byte", "smallint", "short", "int", "integer", "bigint", "long"})
NUMBERS = FLOATS | WHOLE | {"decimal", "dec", "numeric"}
_EXACT = 2**53  # Great Expectations keeps bounds as doubles
_NAN = "typeof({0}) IN ('double', 'float') AND CAST({0} AS STRING) = 'NaN'"
NOT_NAN = "NOT ({0} <=> double('NaN'))"
"""The rows that a range without upper end asks, where NaN is to pass it as Great Expectations lets it."""
_AGGREGATE = re.compile(r"\s*(\w+)\s*\(\s*(\w+|`[^`]+`)\s*\)\s*", re.IGNORECASE)
AGGREGATES = {
    "max": "expect_column_max_to_be_between",
    "min": "expect_column_min_to_be_between",
    "avg": "expect_column_mean_to_be_between",
    "sum": "expect_column_sum_to_be_between",
    "stddev": "expect_column_stdev_to_be_between",
    "median": "expect_column_median_to_be_between",
}
_SOLID = r"(?U)\S"
_ISO_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\z"
_SAME = {"mean": "avg", "std": "stddev", "stddev_samp": "stddev"}


@dataclass(frozen=True)
class Mapped:
    """An expectation's name and arguments; or a condition in SQL that the broken rows, and no others, fulfil."""

    type: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    broken: str | None = None


@dataclass(frozen=True)
class Asked:
    """A rule's options, and the type of each column where a contract or schema says it."""

    options: Options
    types: Mapping[str, str]
    pattern: str | None = None
    nan_passes: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.options[name]

    def get(self, name: str) -> Any:
        """An option, None where it is not set."""
        return self.options.get(name)

    @property
    def column(self) -> str:
        """The rule's only column."""
        return str(self.options["column"])

    @property
    def kind(self) -> str | None:
        """The type of the rule's only column, without its parameters; None where nobody says it."""
        said = self.types.get(self.column.lower())
        kind = re.split(r"[\s(<]", said.strip().lower(), maxsplit=1)[0] if said else None
        return "string" if kind in ("char", "varchar") else kind


def mapped(rule: str, asked: Asked) -> Mapped:
    """The rule in Great Expectations; raises ValueError with the reason where it has none that means the same."""
    if asked.pattern is not None:
        return _matching(asked.column, asked.pattern)
    known = _RULES.get(rule)
    if known is None:
        raise ValueError(_NONE.get(rule, "Great Expectations has nothing like it"))
    return known(asked)


def _query(broken: str) -> Mapped:
    return Mapped(QUERY, {}, broken)


def _matching(column: str, pattern: str) -> Mapped:
    return Mapped("expect_column_values_to_match_regex", {"column": column, "regex": pattern})


def _bounds(least: Any, greatest: Any) -> dict[str, Any]:
    """Both ends, of which an open one is left out."""
    ends = {"min_value": least, "max_value": greatest}
    return {name: bound for name, bound in ends.items() if bound is not None}


def _not_null(asked: Asked) -> Mapped:
    return Mapped("expect_column_values_to_not_be_null", {"column": asked.column})


def _accepted_values(asked: Asked) -> Mapped:
    values = asked["values"]
    texts = [str(item).lower() if isinstance(item, bool) else str(item) for item in values]
    kinds = {int if type(item) is float else type(item) for item in values}
    if texts != values and len(kinds) > 1:
        return _query(f"NOT CAST({quoted(asked.column)} AS STRING) IN {listed(texts)}")
    if texts != values and asked.kind is None:
        raise ValueError("whether '01' is 1 depends on the column's type, and no contract or schema says it")
    among = texts if asked.kind == "string" else values
    return Mapped("expect_column_values_to_be_in_set", {"column": asked.column, "value_set": list(among)})


def _in_range(asked: Asked) -> Mapped:
    least, greatest = asked.get("min"), asked.get("max")
    given = [bound for bound in (least, greatest) if bound is not None]
    if given and all(_is_exact(bound, asked.kind) for bound in given) and not _takes_nan(asked):
        return Mapped("expect_column_values_to_be_between", {"column": asked.column, **_bounds(least, greatest)})
    name, as_double = quoted(asked.column), asked.kind == "string"
    ends = [f"{name} {sign} {literal(bound, double=as_double)}"
            for sign, bound in ((">=", least), ("<=", greatest)) if bound is not None]  # fmt: skip
    outside = [f"NOT ({' AND '.join(ends)})"] if ends else []
    return _query(" OR ".join([*outside, *([_NAN.format(name)] if _takes_nan(asked) else [])]))


def _is_exact(bound: Any, kind: str | None) -> bool:
    """True where Great Expectations, which makes numbers doubles and texts dates, compares the same way."""
    if isinstance(bound, str):
        return kind in ("date", "timestamp") and re.fullmatch(r"\d{4}-\d\d-\d\d", bound) is not None and _is_day(bound)
    return (kind is None or kind in NUMBERS) and abs(bound) < _EXACT


def _is_day(said: str) -> bool:
    try:
        date.fromisoformat(said)
    except ValueError:
        return False
    return True


def _takes_nan(asked: Asked) -> bool:
    """True where NaN, the greatest of all numbers, may be there: Great Expectations lets it pass a range without upper end."""
    return asked.get("max") is None and not asked.nan_passes and (asked.kind is None or asked.kind in FLOATS)


def _matches(asked: Asked) -> Mapped:
    return _matching(asked.column, asked["pattern"])


def _length(asked: Asked) -> Mapped:
    kwargs = {"column": asked.column, **_bounds(asked.get("min") or 0, asked.get("max"))}
    return Mapped("expect_column_value_lengths_to_be_between", kwargs)


def _expr(asked: Asked) -> Mapped:
    sql = asked["sql"]
    return _query(f"NOT ({sql}\n)" if "--" in sql else f"NOT ({sql})")


def _starts_with(asked: Asked) -> Mapped:
    prefixes = "|".join(re.sub(r"([^A-Za-z0-9\s])", r"\\\1", prefix) for prefix in asked["prefix"])
    return _matching(asked.column, f"^(?:{prefixes})")


def _no_outer_blanks(asked: Asked) -> Mapped:
    return Mapped("expect_column_values_to_not_match_regex", {"column": asked.column, "regex": r"(?U)^\s|\s\z"})


def _not_blank(asked: Asked) -> Mapped:
    return _query(f"NOT coalesce({quoted(asked.column)} RLIKE {text_literal(_SOLID)}, false)")


def _iso_date(asked: Asked) -> Mapped:
    text = f"CAST({quoted(asked.column)} AS STRING)"
    is_day = f"{text} RLIKE {text_literal(_ISO_DAY)} AND try_cast({text} AS DATE) IS NOT NULL"
    return _query(f"{text} IS NOT NULL AND NOT ({is_day})")


def _columns_equal(asked: Asked) -> Mapped:
    columns, tolerance = asked["columns"], asked.get("tolerance")
    if len(columns) == 2 and tolerance is None:
        return _pair("expect_column_pair_values_to_be_equal", columns[0], columns[1])
    alike = "{0} = {1}" if tolerance is None else f"abs({{0}} - {{1}}) <= {literal(tolerance)}"
    return _query(_any_pair_breaks(columns, alike))


def _columns_ordered(asked: Asked) -> Mapped:
    columns, strict = asked["columns"], bool(asked.get("strict"))
    if len(columns) == 2:
        name = "expect_column_pair_values_a_to_be_greater_than_b"
        return _pair(name, columns[1], columns[0], or_equal=not strict)
    return _query(_any_pair_breaks(columns, "{0} < {1}" if strict else "{0} <= {1}"))


def _pair(name: str, one: str, other: str, **kwargs: Any) -> Mapped:
    return Mapped(name, {"column_A": one, "column_B": other, **kwargs, "ignore_row_if": "either_value_is_missing"})


def _any_pair_breaks(columns: list[str], holds: str) -> str:
    pairs = combinations(map(quoted, columns), 2)
    return " OR ".join(f"NOT coalesce({holds.format(*pair)}, true)" for pair in pairs)


def _sum_of_columns(asked: Asked) -> Mapped:
    total, tolerance = " + ".join(map(quoted, asked["columns"])), literal(asked.get("tolerance") or 0)
    return _query(f"NOT (abs({total} - {quoted(asked['other'])}) <= {tolerance})")


def _one_of_columns_set(asked: Asked) -> Mapped:
    there = " + ".join(f"if({quoted(name)} IS NULL, 0, 1)" for name in asked["columns"])
    return _query(f"NOT ({there} {'= 1' if asked.get('exactly_one') else '>= 1'})")


def _unique(asked: Asked) -> Mapped:
    columns = list(asked["columns"])
    if len(columns) == 1:
        return Mapped("expect_column_values_to_be_unique", {"column": columns[0]})
    kwargs = {"column_list": columns, "ignore_row_if": "any_value_is_missing"}
    return Mapped("expect_compound_columns_to_be_unique", kwargs)


def _row_count(asked: Asked) -> Mapped:
    return Mapped("expect_table_row_count_to_be_between", _bounds(asked.get("min"), asked.get("max")))


def _distinct_count(asked: Asked) -> Mapped:
    columns = asked.get("columns") or [asked.get("column")]
    if len(columns) > 1:
        raise ValueError("Great Expectations counts the different values of one column only")
    kwargs = {"column": columns[0], **_bounds(asked.get("min"), asked.get("max"))}
    return Mapped("expect_column_unique_value_count_to_be_between", kwargs)


def _aggregate(asked: Asked) -> Mapped:
    found = _AGGREGATE.fullmatch(asked["sql"])
    function = _SAME.get(found[1].lower(), found[1].lower()) if found else ""
    if found is None or function not in AGGREGATES or asked.get("table"):
        raise ValueError(f"Great Expectations has only {', '.join(AGGREGATES)} of one column of the batch")
    column = found[2].strip("`")
    kind = re.split(r"[\s(<]", asked.types.get(column.lower(), ""), maxsplit=1)[0].lower()
    if function == "median" and (not kind or kind in FLOATS):
        raise ValueError("of a column of doubles Great Expectations leaves NaN out of the median")
    return Mapped(AGGREGATES[function], {"column": column, **_bounds(asked.get("min"), asked.get("max"))})


def _completeness(asked: Asked) -> Mapped:
    return Mapped("expect_column_values_to_not_be_null", {"column": asked.column, "mostly": asked["min"]})


_RULES: dict[str, Callable[[Asked], Mapped]] = {
    "not_null": _not_null,
    "accepted_values": _accepted_values,
    "in_range": _in_range,
    "matches": _matches,
    "length": _length,
    "expr": _expr,
    "starts_with": _starts_with,
    "no_outer_blanks": _no_outer_blanks,
    "not_blank": _not_blank,
    "iso_date": _iso_date,
    "columns_equal": _columns_equal,
    "columns_ordered": _columns_ordered,
    "sum_of_columns": _sum_of_columns,
    "one_of_columns_set": _one_of_columns_set,
    "unique": _unique,
    "row_count": _row_count,
    "distinct_count": _distinct_count,
    "aggregate": _aggregate,
    "completeness": _completeness,
}
_CLOCK = "it asks for the run's start, and a suite is judged at any time"
_NONE = {
    "not_in_future": _CLOCK,
    "freshness": _CLOCK,
    "valid_json": "Great Expectations takes NaN and keys that are there twice for JSON",
    "foreign_key": "it looks into another table",
    "reconcile": "it looks into other tables",
    "drift": "it compares with earlier runs",
    "outliers": "Great Expectations counts by other formulas",
}
