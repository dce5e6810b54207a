"""The source `files`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.cdc_formats import COLUMNS, CdcColumns, CdcFormat, flattened
from lakehouse.csv_files import read_csv
from lakehouse.errors import DataError, UnreadableFile
from lakehouse.frames import BROKEN, FILE, UNKNOWN, as_text, col, visible
from lakehouse.landing.archive import archived, inside, move_done, require_apart
from lakehouse.landing.looks import batches, look_at, require_as_taken, whole_files
from lakehouse.landing.taken import Taken, as_row, info_of
from lakehouse.registry import Duration, length_of, source
from lakehouse.sources import Read
from lakehouse.storage import FileInfo
from lakehouse.tables import is_remote, resolved
from lakehouse.text_files import leftovers, read_json
from lakehouse.typed_files import read_typed

Format = Literal["csv", "json", "parquet", "avro", "orc", "text"]
Evolution = Literal["add_new_columns", "rescue", "fail", "none"]
_ENDINGS: dict[str, Format] = {
    "csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "ndjson": "json",
    "parquet": "parquet", "avro": "avro", "orc": "orc", "txt": "text",
}  # fmt: skip
Option = str | int | float | bool
_TO_READ = "_archive_to_read"  # in a pin: the archive's files are not all taken yet


def sense(*, path: str, archive: str | None = None, **_: Any) -> None:
    """Raises ValueError for options that make no sense together."""
    if archive is not None:
        require_apart(resolved(path, Path("/")), resolved(archive, Path("/")))


def pins(
    read: Read, *, path: str, max_files_per_trigger: int | None = None, on_rewrite: str = "fail",
    archive: str | None = None, skip_same_content: bool = False, min_age: Duration | None = None, **_: Any,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The files to take next, as one look found them: all in full, else those that no earlier batch took, some at a time.

    Raises DataError where the folder does not exist, or a taken file was rewritten and `on_rewrite` is fail.
    """
    place = resolved(path, read.root)
    if not read.incremental:
        yield {"files": [as_row(file.path, Taken(file.size, file.modified)) for file in _whole(place, read)]}
        return
    aside = _archive(place, archive, read)
    age = length_of(min_age).total_seconds() if min_age is not None else 0
    look = look_at(place, read.taken, apart=inside(place, aside), min_age=age)
    _require_there(place, look.listed, read)
    if on_rewrite == "fail":
        require_as_taken(look.rewritten)
    if aside is not None and read.moves:
        move_done(place, aside, look.done)  # a crash came between their batch and their move
    new = look.new if on_rewrite != "reprocess" else sorted([*look.new, *look.rewritten], key=lambda file: file.path)
    seen = {then.digest: path for path, then in read.taken.items() if then.digest} if skip_same_content else None
    kept: list[FileInfo] = []
    if aside is not None and _begins_anew(read):
        kept, new = archived(place, aside, new)
    # before the first file of the folder follows them there: it would not be told from them
    for pin in batches([file for file in kept if file.path not in read.taken], max_files_per_trigger, seen):
        yield {**pin, _TO_READ: True}
    yield from batches(new, max_files_per_trigger, seen)


def _whole(place: str, read: Read) -> list[FileInfo]:
    found = whole_files(place)
    _require_there(place, len(found), read)
    return found


def _require_there(place: str, listed: int, read: Read) -> None:
    if not listed and not is_remote(place) and not read.taken and not _folder(place).exists():
        raise DataError(f"source 'files': there is no {place}")


def _archive(place: str, archive: str | None, read: Read) -> str | None:
    if archive is None:
        return None
    found = resolved(archive, read.root)
    require_apart(place, found)
    return found


def _begins_anew(read: Read) -> bool:
    """True where what the archive holds is to be read too: by a job that took nothing yet, until all of that is taken."""
    return not read.taken or bool(read.last.get(_TO_READ))


def finished(pin: Mapping[str, Any], root: Path, *, path: str, archive: str | None = None, **_: Any) -> None:
    """Moves the files of a finished batch into the archive; those that could not be read stay for their replay."""
    if archive is None:
        return
    place, aside = resolved(path, root), resolved(archive, root)
    done = [info_of(row) for row in (*pin["files"], *pin.get("same", ()))]
    move_done(place, aside, [file for file in done if not file.path.startswith(f"{aside}/")])


def start_at(to: str) -> dict[str, str]:
    """Where a job that is moved begins to read: what was changed at this time or later is taken again."""
    try:
        return {"since": datetime.fromisoformat(to).astimezone().isoformat()}
    except ValueError:
        raise ValueError("a time, such as 2026-01-31T06:00") from None


@source(
    start_at=start_at, incremental="pin", pins=pins, finished=finished, sense=sense,
    incremental_only=("archive", "min_age", "on_bad_file", "skip_same_content"),
)  # fmt: skip
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
    on_bad_file: Literal["fail", "quarantine"] = "fail",
    skip_same_content: bool = False,
    min_age: Duration | None = None,
    archive: str | None = None,
    cdc_format: CdcFormat | None = None,
    cdc_columns: CdcColumns | None = None,
    read: Read,
) -> DataFrame:
    """Files in a folder or under a glob, local or `s3a://`; incrementally, each file once.

    CSV columns are matched by each file's header; text formats give text, which a contract casts. `schema_evolution`
    says what becomes of columns that the contract, or else the target, does not have yet. With a `cdc_format` each record
    is a change: see `lakehouse.cdc_formats`.
    """
    taken = [info_of(row) for row in read.pin["files"]]
    kind = format or _format_of(taken, path)
    evolution = schema_evolution or (
        "none" if read.fields is not None and read.layer != "bronze" else "add_new_columns"
    )
    known = as_text(read.fields) if read.fields is not None else read.known
    closed = known is not None and (evolution != "add_new_columns" or read.fields is not None)
    chosen = {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in (options or {}).items()
    }
    paths, base = [file.path for file in taken], _base(_place_of(taken, path, archive, read), taken)
    if not paths:
        return spark.createDataFrame([], read.fields or "value string").withColumn(FILE, F.lit(None).cast("string"))
    if kind == "csv":
        rows = read_csv(spark, paths, base, chosen)
    elif kind == "json":
        # known and closed speak of the rows; an envelope's own fields are no part of them
        inside = (None, False) if cdc_format else (known, closed)
        rows = read_json(spark, paths, base, chosen, inside[0], closed=inside[1])
    else:
        _require_bytes(kind, taken)
        rows = read_typed(spark, kind, paths, {**base, **chosen}, widens=read.widens)
    rows = flattened(rows, cdc_format, cdc_columns, read.fields or read.known)
    return _evolved(rows, known, evolution, read) if closed else rows


def _place_of(taken: Sequence[FileInfo], path: str, archive: str | None, read: Read) -> str:
    """Where the files lie: those of a batch are all of the archive, or none."""
    aside = resolved(archive, read.root) if archive is not None else None
    is_aside = aside is not None and bool(taken) and taken[0].path.startswith(f"{aside}/")
    return str(aside) if is_aside else resolved(path, read.root)


def _require_bytes(kind: str, taken: Sequence[FileInfo]) -> None:
    """Raises UnreadableFile for an empty file of a format that has a header: Spark leaves it out beside others, and stops
    where it is alone."""
    empty = [] if kind == "text" else [file.path for file in taken if not file.size]
    if empty:
        raise UnreadableFile(empty[0], f"it is empty, and no {kind} file is")


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
