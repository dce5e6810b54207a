"""Times in nanoseconds, as pandas writes them into Parquet: Spark refuses them; here they are read as numbers, and made times.

A file's footer says which of its columns these are. What is less than a microsecond of a time is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import DataError
from lakehouse.frames import quoted

_AS_NUMBERS = "spark.sql.legacy.parquet.nanosAsLong"
_AS_TIMES = "spark.lakehouse.nanosecondsAsTimes"
"""Set where it was not the job that asked for numbers: then they are made times."""
_NANOSECONDS = "TIMESTAMP(NANOS"

Load = Callable[[list[str]], DataFrame]


def with_times(spark: SparkSession, load: Load, paths: list[str]) -> list[DataFrame]:
    """The files as `load` gives them, with a time where it would fail for nanoseconds: a frame for those that have them
    in the same columns.

    From the first such file on, the session reads them as numbers, and each later file is asked.
    """
    if spark.conf.get(_AS_TIMES, "") != "true":
        try:
            return [load(paths)]
        except (PySparkException, Py4JJavaError) as error:
            if _NANOSECONDS not in str(error):
                raise
        spark.conf.set(_AS_NUMBERS, "true")
        spark.conf.set(_AS_TIMES, "true")
    alike: dict[frozenset[tuple[str, bool]], list[str]] = {}
    for path in paths:
        alike.setdefault(frozenset(_times_of(spark, path).items()), []).append(path)
    return [_made_times(load(group), dict(times)) for times, group in alike.items()]


def _made_times(rows: DataFrame, times: Mapping[str, bool]) -> DataFrame:
    return rows.withColumns({name: _time(name, is_instant) for name, is_instant in times.items()}) if times else rows


def _time(name: str, is_instant: bool) -> Column:
    time = F.timestamp_micros(F.expr(f"({quoted(name)} - pmod({quoted(name)}, 1000)) div 1000"))
    return time if is_instant else time.cast("timestamp_ntz")  # a job's session is in UTC, and so leaves the digits


def _times_of(spark: SparkSession, path: str) -> dict[str, bool]:
    """The columns of a file that are times in nanoseconds, each with whether it is an instant (else it has no zone).

    Raises DataError where one lies within another column.
    """
    jvm: Any = spark._jvm
    place = jvm.org.apache.hadoop.fs.Path(path)
    hadoop = spark._jsparkSession.sessionState().newHadoopConf()
    parquet = jvm.org.apache.parquet.hadoop
    reader = parquet.ParquetFileReader.open(parquet.util.HadoopInputFile.fromPath(place, hadoop))
    try:
        schema = reader.getFooter().getFileMetaData().getSchema()
    finally:
        reader.close()
    if _NANOSECONDS not in schema.toString():
        return {}
    return _top_level(path, ((list(leaf.getPath()), _kind(leaf)) for leaf in schema.getColumns()))


def _kind(leaf: Any) -> str:
    kind = leaf.getPrimitiveType().getLogicalTypeAnnotation()
    return "" if kind is None else str(kind.toString())


def _top_level(path: str, leaves: Iterable[tuple[Sequence[str], str]]) -> dict[str, bool]:
    found = {".".join(names): (len(names) == 1, kind) for names, kind in leaves if kind.startswith(_NANOSECONDS)}
    inside = [name for name, (is_column, _) in found.items() if not is_column]
    if inside:
        raise DataError(
            f"source 'files': {path}: {', '.join(inside)}: a time in nanoseconds within another column, which Spark does not "
            "read; have it written in microseconds (pandas: coerce_timestamps='us')"
        )
    return {name: "true" in kind for name, (_, kind) in found.items()}
