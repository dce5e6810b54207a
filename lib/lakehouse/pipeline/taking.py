"""A batch taken from its pin: begun, written, finished; where one of its files cannot be read, that file is found and named.

Nothing is read twice for it where all files can be read: they are looked for once the batch has failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException

from lakehouse.errors import DataError, LakehouseError, UnreadableFile, counted
from lakehouse.landing.looks import file_now, gone_text
from lakehouse.pipeline.advance import advance
from lakehouse.pipeline.bad_files import reads_any
from lakehouse.pipeline.reading import load, read_of
from lakehouse.pipeline.recovery import anything_written
from lakehouse.pipeline.run_state import Run, batch_of, new_intent
from lakehouse.spark_errors import cause_of, is_outage

_SHOWN = 5
_NO_COLUMNS = "UNABLE_TO_INFER_SCHEMA"

Row = Sequence[Any]
"""A file of a pin, as `lakehouse.landing.taken` writes it."""


def take(run: Run, pin: Mapping[str, Any]) -> bool:
    """Takes the pinned batch and has it in the run's record; False where the source then finds nothing in it.

    A file that is gone since it was listed is left out and noted. One that cannot be read goes to the quarantine under
    `on_bad_file: quarantine`; else DataError names it.
    """
    while True:
        try:
            return take_once(run, pin)
        except Exception as error:
            pin = _without_unreadable(run, pin, error)


def take_once(run: Run, pin: Mapping[str, Any]) -> bool:
    """The same, where a file that cannot be read is its caller's business."""
    intent = new_intent(run, run.progress.batch + 1, pin)
    batch = batch_of(run, intent)
    work = load(batch, read_of(run, pin, run.versions)) if reads_any(pin) else None
    if work is None and reads_any(pin):
        return False
    run.begin(intent)
    batch.tell("batch_begun")
    run.record = advance(run, batch, work, run.record, pin)
    return True


def _without_unreadable(run: Run, pin: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """The pin without the files that made its batch fail; raises where bad files are to stop the run, and names them."""
    found = unreadable(run, pin, error)
    gone = [path for path in found if file_now(path) is None]
    bad = {path: reason for path, reason in found.items() if path not in gone}
    if bad and run.plan.source.option("on_bad_file") != "quarantine":
        raise _named(bad) from error
    return {
        **pin,
        "files": [row for row in pin["files"] if row[0] not in found],
        "bad": [*pin.get("bad", ()), *([row, bad[row[0]]] for row in pin["files"] if row[0] in bad)],
        "_notes": [*pin.get("_notes", ()), *map(gone_text, gone)],
    }


def unreadable(run: Run, pin: Mapping[str, Any], error: Exception) -> dict[str, str]:
    """The files that made a batch fail, each with the reader's reason; raises the error where it is the fault of none, or
    where a part of the batch is written already."""
    if not pin.get("files") or not _may_be_a_files(error):
        raise error
    if anything_written(run, new_intent(run, run.progress.batch + 1, pin)):
        raise error
    found = _unreadable(run, pin["files"])
    if not found:
        raise error
    return found


def _named(bad: Mapping[str, str]) -> DataError:
    return DataError(
        f"source 'files': {counted(len(bad), 'file')} cannot be read: {reasons_text(bad)}; mend or remove it, "
        "or set on_bad_file: quarantine"
    )


def reasons_text(bad: Mapping[str, str]) -> str:
    """The first of these files with their reasons, and how many more there are."""
    said = "; ".join(f"{path}: {reason}" for path, reason in list(bad.items())[:_SHOWN])
    return f"{said}; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else said


def _may_be_a_files(error: BaseException) -> bool:
    """True for what Spark or the source says where a file cannot be read; also of an error that was put in better words."""
    if isinstance(error, LakehouseError) and not isinstance(error, UnreadableFile):
        return error.__cause__ is not None and _may_be_a_files(error.__cause__)
    if isinstance(error, AnalysisException):
        return _NO_COLUMNS in str(error) or "PATH_NOT_FOUND" in str(error)
    return isinstance(error, UnreadableFile | PySparkException | Py4JJavaError)


def _unreadable(run: Run, files: Sequence[Row]) -> dict[str, str]:
    """Those of the files that cannot be read, each with the reader's reason: halves are read until it is clear which.

    Raises what is no file's fault: a store that does not answer.
    """
    reason = _reason(run, files)
    if reason is None:
        return {}
    if len(files) == 1:
        return {files[0][0]: reason}
    middle = len(files) // 2
    return _unreadable(run, files[:middle]) | _unreadable(run, files[middle:])


def _reason(run: Run, files: Sequence[Row]) -> str | None:
    """Why these files cannot be read together; None where they can, or where the files are not why."""
    read = read_of(run, {"files": files}, run.versions)
    try:
        run.plan.source.call(run.spark, now=run.record.started, tables={}, read=read).write.format("noop").mode(
            "overwrite"
        ).save()
    except UnreadableFile as error:
        return error.reason
    except (PySparkException, Py4JJavaError, DataError) as error:
        if is_outage(str(error)):
            raise
        return cause_of(str(error)) if _may_be_a_files(error) else None
    return None
