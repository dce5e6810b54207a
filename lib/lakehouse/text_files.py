"""JSON files read by the fields of their lines, and what text formats have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StringType, StructField, StructType

from lakehouse.errors import DataError
from lakehouse.frames import HIDDEN_PREFIX, MALFORMED, UNKNOWN, col, exactly, file_name, is_pattern

_ABSENT = f"{HIDDEN_PREFIX}absent"  # a column that no file has
_LINE, _FIELDS = f"{HIDDEN_PREFIX}line", f"{HIDDEN_PREFIX}fields"


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
        rows = reader.json(exactly(paths)).select("*", file_name())
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
        reader = spark.read.options(primitivesAsString="true", **options)
        if not any(map(is_pattern, paths)):
            try:
                return reader.json(list(paths)).schema
            except AnalysisException as error:
                if error.getCondition() != "COLUMN_ALREADY_EXISTS":  # an object repeats a field
                    raise
        records: Any = _records(spark, paths, options)._jdf
        of_texts: Any = reader._jreader
        return _once(DataFrame(of_texts.json(getattr(records, "as")(_texts(spark))), spark).schema)
    finally:
        spark.conf.set("spark.sql.caseSensitive", before)


def _once(fields: StructType) -> StructType:
    """Each field once: of one that an object repeats the last value counts, text where its values have different types."""
    kinds: dict[str, DataType] = {}
    for field in fields:
        kind = _once_within(field.dataType)
        known = kinds.setdefault(field.name, kind)
        if known != kind:
            both = isinstance(known, StructType) and isinstance(kind, StructType)
            kinds[field.name] = _merged_type(known, kind) if both else StringType()
    return StructType([StructField(name, kind) for name, kind in kinds.items()])


def _once_within(kind: DataType) -> DataType:
    if isinstance(kind, StructType):
        return _once(kind)
    return ArrayType(_once_within(kind.elementType)) if isinstance(kind, ArrayType) else kind


def _texts(spark: SparkSession) -> Any:
    jvm: Any = spark._jvm
    return jvm.org.apache.spark.sql.Encoders.STRING()


def _records(spark: SparkSession, paths: Sequence[str], options: Mapping[str, str]) -> DataFrame:
    """The text of each record. Spark looks for the files a second time to infer their fields, and takes names that are
    escaped for patterns then: it is given the texts instead."""
    text = col("value")
    if encoding := options.get("encoding", options.get("charset")):
        text = F.decode(text.cast("binary"), encoding)
    found = spark.read.options(**options).text(exactly(paths), wholetext=_over_lines(options))
    return found.select(F.regexp_replace(text, "^\ufeff", ""))


def _over_lines(options: Mapping[str, str]) -> bool:
    return str(options.get("multiLine", "false")).lower() == "true"


def _parsed_lines(
    spark: SparkSession, paths: Sequence[str], base: Mapping[str, str], options: Mapping[str, str], kinds: StructType,
    twins: Mapping[str, str],
) -> DataFrame:  # fmt: skip
    """Line by line, where a file has names that differ in case alone: Spark's reader takes no two such columns.

    Here a number is printed as Spark's own: 1.50 is 1.5.
    """
    if _over_lines(options):
        raise DataError(
            f"source 'files': names that differ in case alone ({', '.join(twins.values())}) need a line a record"
        )
    lines = spark.read.options(**base).text(exactly(paths)).select("*", file_name())
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
