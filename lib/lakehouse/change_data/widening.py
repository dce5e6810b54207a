"""A batch's columns in the types that earlier batches had: the wider of both where that is allowed, refused otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.types import DataType, StructField, StructType

from lakehouse.column_types import as_type, changes, wider
from lakehouse.errors import SinkError
from lakehouse.frames import FILE, HIDDEN_PREFIX, NAMED, any_null, col, named
from lakehouse.history.events import SEQUENCE
from lakehouse.history.shape import PREVIOUS, Shape


@dataclass(frozen=True)
class Keyed:
    """What names a row and its order in an error: its keys, which columns show no value, and those that order the events."""

    keys: Sequence[str]
    masked: Collection[str]
    sequence: Sequence[str] = ()


def target_types(events: DataFrame, shape: Shape) -> StructType:
    """The types of the target's columns, as far as the events tell them."""
    kinds = {field.name: field.dataType for field in events.schema}
    previous = {f"{PREVIOUS}{name}": kinds[name] for name in shape.previous if name in kinds}
    return StructType([StructField(name, kind) for name, kind in {**kinds, **previous}.items()])


def widened(rows: DataFrame, known: StructType, *, allowed: bool, table: str, keyed: Keyed | None = None) -> DataFrame:
    """The rows with each column that is known in another type in the wider of both.

    Raises SinkError naming each column whose type changed where that is not `allowed`, or no type holds both, and the
    first rows that have a value of the new type.
    """
    names = {SEQUENCE: ", ".join(keyed.sequence)} if keyed else {}
    chosen, problems = _chosen(rows, known, allowed=allowed, table=table, names=names)
    if problems:
        raise SinkError("; ".join(problems.values()) + (_rows_named(rows, list(problems), keyed) if keyed else ""))
    return rows.select(
        *[
            as_type(col(name), rows.schema[name].dataType, chosen[name]).alias(name) if name in chosen else col(name)
            for name in rows.columns
        ]
    )


def _chosen(
    rows: DataFrame, known: StructType, *, allowed: bool, table: str, names: Mapping[str, str]
) -> tuple[dict[str, DataType], dict[str, str]]:
    """The columns that get another type, and what is wrong with those that cannot."""
    there = {field.name.lower(): field.dataType for field in known}
    chosen: dict[str, DataType] = {}
    problems: dict[str, str] = {}
    for field in rows.schema:
        before, after = there.get(field.name.lower()), field.dataType
        if before is None or before.simpleString() == after.simpleString():
            continue
        common = wider(before, after)
        if common is not None and (
            allowed or not changes(before, after, grows=True)
        ):  # a struct's other fields are no change
            chosen[field.name] = common
            continue
        hint = "cast it" if common is None else "cast it, or set type_widening: true on the sink"
        name = names.get(field.name, field.name)
        said = f"column '{name}' is {before.simpleString()} in {table} and now {after.simpleString()}"
        problems[field.name] = f"{said}; {hint}"
    return chosen, problems


def _rows_named(rows: DataFrame, changed: Sequence[str], keyed: Keyed) -> str:
    names = [*keyed.keys, *([FILE] if FILE in rows.columns else [])]
    shown = rows.where(~any_null(changed)).select(*map(col, names)).limit(NAMED).collect()
    said = [name.removeprefix(HIDDEN_PREFIX) for name in names]
    return f" ({named(said, shown, keyed.masked)})" if shown else ""
