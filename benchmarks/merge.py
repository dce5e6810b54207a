"""10,000 changes into a table of 500,000 rows and into one ten times larger: the time must not grow, no row is copied."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measuring import Cost, Figure, Size, cost, main, medians
from orders import job, orders
from pyspark.sql import SparkSession

from lakehouse import get_spark, run

CHANGES = 10_000
FILE_ROWS = 50_000


class Table:
    """A table of orders under even numbers, in order of arrival, and the job that merges what comes next."""

    def __init__(self, spark: SparkSession, folder: Path, rows: int, *, spread: bool) -> None:
        self.spark, self.rows, self.spread = spark, rows, spread
        self.folder = folder / f"{'spread' if spread else 'clustered'}{rows}"
        self.landing, self.place, self.turn = self.folder / "landing", self.folder / "lake/silver/orders", 0
        self.landing.mkdir(parents=True)
        table = orders(spark, 0, 2 * rows, step=2, parts=max(rows // FILE_ROWS, 2))
        table.write.format("delta").option("delta.enableDeletionVectors", "true").save(str(self.place))
        source = f"files: {{path: {self.landing}, format: parquet}}"
        sink = "merge: {table: silver.orders, keys: [order_id], sequence_by: [ordered_at, quantity]}"
        self.file = job(self.folder, "changes", source, sink)

    def arrive(self) -> None:
        """One file of changes: half of them to rows that are there, half new."""
        self.turn += 1
        half, top = CHANGES // 2, 2 * (self.rows + (self.turn - 1) * CHANGES // 2)
        if self.spread:  # the new ones under odd numbers
            gap = 2 * self.rows // half
            old = orders(self.spark, 2 * self.turn, 2 * self.rows, step=gap, parts=1)
            new = orders(self.spark, 2 * self.turn + 1, 2 * self.rows, step=gap, parts=1)
        else:
            old = orders(self.spark, top - 2 * half, top, step=2, parts=1)
            new = orders(self.spark, top, top + 2 * half, step=2, parts=1)
        later = old.withColumn("quantity", old["quantity"] + 1).withColumn("note", old["email"])
        later.union(new).coalesce(1).write.mode("append").parquet(str(self.landing))

    def merged(self) -> Cost:
        """What one run of the job takes."""
        self.arrive()
        return cost(lambda: run(self.file, lake=str(self.folder / "lake")))

    def metrics(self) -> dict[str, int]:
        """What the last commit says of itself."""
        last = max((self.place / "_delta_log").glob("*.json"))
        actions = [json.loads(line) for line in last.read_text().splitlines()]
        info: dict[str, Any] = next(action["commitInfo"] for action in actions if "commitInfo" in action)
        return {name: int(value) for name, value in info["operationMetrics"].items() if str(value).isdigit()}


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """Changes clustered in key at the table's end, then the same number spread evenly."""
    spark = get_spark("bench merge")
    for spread in (False, True):
        tables = [Table(spark, folder, size.rows(rows), spread=spread) for rows in (5_000_000, 500_000)]
        sides: list[Callable[[], Cost]] = [table.merged for table in tables]
        medians(sides, 2)  # warms both
        taken = medians(sides, size.pairs)
        found = [table.metrics() for table in tables]
        copied, files = (
            [metrics.get(name, 0) for metrics in found] for name in ("numTargetRowsCopied", "numTargetFilesRemoved")
        )
        said = f"{found[0].get('numTargetRowsUpdated', 0):,} updated, {found[0].get('numTargetRowsInserted', 0):,} inserted, " \
            f"rows copied {copied[0]} / {copied[1]}, files replaced {files[0]} / {files[1]}"  # fmt: skip
        name = f"merge ({'spread' if spread else 'clustered'}, {tables[0].rows:,} / {tables[1].rows:,})"
        limit = None if spread else 1.25
        yield Figure(name, *taken, cpu_limit=limit, wall_limit=limit, said=said, sound=spread or not any(copied))


if __name__ == "__main__":
    main("merge", figures)
