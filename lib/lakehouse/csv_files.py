"""CSV files read by the header of each: columns matched by name, a broken record kept as its raw text."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lakehouse.errors import UnreadableFile
from lakehouse.frames import FILE, MALFORMED, col, exactly, file_name
from lakehouse.storage import read_part

_HEADER_BYTES = 1 << 18
_TAIL_BYTES, _COMPARED = 1 << 14, 200
_OPEN: dict[str, Callable[[bytes], io.BufferedIOBase]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=io.BytesIO(raw)),
    ".bz2": lambda raw: bz2.BZ2File(io.BytesIO(raw)),
}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# A quote in a quoted field is doubled, and a field may hold line breaks (RFC 4180).
_CSV = {"header": "true", "multiLine": "true", "escape": '"', "mode": "PERMISSIVE"}


def read_csv(
    spark: SparkSession, paths: Sequence[str], base: Mapping[str, str], options: Mapping[str, str]
) -> DataFrame:
    """Every file's rows as text, columns matched by each file's own header; files of one header are read at once.

    Adds MALFORMED: the raw text of a record with too few or too many fields, whose columns are then all NULL.
    """
    chosen = {**_CSV, **base, **options}
    with ThreadPoolExecutor(16) as pool:
        looks = list(pool.map(lambda path: _look(path, chosen), paths))
    layouts: dict[tuple[str, ...], dict[str, str | None]] = {}
    for path, (header, unclosed) in zip(paths, looks, strict=True):
        if header is not None:
            layouts.setdefault(header, {})[path] = unclosed
    frames = [_read_layout(spark, files, names, chosen) for names, files in sorted(layouts.items())]
    if not frames:
        return spark.createDataFrame([], f"{FILE} string, {MALFORMED} string")
    return reduce(lambda rows, more: rows.unionByName(more, allowMissingColumns=True), frames)


def _read_layout(
    spark: SparkSession, files: Mapping[str, str | None], names: Sequence[str], options: Mapping[str, str]
) -> DataFrame:
    texts = StructType([StructField(name, StringType()) for name in (*names, MALFORMED)])
    reader = spark.read.schema(texts).options(**options).option("columnNameOfCorruptRecord", MALFORMED)
    rows = reader.csv(exactly(files))
    # a record of the wrong length has its values in the wrong columns
    whole = {name: F.when(col(MALFORMED).isNull(), col(name)) for name in names}
    # Spark refuses to read the broken records alone: this never holds, and Spark cannot know
    malformed = F.when(F.length(col(names[0])) < 0, col(names[0])).otherwise(col(MALFORMED))
    found = rows.select("*", file_name())
    unclosed = {path: end for path, end in files.items() if end is not None}
    if not unclosed:
        return found.withColumns({**whole, MALFORMED: malformed})
    swallowed = _swallowed(names[-1], unclosed)
    record = F.concat_ws(_separator(options), *map(col, names))
    kept = {name: F.when(~swallowed, value) for name, value in whole.items()}
    return found.withColumns({**kept, MALFORMED: F.when(swallowed, record).otherwise(malformed)})


def _swallowed(last: str, unclosed: Mapping[str, str]) -> Column:
    """True for a record whose last field runs from an open quote to the end of its file: RFC 4180 gives no sign of it.

    `unclosed` has the text behind each file's last quote. A value that was closed cannot end with it.
    """
    ends = F.from_json(F.lit(json.dumps(unclosed)), "map<string,string>")[col(FILE)]
    return F.coalesce(col(last).rlike("[\n\r]") & col(last).endswith(ends), F.lit(False))


def _look(path: str, options: Mapping[str, str]) -> tuple[tuple[str, ...] | None, str | None]:
    """A file's header, and what stands behind its last quote; a small file is read once for both."""
    try:
        start = read_part(path, _HEADER_BYTES)
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from error
    header = _header(path, start, options)
    if header is None or path.endswith(tuple(_OPEN)):  # the end of a packed file is not looked at
        return header, None
    is_whole = len(start) < _HEADER_BYTES
    return header, _unclosed(start[-_TAIL_BYTES:] if is_whole else read_part(path, _TAIL_BYTES, last=True), options)


def _unclosed(tail: bytes, options: Mapping[str, str]) -> str | None:
    """What stands behind a file's last quote, where a quote may have been left open; None where none was."""
    text = tail.decode(_encoding(options), errors="replace")
    _, found, end = text.rpartition(options.get("quote", '"'))
    if (found and not end.strip("\r\n")) or (not found and len(text) < _TAIL_BYTES):
        return None  # the quote is the last thing in the file, or there is none
    return end[-_COMPARED:] if found else text[-_COMPARED:]


def _encoding(options: Mapping[str, str]) -> str:
    return options.get("encoding", options.get("charset", "utf-8"))


def _separator(options: Mapping[str, str]) -> str:
    separator = options.get("sep", options.get("delimiter", ","))
    return "\t" if separator == "\\t" else separator


def _header(path: str, raw: bytes, options: Mapping[str, str]) -> tuple[str, ...] | None:
    """A CSV file's column names; None for a file without a line."""
    suffix = next((ending for ending in _OPEN if path.endswith(ending)), None)
    if raw.startswith(_UTF_16) and "16" not in _encoding(options):
        raise UnreadableFile(path, "it is UTF-16; set options: {encoding: UTF-16} for files like this one")
    try:
        plain = _OPEN[suffix](raw).read1(_HEADER_BYTES) if suffix else raw
        encoding = _encoding(options)
        text = plain.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding, errors="replace")
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=_separator(options), quotechar=options.get("quote", '"')
        )
        first = next((row for row in reader if any(cell.strip() for cell in row)), None)
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeError) as error:
        raise UnreadableFile(path, f"its header: {error}") from error
    except (LookupError, TypeError) as error:
        raise ValueError(f"options: {error}") from error
    if first is None:
        return None
    if str(options.get("header", "true")).lower() != "true":
        return tuple(f"_c{index}" for index, _ in enumerate(first))
    return _distinct([name.strip() or f"_c{index}" for index, name in enumerate(first)])


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The names with a number behind each repeat: a table has no two columns of one name."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name.lower()] = seen.get(name.lower(), 0) + 1
        out.append(name if seen[name.lower()] == 1 else f"{name}_{seen[name.lower()]}")
    return tuple(out)
