"""A profile of twenty columns against one scan of them: the same Delta table, measured, and read by Spark row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from measuring import Figure, Size, cost, main, medians
from orders import orders
from pyspark.sql import functions as F

from lakehouse import get_spark
from lakehouse.profiling.table_profile import profile
from lakehouse.tables import Layout


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """Ten columns of orders, each twice."""
    spark, layout, rows = get_spark("bench profile"), Layout(str(folder)), size.rows(2_000_000)
    ten = orders(spark, 0, rows)
    twenty = ten.select("*", *[F.col(name).alias(f"{name}_again") for name in ten.columns])
    twenty.write.format("delta").save(layout.table("silver.orders"))

    def measured() -> None:
        profile(layout, "silver.orders")

    def scanned() -> None:
        spark.read.format("delta").load(layout.table("silver.orders")).write.format("noop").mode("overwrite").save()

    medians([lambda: cost(measured), lambda: cost(scanned)], 2)  # warms both
    taken = medians([lambda: cost(measured), lambda: cost(scanned)], size.pairs)
    found = profile(layout, "silver.orders")
    sound = (found.rows, len(found.columns)) == (rows, 20) and found.columns[0].max == rows - 1
    yield Figure(
        "profile of 20 columns / one scan", *taken, cpu_limit=3, wall_limit=3, said=f"{rows:,} rows", sound=sound
    )


if __name__ == "__main__":
    main("profiles", figures)
