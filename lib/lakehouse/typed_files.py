"""Files that know their types: Parquet, ORC, Avro, and text of one column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql.types import ArrayType, DataType, StructType

from lakehouse.column_types import as_type, wider
from lakehouse.errors import DataError
from lakehouse.frames import col, exactly, file_name
from lakehouse.parquet_times import with_times


def read_typed(
    spark: SparkSession, kind: str, paths: list[str], options: Mapping[str, str], *, widens: bool
) -> DataFrame:
    """The rows of files that know their types; where `widens`, a column that has two of them gets the wider one."""
    merge = {"mergeSchema": "true"} if kind in ("parquet", "orc") and len(paths) > 1 else {}
    reader = spark.read.format(kind).options(**{**merge, **options})

    load = partial(_loaded, spark, kind, reader)
    if widens:
        found = _in_wider_types(_of_one_type(load, paths))
        if found is not None:
            return found
    try:
        return load(paths)
    except (PySparkException, Py4JJavaError) as error:
        clash = _clash(spark, kind, paths) if "CANNOT_MERGE" in str(error) else None
        if clash is not None:
            raise DataError(f"source 'files': {clash}") from error
        raise


def _loaded(spark: SparkSession, kind: str, reader: DataFrameReader, paths: list[str]) -> DataFrame:
    def load(some: list[str]) -> DataFrame:
        return reader.load(exactly(some)).select("*", file_name())

    if kind != "parquet":
        return load(paths)
    frames = with_times(spark, load, paths)
    found = frames[0] if len(frames) == 1 else _in_wider_types(frames)
    if found is None:
        raise DataError(
            "source 'files': a column is a time in nanoseconds in some files and no time in others; read the folder's files "
            "of one type at a time"
        )
    return found


def _of_one_type(load: Callable[[list[str]], DataFrame], paths: list[str]) -> list[DataFrame]:
    """The files in frames that each know one type for a column: they are halved until they do."""
    try:
        return [load(paths)]
    except (PySparkException, Py4JJavaError) as error:
        if len(paths) == 1 or "CANNOT_MERGE" not in str(error):
            raise
    middle = len(paths) // 2
    return [*_of_one_type(load, paths[:middle]), *_of_one_type(load, paths[middle:])]


def _in_wider_types(frames: Sequence[DataFrame]) -> DataFrame | None:
    """The rows of all frames, each column in the type that holds its values in each; None where there is no such type."""
    common: dict[str, DataType] = {}
    for field in (field for frame in frames for field in frame.schema):
        kind = wider(common.get(field.name.lower(), field.dataType), field.dataType)
        if kind is None:
            return None
        common[field.name.lower()] = kind
    alike = [
        frame.select(
            *[
                as_type(col(field.name), field.dataType, common[field.name.lower()]).alias(field.name)
                for field in frame.schema
            ]
        )
        for frame in frames
    ]
    return reduce(partial(DataFrame.unionByName, allowMissingColumns=True), alike)


def _clash(spark: SparkSession, kind: str, paths: list[str]) -> str | None:
    """The first column that has two types in the files, where it has which, and what to do."""
    first: dict[str, tuple[DataType, str]] = {}
    for path in paths:
        for column, type_ in _leaves(spark.read.format(kind).load(exactly([path])).schema):
            known, file = first.setdefault(column.lower(), (type_, path))
            if known != type_:
                said = f"column '{column}' is {known.simpleString()} in {file} and {type_.simpleString()} in {path}"
                hint = "" if wider(known, type_) is None else "set type_widening: true on the sink, or "
                return f"{said}; {hint}read the folder's files of one type at a time"
    return None


def _leaves(kind: DataType, name: str = "") -> Iterator[tuple[str, DataType]]:
    """Each column, or each field of a struct, and its type."""
    if isinstance(kind, StructType):
        for field in kind:
            yield from _leaves(field.dataType, f"{name}.{field.name}" if name else field.name)
    elif isinstance(kind, ArrayType):
        yield from _leaves(kind.elementType, f"{name}[]")
    else:
        yield name, kind
