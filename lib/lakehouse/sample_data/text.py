"""Arrow columns as the text of a landing file: numbers, money, times, CSV and JSON lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.sample_data.draws import Ints

Columns = dict[str, pa.Array]
"""A feed's columns by name, all of one length; text in the form in which it stands in the file."""


def as_text(numbers: Ints) -> pa.Array:
    """Whole numbers."""
    return pa.array(numbers).cast(pa.string())


def padded_text(numbers: Ints, width: int) -> pa.Array:
    """Whole numbers with leading zeros."""
    return pc.utf8_lpad(as_text(numbers), width, "0")


def decimals(cents: Ints, precision: int = 19) -> pa.Array:
    """Cents as decimal(precision, 2)."""
    whole = pa.array(cents).cast(pa.decimal128(19, 0))
    # the same 128 bits read with two places: no arithmetic on decimals
    return pa.Array.from_buffers(pa.decimal128(precision, 2), len(whole), whole.buffers())


def money(cents: Ints) -> pa.Array:
    """Cents as `12.50`."""
    return decimals(cents).cast(pa.string())


def timestamps(seconds: Ints) -> pa.Array:
    """Seconds since 1970 as `2026-01-01T10:20:30Z`."""
    return _iso(pa.array(seconds.view("M8[s]")))


def micro_timestamps(micros: Ints) -> pa.Array:
    """Microseconds since 1970 as `2026-01-01T10:20:30.123456Z`."""
    return _iso(pa.array(micros.view("M8[us]")))


def _iso(times: pa.Array) -> pa.Array:
    spaced = times.cast(pa.string())
    return pc.binary_join_element_wise(pc.binary_replace_slice(spaced, 10, 11, "T"), "Z", "")


def chosen(words: Sequence[str | None], index: Ints) -> pa.Array:
    """`words[i]` for each i."""
    return pa.array(words, pa.string()).take(pa.array(index))


def joined(*parts: pa.Array | str) -> pa.Array:
    """The parts side by side; NULL where one of them is."""
    return pc.binary_join_element_wise(*parts, "")


def csv_lines(columns: Columns) -> pa.Array:
    """A line per row, without its end; NULL is an empty field. Quotes are the columns' own business."""
    return pc.binary_join_element_wise(*columns.values(), ",", null_handling="replace", null_replacement="")


def json_lines(columns: Columns, bare: frozenset[str]) -> pa.Array:
    """A JSON object per row; `bare` columns hold JSON already, the others are strings that need no escape."""
    parts: list[pa.Array | str] = []
    pending = "{"
    for name, column in columns.items():
        quote = '"' if name not in bare and column.null_count == 0 else ""
        parts += [f'{pending}"{name}":{quote}', column if quote else _json_values(column, name in bare)]
        pending = f"{quote},"
    return joined(*parts, pending[:-1] + "}")


def _json_values(column: pa.Array, bare: bool) -> pa.Array:
    return pc.fill_null(column if bare else joined('"', column, '"'), "null")


def file_bytes(lines: pa.Array, header: str = "") -> bytes:
    """The lines as a file's content, each ended by a line feed."""
    ended = joined(lines, "\n")
    start, end = np.frombuffer(ended.buffers()[1], np.int32)[[0, len(ended)]]
    return header.encode() + memoryview(ended.buffers()[2])[start:end].tobytes() if len(ended) else header.encode()


def appended(columns: Mapping[str, pa.Array], rows: Ints) -> Columns:
    """The columns with copies of these rows after them."""
    copies = pa.array(rows)
    return {name: pa.concat_arrays([column, column.take(copies)]) for name, column in columns.items()}


def taken(columns: Mapping[str, pa.Array], rows: Ints) -> Columns:
    """These rows of the columns."""
    places = pa.array(rows)
    return {name: column.take(places) for name, column in columns.items()}
