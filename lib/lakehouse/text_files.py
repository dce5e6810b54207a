"""Text files read by what they say themselves: CSV by the header of each file, JSON by the fields of each line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructField, StructType

from lakehouse.errors import DataError
from lakehouse.frames import FILE, MALFORMED, UNKNOWN, col
from lakehouse.storage import read_start

_HEADER_BYTES = 1 << 18
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
    layouts: dict[tuple[str, ...], list[str]] = {}
    for path, header in zip(paths, headers, strict=True):
        if header is not None:
            layouts.setdefault(header, []).append(path)
    frames = [_read_layout(spark, files, names, base, chosen) for names, files in sorted(layouts.items())]
    if not frames:
        return spark.createDataFrame(
            [], StructType([StructField(FILE, StringType()), StructField(MALFORMED, StringType())])
        )
    return reduce(lambda rows, more: rows.unionByName(more, allowMissingColumns=True), frames)


def _read_layout(
    spark: SparkSession, paths: Sequence[str], names: Sequence[str], base: Mapping[str, str], options: Mapping[str, str]
) -> DataFrame:
    texts = StructType([StructField(name, StringType()) for name in (*names, MALFORMED)])
    reader = spark.read.schema(texts).options(**base, **options).option("columnNameOfCorruptRecord", MALFORMED)
    rows = reader.csv(list(paths))
    # a record of the wrong length has its values in the wrong columns
    whole = {name: F.when(col(MALFORMED).isNull(), col(name)) for name in names}
    return rows.select("*", file_name()).withColumns(whole)


def _header(path: str, options: Mapping[str, str]) -> tuple[str, ...] | None:
    """A CSV file's column names; None for a file without a line."""
    raw = read_start(path, _HEADER_BYTES)
    suffix = next((ending for ending in _OPEN if path.endswith(ending)), None)
    try:
        plain = _OPEN[suffix](raw).read1(_HEADER_BYTES) if suffix else raw
        encoding = options.get("encoding", options.get("charset", "utf-8"))
        text = plain.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding, errors="replace")
        separator = options.get("sep", options.get("delimiter", ","))
        if separator == "\\t":
            separator = "\t"
        reader = csv.reader(io.StringIO(text), delimiter=separator, quotechar=options.get("quote", '"'))
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
    """Every line's object: scalars as text, objects and arrays as such; MALFORMED holds a line that is no object.

    `known` are the columns that exist already; `closed`: no others are taken, they go to UNKNOWN.
    """
    if str(options.get("multiLine", "false")).lower() == "true":
        return _read_documents(spark, paths, base, options)
    lines = spark.read.options(**base).text(list(paths)).select("*", file_name())
    lines = lines.withColumn("value", F.regexp_replace("value", "^\ufeff", "")).where(F.trim("value") != "")
    inferred = None if closed else _inferred(spark, paths, base, options)
    kinds = _unique(_merged(known, inferred))
    if not closed and inferred is not None and len(_unique(inferred)) == len(inferred):
        unknown: Column | None = None
    else:
        unknown = _unknown(kinds.names)
    parsed = StructType([*kinds, StructField(MALFORMED, StringType())])
    how = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": MALFORMED, **options}
    rows = lines.withColumn("__lake_line", F.from_json("value", parsed, how))
    malformed = F.coalesce(F.col(f"__lake_line.{MALFORMED}"), F.when(F.col("__lake_line").isNull(), col("value")))
    partitions = [name for name in lines.columns if name not in ("value", FILE)]
    fields = [F.when(malformed.isNull(), F.col("__lake_line").getField(name)).alias(name) for name in kinds.names]
    extra = [] if unknown is None else [F.when(malformed.isNull(), unknown).alias(UNKNOWN)]
    return rows.select(*fields, *map(col, partitions), col(FILE), malformed.alias(MALFORMED), *extra)


def _read_documents(
    spark: SparkSession, paths: Sequence[str], base: Mapping[str, str], options: Mapping[str, str]
) -> DataFrame:
    reader = spark.read.options(**base, primitivesAsString="true", columnNameOfCorruptRecord=MALFORMED).options(
        **options
    )
    rows = reader.json(list(paths)).select("*", file_name())
    return rows if MALFORMED in rows.columns else rows.withColumn(MALFORMED, F.lit(None).cast("string"))


def _inferred(
    spark: SparkSession, paths: Sequence[str], base: Mapping[str, str], options: Mapping[str, str]
) -> StructType:
    """The fields that the lines have, scalars as text: numbers keep their digits."""
    how = {**base, "primitivesAsString": "true", "columnNameOfCorruptRecord": MALFORMED, **options}
    before = spark.conf.get("spark.sql.caseSensitive")
    spark.conf.set("spark.sql.caseSensitive", "true")  # else names that differ in case alone stop the inference
    try:
        found = spark.read.options(**how).json(list(paths)).schema
    finally:
        spark.conf.set("spark.sql.caseSensitive", str(before))
    partitions = {part.split("=", 1)[0] for path in paths for part in path.split("/") if "=" in part}
    return StructType([field for field in found if field.name != MALFORMED and field.name not in partitions])


def _unknown(names: Sequence[str]) -> Column:
    """The line's fields that are none of these."""
    fields = F.from_json("value", "map<string,string>")
    taken = F.array(*map(F.lit, names)) if names else F.array().cast("array<string>")
    left = F.map_filter(fields, lambda key, _: ~F.array_contains(taken, key))
    return F.when(F.size(left) > 0, left)


def _unique(fields: StructType) -> StructType:
    """Without the second of two names that differ in case alone, at any depth: a table cannot hold both."""
    names = [field.name.lower() for field in fields]
    kept = [field for index, field in enumerate(fields) if field.name.lower() not in names[:index]]
    return StructType([StructField(field.name, _unique_type(field.dataType)) for field in kept])


def _unique_type(kind: DataType) -> DataType:
    if isinstance(kind, StructType):
        return _unique(kind)
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
