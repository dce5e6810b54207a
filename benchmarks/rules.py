"""Row rules against none: typed Parquet through ten rules into Delta, against bare Spark reading and writing the same."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from measuring import Cost, Figure, Size, cost, main, medians
from orders import RULES, job, orders
from pyspark.sql import SparkSession

from lakehouse import get_spark, run


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """A clean batch, and one with 1% of its rows for the quarantine."""
    spark = get_spark("bench rules")
    rows = size.rows(2_000_000)
    for name, broken, limit in (("clean", 0.0, 1.4), ("broken", 0.01, 2.0)):
        data = folder / name
        orders(spark, 0, rows, broken=broken).write.parquet(str(data))
        file = job(
            folder, name, f"files: {{path: {data}, format: parquet}}", f"append: {{table: silver.{name}}}", RULES
        )
        ours, bare = product(file, folder), by_spark(spark, data, folder)
        medians([ours, bare], 2)  # warms both
        taken = medians([ours, bare], size.pairs)
        record = run(file, lake=str(folder / "counted"))
        said = f"{rows:,} rows, 10 rules, {record.rows_quarantined:,} quarantined"
        yield Figure(
            f"rules ({name})", *taken, cpu_limit=limit, said=said, sound=bool(record.rows_quarantined) == (broken > 0)
        )


def product(file: Path, folder: Path) -> Callable[[], Cost]:
    """A run of the job into a lake of its own."""
    numbers = itertools.count()

    def once() -> Cost:
        lake = folder / f"lake{next(numbers)}"
        taken = cost(lambda: run(file, lake=str(lake)))
        shutil.rmtree(lake)
        return taken

    return once


def by_spark(spark: SparkSession, data: Path, folder: Path) -> Callable[[], Cost]:
    """The same files read and written without a check."""
    numbers = itertools.count()

    def once() -> Cost:
        place = folder / f"bare{next(numbers)}"
        taken = cost(lambda: spark.read.parquet(str(data)).write.format("delta").mode("append").save(str(place)))
        shutil.rmtree(place)
        return taken

    return once


if __name__ == "__main__":
    main("rules", figures)
