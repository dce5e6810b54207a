"""What a sink remembers of its job's batches beside their events: the columns that it did not keep, and what told deletes.

It stands in the note of each commit to the event log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.change_data.event_log import EventLog
from lakehouse.errors import did_you_mean
from lakehouse.frames import HIDDEN_PREFIX, visible
from lakehouse.sql_text import mentions
from lakehouse.targets import Write

_LEFT_OUT, _CONDITIONS = "left_out", "conditions"


def completed(
    df: DataFrame, log: EventLog, lists: Mapping[str, Sequence[str] | None], conditions: Mapping[str, str | None]
) -> DataFrame:
    """The frame with NULL in each column that it lacks, earlier batches had, and an option names.

    Raises ValueError for one that no batch ever had: most likely it is misspelled.
    """
    there = {name.lower() for name in df.columns}
    known = [field for field in (*log.schema, *_left_out(log)) if not field.name.startswith(HIDDEN_PREFIX)]
    asked = {name.lower() for names in lists.values() for name in names or ()}
    missing = {
        field.name: F.lit(None).cast(field.dataType)
        for field in known
        if field.name.lower() not in there and (field.name.lower() in asked or _in_any(conditions, field.name))
    }
    found = df.withColumns(missing)
    for option, names in lists.items():
        _require_known(found, option, names or ())
    for option, condition in conditions.items():
        _require_resolved(found, option, condition)
    return found


def remembering(
    df: DataFrame, write: Write, log: EventLog, kept: Collection[str], conditions: Mapping[str, str | None]
) -> tuple[Write, tuple[str, ...]]:
    """The write with what the next batch must know in its note; and what the run record should say of changed conditions."""
    now = {field.name: field for field in _left_out(log)}
    now |= {name: df.schema[name] for name in visible(df) if name not in kept}
    job = str(write.commit.note.get("job"))
    told: Mapping[str, Any] = log.note.get(_CONDITIONS, {})
    note = {
        **write.commit.note,
        _LEFT_OUT: StructType(list(now.values())).jsonValue(),
        _CONDITIONS: {**told, job: dict(conditions)},
    }
    return replace(write, commit=replace(write.commit, note=note)), _changed(told.get(job), conditions)


def _left_out(log: EventLog) -> StructType:
    given = log.note.get(_LEFT_OUT)
    return StructType.fromJson(given) if given else StructType()


def _changed(before: Mapping[str, Any] | None, after: Mapping[str, str | None]) -> tuple[str, ...]:
    return tuple(
        f"{option} was {before.get(option)!r} and is now {condition!r}: events that were taken before keep their meaning; "
        "rebuild the table where they should not"
        for option, condition in after.items()
        if before is not None and before.get(option) != condition
    )


def _in_any(conditions: Mapping[str, str | None], name: str) -> bool:
    spellings = (name, name.lower(), name.upper())
    return any(mentions(condition, word) for condition in conditions.values() if condition for word in spellings)


_HINT = "one that a first batch may lack belongs into a schema or a contract"


def _require_known(df: DataFrame, option: str, names: Iterable[str]) -> None:
    there = {name.lower() for name in df.columns}
    missing = [name for name in names if name.lower() not in there]
    if missing:
        known = did_you_mean(missing[0], visible(df))
        raise ValueError(
            f"'{option}' names '{missing[0]}', which is no column here, nor was one before; {_HINT}.{known}"
        )


def _require_resolved(df: DataFrame, option: str, condition: str | None) -> None:
    if condition is None:
        return
    try:
        df.select(F.expr(condition))
    except AnalysisException as error:
        if "UNRESOLVED_COLUMN" not in str(error):
            raise
        said = str(error).strip().split("\n")[0].rpartition("] ")[2].partition(" SQLSTATE")[0]
        raise ValueError(f"'{option}: {condition}': {said} {_HINT}") from error
