"""A lake of a test's own: tables filled with rows, jobs run in it, tables read by another reader than the one that wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import api, lake, runs
from lakehouse.tables import Layout
from lakehouse.testing.differences import require_same
from lakehouse.testing.given_rows import frame_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse.runs import RunRecord

_ONLY_SPARK = "Unsupported table features"


@dataclass(frozen=True)
class Lake:
    """A folder that is a lake, and the session that works in it."""

    root: Path
    spark: SparkSession

    @property
    def layout(self) -> Layout:
        """Where its tables lie."""
        return Layout(str(self.root))

    def write(self, table: str, rows: Sequence[Mapping[str, Any] | Sequence[Any]] | DataFrame, schema: str | None = None,
              *, mode: str = "append", options: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """Adds rows to the table `layer.name`, or makes it of them; `mode` overwrite replaces what is there."""
        frame = frame_of(self.spark, rows, schema) if isinstance(rows, Sequence) else rows
        evolving = {"overwriteSchema" if mode == "overwrite" else "mergeSchema": "true", **(options or {})}
        frame.write.format("delta").mode(mode).options(**evolving).save(self.layout.table(table))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, ordered by all columns; none where there is no such table.

        Read by the deltalake package, so that what Spark wrote is seen by someone else; by Spark where only that can.
        """
        from deltalake.exceptions import DeltaError

        place = self.layout.table(table)
        try:
            found = runs.query(place, self.layout.root, "SELECT * FROM t")
        except DeltaError as error:
            if _ONLY_SPARK not in str(error):
                raise
            found = lake.read(self.spark, place).toArrow().to_pylist()
        return sorted(found, key=str)

    def run(self, job: str | Path, **options: Any) -> RunRecord:
        """Runs a job in this lake; a name in the nearest `conf/`, or a YAML file. See `lakehouse.run`."""
        return api.run(job, self.spark, str(self.root), **options)

    def require(self, table: str, expected: Sequence[Mapping[str, Any]]) -> None:
        """Raises Different, an AssertionError that shows the differences, unless the table holds these rows, in any order.

        Columns that no expected row names may be anything; times are text in UTC.
        """
        require_same(table, expected, self.rows(table))
