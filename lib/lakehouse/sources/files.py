"""The source `files`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial, reduce
from pathlib import Path
from typing import Any, Literal

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StructType

from lakehouse.cdc_formats import COLUMNS, CdcColumns, CdcFormat, flattened
from lakehouse.column_types import as_type, wider
from lakehouse.csv_files import read_csv
from lakehouse.errors import DataError, counted
from lakehouse.frames import BROKEN, FILE, UNKNOWN, as_text, col, file_name, visible
from lakehouse.registry import source
from lakehouse.sources import Read
from lakehouse.storage import FileInfo, list_files
from lakehouse.tables import is_remote, resolved
from lakehouse.text_files import leftovers, read_json

Format = Literal["csv", "json", "parquet", "avro", "orc", "text"]
Evolution = Literal["add_new_columns", "rescue", "fail", "none"]
_ENDINGS: dict[str, Format] = {
    "csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "ndjson": "json",
    "parquet": "parquet", "avro": "avro", "orc": "orc", "txt": "text",
}  # fmt: skip
Option = str | int | float | bool


def pin(
    read: Read, *, path: str, max_files_per_trigger: int | None = None, on_rewrite: str = "fail", **_: Any
) -> dict[str, Any] | None:
    """The files to take next, as listed: all in full, else those that no earlier batch took; None where there are none.

    Raises DataError where the folder does not exist, or a taken file was rewritten and `on_rewrite` is fail.
    """
    place = resolved(path, read.root)
    listed = list_files(place)
    if not listed and not is_remote(place) and not read.taken and not _folder(place).exists():
        raise DataError(f"source 'files': there is no {place}")
    if not read.incremental:
        return {"files": [[file.path, file.size, file.modified] for file in listed]}
    rewritten = [
        file for file in listed if file.path in read.taken and read.taken[file.path] != (file.size, file.modified)
    ]
    if rewritten and on_rewrite == "fail":
        names = ", ".join(file.path for file in rewritten[:5])
        raise DataError(f"source 'files': {counted(len(rewritten), 'file was', 'files were')} rewritten since taken ({names}); "
                        "give new data a new name, or set on_rewrite: reprocess or ignore")  # fmt: skip
    new = [file for file in listed if file.path not in read.taken or (on_rewrite == "reprocess" and file in rewritten)]
    chosen = new[:max_files_per_trigger]
    return {"files": [[file.path, file.size, file.modified] for file in chosen]} if chosen else None


def start_at(to: str) -> dict[str, str]:
    """Where a job that is moved begins to read: what was changed at this time or later is taken again."""
    try:
        return {"since": datetime.fromisoformat(to).astimezone().isoformat()}
    except ValueError:
        raise ValueError("a time, such as 2026-01-31T06:00") from None


@source(start_at=start_at, incremental="pin", pin=pin)
def files(
    spark: SparkSession,
    *,
    path: str,
    format: Format | None = None,
    options: dict[str, Option] | None = None,
    schema_evolution: Evolution | None = None,
    rescued_data_column: str | None = None,
    max_files_per_trigger: int | None = None,
    on_rewrite: Literal["fail", "reprocess", "ignore"] = "fail",
    cdc_format: CdcFormat | None = None,
    cdc_columns: CdcColumns | None = None,
    read: Read,
) -> DataFrame:
    """Files in a folder or under a glob, local or `s3a://`; incrementally, each file once.

    CSV columns are matched by each file's header; text formats give text, which a contract casts. `schema_evolution`
    says what becomes of columns that the contract, or else the target, does not have yet. With a `cdc_format` each record
    is a change: see `lakehouse.cdc_formats`.
    """
    taken = [FileInfo(*file) for file in read.pin["files"]]
    kind = format or _format_of(taken, path)
    evolution = schema_evolution or (
        "none" if read.fields is not None and read.layer != "bronze" else "add_new_columns"
    )
    known = as_text(read.fields) if read.fields is not None else read.known
    closed = known is not None and (evolution != "add_new_columns" or read.fields is not None)
    chosen = {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in (options or {}).items()
    }
    paths, base = [file.path for file in taken], _base(resolved(path, read.root), taken)
    if not paths:
        return spark.createDataFrame([], read.fields or "value string").withColumn(FILE, F.lit(None).cast("string"))
    if kind == "csv":
        rows = read_csv(spark, paths, base, chosen)
    elif kind == "json":
        # known and closed speak of the rows; an envelope's own fields are no part of them
        inside = (None, False) if cdc_format else (known, closed)
        rows = read_json(spark, paths, base, chosen, inside[0], closed=inside[1])
    else:
        rows = _read_typed(spark, kind, paths, {**base, **chosen}, widens=read.widens)
    rows = flattened(rows, cdc_format, cdc_columns, read.fields or read.known)
    return _evolved(rows, known, evolution, read) if closed else rows


def _read_typed(
    spark: SparkSession, kind: str, paths: list[str], options: Mapping[str, str], *, widens: bool
) -> DataFrame:
    """The rows of files that know their types; where `widens`, a column that has two of them gets the wider one."""
    merge = {"mergeSchema": "true"} if kind in ("parquet", "orc") and len(paths) > 1 else {}
    reader = spark.read.format(kind).options(**{**merge, **options})

    def load(some: list[str]) -> DataFrame:
        return reader.load(some).select("*", file_name())

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
        for column, type_ in _leaves(spark.read.format(kind).load(path).schema):
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


def _evolved(rows: DataFrame, known: StructType | None, evolution: Evolution, read: Read) -> DataFrame:
    """The frame with the known columns alone; the others refused, or kept as UNKNOWN where they are rescued."""
    of_format = COLUMNS if BROKEN in rows.columns else ()
    names = {*of_format, *(field.name.lower() for field in known or ())}
    new = [name for name in visible(rows) if name.lower() not in names]
    if not new:
        return rows
    if evolution == "fail":
        raise DataError(
            f"source 'files': new columns {', '.join(new)}; add them to the contract, or set schema_evolution"
        )
    if not (evolution == "rescue" or read.rescue):
        return rows  # conform leaves them out and names them
    found = leftovers({name: col(name).cast("string") for name in new})
    if UNKNOWN in rows.columns:
        found = F.coalesce(F.map_concat(col(UNKNOWN), found), col(UNKNOWN), found)
    return rows.withColumn(UNKNOWN, found).drop(*new)


def _format_of(taken: list[FileInfo], path: str) -> Format:
    """The format by the files' endings (`.csv.gz` is csv); raises ValueError where they do not say one."""
    found: set[Format | None] = set()
    for name in [file.path for file in taken] or [path]:
        parts = Path(name).name.lower().split(".")[1:]
        found.add(next((_ENDINGS[part] for part in reversed(parts) if part in _ENDINGS), None))
    known = [kind for kind in found if kind is not None]
    if len(found) == len(known) == 1:
        return known[0]
    raise ValueError(
        f"the format of {path} cannot be told by the files' endings; set format: csv, json, parquet, avro, orc or text"
    )


def _base(place: str, taken: list[FileInfo]) -> dict[str, str]:
    """Folders named `key=value` give columns, counted from the source's own folder."""
    folder = str(_folder(place)) if not is_remote(place) else place
    literal = folder.split("*")[0].rsplit("/", 1)[0] if "*" in folder else folder
    if any("=" in file.path.removeprefix(literal) for file in taken):
        return {"basePath": literal}
    return {}


def _folder(place: str) -> Path:
    """The part of a place before its first wildcard."""
    parts = Path(place).parts
    wild = next((index for index, part in enumerate(parts) if set("*?[") & set(part)), len(parts))
    return Path(*parts[:wild])
