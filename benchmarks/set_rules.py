"""Twelve rules, `unique` and `foreign_key` among them, with 1% of the rows for the quarantine, against bare Spark."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from measuring import Cost, Figure, Size, cost, main, medians
from orders import RULES, job, orders
from rules import by_spark

from lakehouse import get_spark, run

_CUSTOMERS = 100_000


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """One job with ten rules on a row, a key that must not repeat and a reference to a table of 100,000 keys."""
    spark = get_spark("bench set_rules")
    rows = size.rows(2_000_000)
    data, customers = folder / "data", folder / "customers"
    orders(spark, 0, rows, broken=0.01).write.parquet(str(data))
    spark.range(_CUSTOMERS).selectExpr("cast(id as int) customer_id").write.format("delta").save(str(customers))
    rules = (*RULES, "unique: {columns: order_id}", "foreign_key: {column: customer_id, table: silver.customers}")
    file = job(folder, "orders", f"files: {{path: {data}, format: parquet}}", "append: {table: silver.orders}", rules)
    ours, bare = product(file, folder, customers), by_spark(spark, data, folder)
    medians([ours, bare], 2)  # warms both
    taken = medians([ours, bare], size.pairs)
    lake = with_customers(folder / "counted", customers)
    record = run(file, lake=str(lake))
    said = f"{rows:,} rows, 12 rules, {record.rows_quarantined:,} quarantined"
    yield Figure("set_rules", *taken, cpu_limit=2.6, said=said, sound=record.rows_quarantined > 0)


def with_customers(lake: Path, customers: Path) -> Path:
    """A lake that holds the table of customers."""
    shutil.copytree(customers, lake / "silver" / "customers")
    return lake


def product(file: Path, folder: Path, customers: Path) -> Callable[[], Cost]:
    """A run of the job into a lake of its own."""
    numbers = itertools.count()

    def once() -> Cost:
        lake = with_customers(folder / f"lake{next(numbers)}", customers)
        taken = cost(lambda: run(file, lake=str(lake)))
        shutil.rmtree(lake)
        return taken

    return once


if __name__ == "__main__":
    main("set_rules", figures)
