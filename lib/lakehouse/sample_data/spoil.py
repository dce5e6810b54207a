"""Dirt applied: which line gets which kind, and what each kind does to a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.sample_data.dirt import dirt_of, dirty_lines
from lakehouse.sample_data.draws import Ints, Mask, ranks
from lakehouse.sample_data.text import Columns, appended, csv_lines, joined, timestamps

Codes = NDArray[np.int8]
"""A line's kind of dirt: its place in `dirt_of(feed)`, or CLEAN."""

Spoil = Callable[[pa.Array], pa.Array]
"""The dirty values for some clean ones."""

CLEAN = -1
FAR_FUTURE = "2099-12-31T23:59:59Z"
NO_CUSTOMER, NO_PRODUCT, NO_CAMPAIGN = "999000001", "990001", "cmp-99"
# quoted, as the comma asks for in CSV and text in JSON
_NOT_NUMBERS = ('"12,50"', '"abc"', '"N/A"')
_KEPT_FIELDS = 3
_KEPT_CHARACTERS = 70


def codes(feed: str, key: int, index: Ints, size: int, at_least: int = 1) -> Codes:
    """Each line's kind, for lines `index` of a group of `size`: the table's rates exactly, and `at_least` one of each kind."""
    edges = np.cumsum(dirty_lines(feed, size, at_least))
    places = np.searchsorted(edges, ranks(key, index, size), side="right").astype(np.int8)
    places[places == len(edges)] = CLEAN
    return places


def code_of(feed: str, kind: str) -> int:
    """The kind's code."""
    return [dirt.kind for dirt in dirt_of(feed)].index(kind)


def codes_where(feed: str, *, added: bool | None = None, refused: bool | None = None) -> list[int]:
    """The codes of the kinds that are of this sort."""
    return [
        code
        for code, dirt in enumerate(dirt_of(feed))
        if added in (None, dirt.added) and refused in (None, dirt.refused)
    ]


def spoiled(
    feed: str, columns: Columns, kinds: Codes, spoils: Mapping[str, Mapping[str, Spoil]]
) -> tuple[Columns, Codes]:
    """The columns with their dirt in place, and each line's kind; kinds that add a line have put theirs at the end.

    `spoils` says by kind and column what happens; kinds that work on whole lines are left to `broken_csv` and `broken_json`.
    """
    copies = np.flatnonzero(np.isin(kinds, codes_where(feed, added=True)))
    everything = appended(columns, copies) if len(copies) else dict(columns)
    kinds = np.concatenate([kinds, kinds[copies]])
    kinds[copies] = CLEAN  # the line itself stays as it was
    for kind, changes in spoils.items():
        mask = kinds == code_of(feed, kind)
        for column, spoil in changes.items() if mask.any() else ():
            everything[column] = _replaced(everything[column], mask, spoil)
    return everything, kinds


def broken_csv(feed: str, columns: Columns, kinds: Codes) -> pa.Array:
    """The CSV lines, those of kind `too_few_fields` and `too_many_fields` broken."""
    few = kinds == code_of(feed, "too_few_fields")
    start = csv_lines({name: columns[name].filter(pa.array(few)) for name in list(columns)[:_KEPT_FIELDS]})
    lines = pc.replace_with_mask(csv_lines(columns), pa.array(few), start)
    return _replaced(lines, kinds == code_of(feed, "too_many_fields"), lambda whole: joined(whole, ",?,?"))


def broken_json(feed: str, lines: pa.Array, kinds: Codes) -> pa.Array:
    """The JSON lines, those of kind `broken_line` cut off in the middle."""
    broken = kinds == code_of(feed, "broken_line")
    return _replaced(lines, broken, lambda whole: pc.utf8_slice_codeunits(whole, 0, _KEPT_CHARACTERS))


def _replaced(column: pa.Array, mask: Mask, spoil: Spoil) -> pa.Array:
    where = pa.array(mask)
    return pc.replace_with_mask(column, where, spoil(column.filter(where)))


def constant(value: object) -> Spoil:
    """Always the same value."""
    return lambda clean: pa.repeat(pa.scalar(value, clean.type), len(clean))


def missing(clean: pa.Array) -> pa.Array:
    """NULL: an empty field in CSV."""
    return pa.nulls(len(clean), clean.type)


def in_blanks(clean: pa.Array) -> pa.Array:
    """With blanks before and after."""
    return joined("  ", clean, " ")


def in_capitals(clean: pa.Array) -> pa.Array:
    """In capitals."""
    return pc.utf8_upper(clean)


def negative(clean: pa.Array) -> pa.Array:
    """A number in text, below zero."""
    return joined("-", clean)


def not_a_number(clean: pa.Array) -> pa.Array:
    """What people type instead of a number, each in turn; which comes first depends on the number that was there."""
    turn = int(pc.sum(pc.binary_length(clean)).as_py() or 0)
    return pa.array([_NOT_NUMBERS[(turn + place) % 3] for place in range(3)]).take(pa.array(np.arange(len(clean)) % 3))


def european(clean: pa.Array) -> pa.Array:
    """An ISO date or time as DD/MM/YYYY or DD/MM/YYYY HH:MM."""
    cut = partial(pc.utf8_slice_codeunits, clean)
    date = joined(cut(8, 10), "/", cut(5, 7), "/", cut(0, 4))
    return pc.utf8_rtrim_whitespace(joined(date, " ", cut(11, 16)))


def shifted(seconds: int) -> Spoil:
    """A time in text so many seconds later."""
    return lambda clean: timestamps(clean.cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_numpy() + seconds)


def of_no_order(clean: pa.Array) -> pa.Array:
    """An order's or payment's id a hundred years before its time: none has it, and no two days have the same."""
    return pc.binary_replace_slice(clean, 1, 3, "19")


def more(clean: pa.Array) -> pa.Array:
    """A number in text with a 1 before it: 2.50 becomes 12.50."""
    return joined("1", clean)
