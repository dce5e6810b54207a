"""A Delta table's CHECK constraints, held against those that its job asks for."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import SparkSession

from lakehouse.frames import quoted
from lakehouse.sql_text import bare

_CHECK = "delta.constraints."


def require_checks(
    spark: SparkSession, path: str, constraints: Mapping[str, str], have: Mapping[str, str], *, ours: str | None = None
) -> None:
    """Gives the table each CHECK constraint that it does not have so yet; those whose names begin with `ours` and that
    are not asked for are taken off. `have`: the table's properties."""
    other = other_checks(constraints, have)
    gone = [*(other & checks(have).keys()), *unasked_checks(constraints, have, ours)]
    changes = [f"DROP CONSTRAINT {quoted(name)}" for name in gone]
    changes += [
        f"ADD CONSTRAINT {quoted(name)} CHECK ({condition})"
        for name, condition in constraints.items()
        if name.lower() in other
    ]
    if changes:
        plain = spark.newSession()  # a job's own session takes no path for a table's name
        for change in changes:
            plain.sql(f"ALTER TABLE delta.{quoted(path)} {change}")


def other_checks(constraints: Mapping[str, str], properties: Mapping[str, str]) -> set[str]:
    """The names, in small letters, of those constraints that a table does not have, or under another condition."""
    there = checks(properties)  # as Delta keeps them: a blank between any two words
    return {name.lower() for name, sql in constraints.items() if bare(there.get(name.lower(), "")) != bare(sql)}


def unasked_checks(constraints: Mapping[str, str], properties: Mapping[str, str], ours: str | None) -> list[str]:
    """The table's constraints whose names begin with `ours` and that are not asked for; without `ours` none."""
    asked_for = {name.lower() for name in constraints}
    return [name for name in checks(properties) if ours is not None and name.startswith(ours) and name not in asked_for]


def checks(properties: Mapping[str, str]) -> dict[str, str]:
    """A table's CHECK constraints by name, in small letters."""
    return {key.removeprefix(_CHECK): sql for key, sql in properties.items() if key.startswith(_CHECK)}
