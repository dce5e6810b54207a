"""The parts of an upsert: one row per key out of a batch, and the conditions of its MERGE."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from lakehouse.errors import DataError, counted
from lakehouse.frames import HIDDEN_PREFIX, NAMED, any_null, col, named, payload, quoted
from lakehouse.holding import held
from lakehouse.key_ranges import Ranges, metrics, ranges, within

DELETES = f"{HIDDEN_PREFIX}deletes"  # the row deletes its key
PRESENT = f"{HIDDEN_PREFIX}present"  # the row only says that its key is there

_NEWEST = f"{HIDDEN_PREFIX}newest"
_ROWS = f"{HIDDEN_PREFIX}rows"
_CLASH = f"{HIDDEN_PREFIX}clash"


@dataclass(frozen=True)
class Batch:
    """One row per key, materialised; `count` rows came in, the keys lie within `ranges` (SQL literals)."""

    rows: DataFrame
    count: int
    keys: int
    ranges: Ranges

    def within(self, prefix: str = "") -> str:
        """The keys' ranges as a condition of literals, so that files outside them are not read; '' where there is none."""
        return within(self.ranges, prefix)


def one_row_per_key(
    rows: DataFrame, keys: Sequence[str], sequence_by: Sequence[str], masked: Collection[str] = ()
) -> Batch:
    """Reads the batch once and keeps the newest row per key; of equal sequence the greater payload.

    Raises DataError for NULL keys, and, without a sequence, for keys with different rows: it names up to five.
    """
    others = [name for name in rows.columns if name not in keys]
    order = F.struct(F.lit(0), *map(col, sequence_by), payload(rows, others)) if others else F.struct(F.lit(0))
    newest = rows.groupBy(*[col(name).alias(_key(index)) for index, name in enumerate(keys)]).agg(
        F.max_by(F.struct(*map(col, rows.columns)), order).alias(_NEWEST),
        F.count(F.lit(1)).alias(_ROWS),
        (F.lit(False) if sequence_by else ~F.max(order).eqNullSafe(F.min(order))).alias(_CLASH),
    )
    kinds = [rows.schema[name].dataType for name in keys]
    grouped, found = held(newest, *_metrics(kinds))
    _require_clean(grouped, keys, int(found["null_keys"] or 0), int(found["clashes"] or 0), masked)
    return Batch(
        grouped.select(f"{_NEWEST}.*"), int(found["rows"] or 0), int(found["keys"] or 0), ranges(found, keys, kinds)
    )


def newer(schema: StructType, sequence_by: Sequence[str], compared: Sequence[str], known: Collection[str]) -> str:
    """The source's row is newer than the target's: by sequence, then by payload, so that the order of arrival decides nothing.

    `known` are the target's columns in small letters: a sequence that it does not have yet is NULL in its rows.
    """
    ours, theirs = _struct("source", sequence_by), _sequence_of_target(schema, sequence_by, known)
    ties = sorted(
        name for name in compared if name not in sequence_by and "map<" not in schema[name].dataType.simpleString()
    )
    if not ties:
        return f"{ours} > {theirs}"
    return f"{ours} > {theirs} OR ({ours} <=> {theirs} AND {_struct('source', ties)} > {_struct('target', ties)})"


def not_older(schema: StructType, sequence_by: Sequence[str], known: Collection[str]) -> str:
    """The source's row is no older than the target's; without a sequence always so. `known` as in `newer`."""
    if not sequence_by:
        return "true"
    return f"{_struct('source', sequence_by)} >= {_sequence_of_target(schema, sequence_by, known)}"


def different(compared: Sequence[str], new: Sequence[str]) -> str:
    """One of the compared columns differs, NULLs compared as values; a column new to the target differs where it is set."""
    parts = [f"NOT (source.{quoted(name)} <=> target.{quoted(name)})" for name in compared]
    parts += [f"source.{quoted(name)} IS NOT NULL" for name in new]
    return " OR ".join(parts) or "false"


def same_keys(keys: Sequence[str]) -> str:
    """The condition of the join; keys are never NULL."""
    return " AND ".join(f"target.{quoted(key)} = source.{quoted(key)}" for key in keys)


def with_present_keys(changes: DataFrame, broken: DataFrame | None, keys: Sequence[str]) -> DataFrame:
    """The changes, and a row per key that only a broken row has: such a key is there and unchanged.

    Raises DataError where a broken row's key cannot be read: which keys are missing cannot be told then.
    """
    flagged = changes.withColumn(PRESENT, F.lit(False))
    if broken is None:
        return flagged
    present = readable_keys(broken, keys, "nothing is deleted")
    others = present.join(changes.select(*map(col, keys)), on=list(keys), how="left_anti").withColumn(
        PRESENT, F.lit(True)
    )
    return flagged.unionByName(others, allowMissingColumns=True)


def readable_keys(broken: DataFrame, keys: Sequence[str], consequence: str) -> DataFrame:
    """The keys of broken rows, once each, held; raises DataError where one cannot be read, and says the consequence."""
    present, _ = held(broken.distinct())
    if not present.where(any_null(keys)).isEmpty():
        raise DataError(
            f"a broken row has no readable key ({', '.join(keys)}): missing keys cannot be told, {consequence}"
        )
    return present


def assigned(names: Iterable[str]) -> dict[str, str]:
    """What an update or an insert of a MERGE sets: these columns, to the source's values."""
    return {quoted(name): f"source.{quoted(name)}" for name in names}


def _key(index: int) -> str:
    return f"{HIDDEN_PREFIX}key{index}"


def _metrics(kinds: Sequence[DataType]) -> list[Column]:
    keys = [_key(index) for index, _ in enumerate(kinds)]
    return [
        F.sum(_ROWS).alias("rows"),
        F.count(F.lit(1)).alias("keys"),
        F.count_if(_CLASH).alias("clashes"),
        F.sum(F.when(any_null(keys), col(_ROWS))).alias("null_keys"),
        *metrics(list(map(col, keys)), kinds),
    ]


def _require_clean(
    grouped: DataFrame, keys: Sequence[str], null_keys: int, clashes: int, masked: Collection[str]
) -> None:
    if null_keys:
        raise DataError(
            f"{counted(null_keys, 'row has', 'rows have')} NULL in the key ({', '.join(keys)}): add the rule not_null for it, or mend the source"
        )
    if clashes:
        columns = [_key(index) for index, _ in enumerate(keys)]
        examples = grouped.where(_CLASH).select(*columns).orderBy(*columns).limit(NAMED).collect()
        raise DataError(
            f"{counted(clashes, 'key has', 'keys have')} different rows in one batch ({named(keys, examples, masked)}): name what orders them in sequence_by, or use keep_latest"
        )


def _sequence_of_target(schema: StructType, sequence_by: Sequence[str], known: Collection[str]) -> str:
    parts = [
        f"target.{quoted(name)}" if name.lower() in known else f"CAST(NULL AS {schema[name].dataType.simpleString()})"
        for name in sequence_by
    ]
    return f"struct({', '.join(parts)})"


def _struct(side: str, names: Sequence[str]) -> str:
    return "struct(" + ", ".join(f"{side}.{quoted(name)}" for name in names) + ")"
