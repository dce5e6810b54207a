"""A hundred rules against one: no further Spark job, no second pass over the rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from measuring import Figure, Size, jobs_run, main, medians
from orders import job, orders
from rules import product

from lakehouse import get_spark, run


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """The same job with 1 and with 100 rules."""
    spark = get_spark("bench many_rules")
    data = folder / "data"
    orders(spark, 0, size.rows(2_000_000)).write.parquet(str(data))
    files = [
        job(folder, f"rules{len(rules)}", f"files: {{path: {data}, format: parquet}}",
            "append: {table: silver.orders}", rules)
        for rules in (hundred(), hundred()[1:2])
    ]  # fmt: skip
    sides = [product(file, folder) for file in files]
    medians(sides, 2)  # warms both
    taken = medians(sides, size.pairs)
    jobs = []
    for file in files:
        before = jobs_run(spark)
        run(file, lake=str(folder / file.stem))
        jobs.append(jobs_run(spark) - before)
    said = f"Spark jobs {jobs[0]} / {jobs[1]}"
    yield Figure("many_rules (100 / 1)", *taken, cpu_limit=2, said=said, sound=jobs[0] == jobs[1])


def hundred() -> tuple[str, ...]:
    """A hundred rules, no two the same, of which no row breaks one."""
    kinds = (
        "not_null: {{column: order_id, name: a{0}, where: quantity > -{0}}}",
        "in_range: {{column: amount, max: 10000{0}, name: b{0}}}",
        "accepted_values: {{column: status, values: [created, paid, shipped, delivered, other{0}], name: c{0}}}",
        "length: {{column: email, min: 5, max: 80{0}, name: d{0}}}",
        "expr: {{sql: discount < amount + 1{0}, name: e{0}}}",
    )
    return tuple(kind.format(turn) for turn in range(20) for kind in kinds)


if __name__ == "__main__":
    main("many_rules", figures)
