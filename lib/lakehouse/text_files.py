"""Text files read by what they say themselves: CSV by the header of each file, JSON by the fields of each line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructField, StructType

from lakehouse.errors import DataError
from lakehouse.frames import FILE, HIDDEN_PREFIX, MALFORMED, UNKNOWN, col
from lakehouse.storage import read_part

_HEADER_BYTES = 1 << 18
_TAIL_BYTES, _COMPARED = 1 << 14, 200
_ABSENT = f"{HIDDEN_PREFIX}absent"  # a column that no file has
_LINE, _FIELDS = f"{HIDDEN_PREFIX}line", f"{HIDDEN_PREFIX}fields"
_OPEN: dict[str, Callable[[bytes], io.BufferedIOBase]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=io.BytesIO(raw)),
    ".bz2": lambda raw: bz2.BZ2File(io.BytesIO(raw)),
}
# A quote in a quoted field is doubled, and a field may hold line breaks (RFC 4180).
_CSV = {"header": "true", "multiLine": "true", "escape": '"', "mode": "PERMISSIVE"}


def read_csv(
    spark: SparkSession, paths: Sequence[str], base: Mapping[str, str], options: Mapping[str, str]
) -> DataFrame:
    """Every file's rows as text, columns matched by each file's own header; files of one header are read at once.

    Adds MALFORMED: the raw text of a record with too few or too many fields, whose columns are then all NULL.
    """
    chosen = {**_CSV, **options}
    with ThreadPoolExecutor(16) as pool:
        headers = list(pool.map(lambda path: _header(path, chosen), paths))
        ends = dict(zip(paths, pool.map(lambda path: _unclosed(path, chosen), paths), strict=True))
    layouts: dict[tuple[str, ...], list[str]] = {}
    for path, header in zip(paths, headers, strict=True):
        if header is not None:
            layouts.setdefault(header, []).append(path)
    frames = [
        _read_layout(
            spark, files, names, base, chosen, {file: end for file in files if (end := ends[file]) is not None}
        )
        for names, files in sorted(layouts.items())
    ]
    if not frames:
        return spark.createDataFrame(
            [], StructType([StructField(FILE, StringType()), StructField(MALFORMED, StringType())])
        )
    return reduce(lambda rows, more: rows.unionByName(more, allowMissingColumns=True), frames)


def _read_layout(
    spark: SparkSession, paths: Sequence[str], names: Sequence[str], base: Mapping[str, str], options: Mapping[str, str],
    unclosed: Mapping[str, str],
) -> DataFrame:  # fmt: skip
    texts = StructType([StructField(name, StringType()) for name in (*names, MALFORMED)])
    reader = spark.read.schema(texts).options(**base, **options).option("columnNameOfCorruptRecord", MALFORMED)
    rows = reader.csv(list(paths))
    # a record of the wrong length has its values in the wrong columns
    whole = {name: F.when(col(MALFORMED).isNull(), col(name)) for name in names}
    # Spark refuses to read the broken records alone: this never holds, and Spark cannot know
    malformed = F.when(F.length(col(names[0])) < 0, col(names[0])).otherwise(col(MALFORMED))
    found = rows.select("*", file_name())
    if not unclosed:
        return found.withColumns({**whole, MALFORMED: malformed})
    swallowed = _swallowed(names[-1], unclosed)
    record = F.concat_ws(options.get("sep", options.get("delimiter", ",")), *map(col, names))
    kept = {name: F.when(~swallowed, value) for name, value in whole.items()}
    return found.withColumns({**kept, MALFORMED: F.when(swallowed, record).otherwise(malformed)})


def _swallowed(last: str, unclosed: Mapping[str, str]) -> Column:
    """True for a record whose last field runs from an open quote to the end of its file: RFC 4180 gives no sign of it.

    `unclosed` has the text behind each file's last quote. A value that was closed cannot end with it.
    """
    ends = F.from_json(F.lit(json.dumps(unclosed)), "map<string,string>")[col(FILE)]
    return F.coalesce(col(last).rlike("[\n\r]") & col(last).endswith(ends), F.lit(False))


def _unclosed(path: str, options: Mapping[str, str]) -> str | None:
    """What stands behind a file's last quote, where a quote may have been left open; None where none was, or it is packed."""
    if path.endswith(tuple(_OPEN)):
        return None
    quote, encoding = options.get("quote", '"'), options.get("encoding", options.get("charset", "utf-8"))
    text = read_part(path, _TAIL_BYTES, last=True).decode(encoding, errors="replace")
    _, found, end = text.rpartition(quote)
    if (found and not end.strip("\r\n")) or (not found and len(text) < _TAIL_BYTES):
        return None  # the quote is the last thing in the file, or there is none
    return end[-_COMPARED:] if found else text[-_COMPARED:]


def _header(path: str, options: Mapping[str, str]) -> tuple[str, ...] | None:
    """A CSV file's column names; None for a file without a line."""
    raw = read_part(path, _HEADER_BYTES)
    suffix = next((ending for ending in _OPEN if path.endswith(ending)), None)
    try:
        plain = _OPEN[suffix](raw).read1(_HEADER_BYTES) if suffix else raw
        encoding = options.get("encoding", options.get("charset", "utf-8"))
        text = plain.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding, errors="replace")
        separator = options.get("sep", options.get("delimiter", ","))
        if separator == "\\t":
            separator = "\t"
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=options.get("quote", '"'))
        first = next((row for row in reader if any(cell.strip() for cell in row)), None)
    except (OSError, EOFError, csv.Error, LookupError, TypeError) as error:
        raise DataError(f"{path}: its header cannot be read: {error}") from error
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


def read_json(
    spark: SparkSession,
    paths: Sequence[str],
    base: Mapping[str, str],
    options: Mapping[str, str],
    known: StructType | None,
    *,
    closed: bool,
) -> DataFrame:
    """Every line's object: scalars as text, digit by digit, objects and arrays as such; MALFORMED holds a line that is no object.

    `known` are the columns that exist already; `closed`: a field that is none of them is text, whatever it holds. Of
    two names that differ in case alone one is the column, and what the other holds beside it goes to UNKNOWN.
    """
    how = {**base, "columnNameOfCorruptRecord": MALFORMED, **options}
    partitions = {part.split("=", 1)[0] for path in paths for part in path.split("/") if "=" in part}
    found = _without(_inferred(spark, paths, how), {MALFORMED, *partitions})
    kinds = _unique(_merged(_without(known, partitions), as_plain_text(found) if closed else found))
    twins = {
        f"{HIDDEN_PREFIX}twin_{index}": field.name
        for index, field in enumerate(field for field in found if field.name not in kinds.names)
    }
    if twins:
        rows = _parsed_lines(spark, paths, base, how, kinds, twins)
    else:
        texts = StructType([*kinds, StructField(MALFORMED, StringType()), StructField(_ABSENT, StringType())])
        reader = spark.read.schema(texts).options(mode="PERMISSIVE", **how)
        rows = reader.json(list(paths)).select("*", file_name())
    # Spark refuses to read the broken records alone
    malformed = F.coalesce(col(MALFORMED), col(_ABSENT))
    values = _with_twins(kinds, twins)
    lost = {twin: _beside(col(name), values[_column_of(kinds, twin)]) for name, twin in twins.items()}
    values |= {UNKNOWN: leftovers(lost)} if lost else {}
    whole = [F.when(malformed.isNull(), value).alias(name) for name, value in values.items()]
    others = [col(name) for name in rows.columns if name not in (*kinds.names, *twins, MALFORMED, _ABSENT)]
    return rows.select(*whole, *others, malformed.alias(MALFORMED))


def _inferred(spark: SparkSession, paths: Sequence[str], options: Mapping[str, str]) -> StructType:
    before = str(spark.conf.get("spark.sql.caseSensitive"))
    spark.conf.set("spark.sql.caseSensitive", "true")  # names that differ in case alone stop the inference otherwise
    try:
        return spark.read.options(primitivesAsString="true", **options).json(list(paths)).schema
    finally:
        spark.conf.set("spark.sql.caseSensitive", before)


def _parsed_lines(
    spark: SparkSession, paths: Sequence[str], base: Mapping[str, str], options: Mapping[str, str], kinds: StructType,
    twins: Mapping[str, str],
) -> DataFrame:  # fmt: skip
    """Line by line, where a file has names that differ in case alone: Spark's reader takes no two such columns.

    Here a number is printed as Spark's own: 1.50 is 1.5.
    """
    if str(options.get("multiLine", "false")).lower() == "true":
        raise DataError(
            f"source 'files': names that differ in case alone ({', '.join(twins.values())}) need a line a record"
        )
    lines = spark.read.options(**base).text(list(paths)).select("*", file_name())
    lines = lines.withColumn("value", F.regexp_replace("value", "^\ufeff", "")).where(F.trim("value") != "")
    parsed = StructType([*kinds, StructField(MALFORMED, StringType())])
    rows = lines.withColumns(
        {
            _LINE: F.from_json("value", parsed, {"mode": "PERMISSIVE", **options}),
            _FIELDS: F.from_json("value", "map<string,string>"),
        }
    )
    fields = [col(_LINE).getField(name).alias(name) for name in (*kinds.names, MALFORMED)]
    beside = [col(_FIELDS)[twin].alias(name) for name, twin in twins.items()]
    others = [col(name) for name in lines.columns if name != "value"]
    return rows.select(*fields, *beside, *others, F.lit(None).cast("string").alias(_ABSENT))


def _column_of(kinds: StructType, twin: str) -> str:
    return next(name for name in kinds.names if name.lower() == twin.lower())


def _with_twins(kinds: StructType, twins: Mapping[str, str]) -> dict[str, Column]:
    """Each column, a text one filled from its twins where it is NULL itself."""
    return {
        field.name: F.coalesce(col(field.name), *[
            col(hidden) for hidden, twin in twins.items()
            if twin.lower() == field.name.lower() and isinstance(field.dataType, StringType)
        ])
        for field in kinds
    }  # fmt: skip


def _beside(twin: Column, column: Column | None) -> Column:
    """What a twin holds that its column does not."""
    return twin if column is None else F.when(~twin.eqNullSafe(column.cast("string")), twin)


def leftovers(fields: Mapping[str, Column]) -> Column:
    """The fields that have a value, as a map of texts; NULL where none has."""
    entries = F.array(*[F.struct(F.lit(name).alias("key"), value.alias("value")) for name, value in fields.items()])
    there = F.map_from_entries(F.filter(entries, lambda entry: entry["value"].isNotNull()))
    return F.when(F.size(there) > 0, there)


def _without(fields: StructType | None, names: Collection[str]) -> StructType:
    return StructType([field for field in fields or () if field.name not in names])


def _unique(fields: StructType) -> StructType:
    """One field of several whose names differ in case alone, the one in small letters first: a table holds no two.

    An object that has such names itself stays text, so that nothing of it is lost.
    """
    chosen: dict[str, StructField] = {}
    for field in fields:
        if field.name.lower() not in chosen or field.name == field.name.lower():
            chosen[field.name.lower()] = field
    return StructType(
        [StructField(field.name, _unique_type(field.dataType)) for field in fields if field in chosen.values()]
    )


def _unique_type(kind: DataType) -> DataType:
    if isinstance(kind, StructType):
        unique = _unique(kind)
        return unique if len(unique) == len(kind) else StringType()
    return ArrayType(_unique_type(kind.elementType)) if isinstance(kind, ArrayType) else kind


def _merged(known: StructType | None, new: StructType | None) -> StructType:
    """The known fields first, in their types where the new ones do not extend them, then the new ones."""
    if known is None or new is None:
        return known or new or StructType([])
    kinds = {field.name.lower(): field.dataType for field in new}
    names = {field.name.lower() for field in known}
    kept = [StructField(field.name, _merged_type(field.dataType, kinds.get(field.name.lower()))) for field in known]
    return StructType(kept + [field for field in new if field.name.lower() not in names])


def _merged_type(known: DataType, new: DataType | None) -> DataType:
    if isinstance(known, StructType) and isinstance(new, StructType):
        return _merged(known, new)
    if isinstance(known, ArrayType) and isinstance(new, ArrayType):
        return ArrayType(_merged_type(known.elementType, new.elementType))
    return known


def as_plain_text(fields: StructType) -> StructType:
    """The fields as text, nested ones too."""
    return StructType([StructField(field.name, StringType()) for field in fields])


def as_text(fields: StructType) -> StructType:
    """The fields as a text format holds them: scalars as text, which conform casts; nested ones in their types."""
    nested = (StructType, ArrayType, MapType)
    return StructType(
        [
            StructField(field.name, field.dataType if isinstance(field.dataType, nested) else StringType())
            for field in fields
        ]
    )


def file_name() -> Column:
    """The row's file as it was listed: without the scheme of a local one."""
    return F.regexp_replace(F.col("_metadata.file_path"), "^file:/+", "/").alias(FILE)
