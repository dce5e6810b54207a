"""What a rule on a whole batch measures in the pass that reads it, and how the figure is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import Column

Number = int | float


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a batch: `broken` tells what is wrong, None where it holds.

    `value` is the figure and `limit` what it was held against, as they are kept with the results; `profile` (JSON's
    values) is what later runs are compared with; `note` goes into the run record.
    """

    value: Any
    limit: str = ""
    broken: str | None = None
    profile: Any = None
    note: str | None = None


@dataclass(frozen=True)
class Measure:
    """Aggregates over the batch's rows, by name, and the judge of what they came to.

    `total`: working them out can never raise, so that the pass that writes may do it. `table` is an input whose
    `table_aggregates` the judge gets beside the batch's; no name may be in both.
    """

    aggregates: Mapping[str, Column]
    judge: Callable[[Mapping[str, Any]], Verdict]
    total: bool = False
    table: str | None = None
    table_aggregates: Mapping[str, Column] = field(default_factory=dict)


def within(what: str, value: Any, least: Number | None, greatest: Number | None) -> Verdict:
    """The verdict on a figure with bounds, inclusive, of which None is open; a figure that is NULL breaks none.

    Raises ValueError where there is no bound at all.
    """
    limit = bounds(least, greatest)
    low = value is not None and least is not None and not value >= least  # so that NaN is out of bounds
    high = value is not None and greatest is not None and not value <= greatest
    return Verdict(value, limit, f"{what} is {value}, asked is {limit}" if low or high else None)


def bounds(least: Number | None, greatest: Number | None) -> str:
    """The bounds in words; raises ValueError where there is none."""
    if least is None and greatest is None:
        raise ValueError("it needs 'min' or 'max'")
    if least is not None and greatest is not None and least > greatest:
        raise ValueError(f"'min' {least} is greater than 'max' {greatest}")
    return " and ".join(
        f"{word} {bound}" for word, bound in (("at least", least), ("at most", greatest)) if bound is not None
    )
