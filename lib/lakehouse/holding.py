"""Frames worked out once, and counted while they are."""

from __future__ import annotations

from typing import Any

from pyspark.sql import Column, DataFrame, Observation

_CONSTRAINTS = "spark.sql.constraintPropagation.enabled"


def held(rows: DataFrame, *counted: Column) -> tuple[DataFrame, dict[str, Any]]:
    """The rows, materialised, and these aggregates of them.

    Spark derives constraints from each comparison, a set that doubles with every renamed column: minutes of planning
    for a table of a dozen columns, and nothing to gain here.
    """
    session = rows.sparkSession
    observed = Observation()
    before = str(session.conf.get(_CONSTRAINTS))
    session.conf.set(_CONSTRAINTS, "false")
    try:
        found = (rows.observe(observed, *counted) if counted else rows).localCheckpoint()
    finally:
        session.conf.set(_CONSTRAINTS, before)
    return found, dict(observed.get) if counted else {}
