"""A hundred rules against one: no further Spark job, no second pass over the rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lakehouse import get_spark, run
from measuring import Figure, Size, jobs_run, main, medians
from orders import RULES, job, orders
from rules import product


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """The same job with 1 and with 100 rules."""
    spark = get_spark("bench many_rules")
    data = folder / "data"
    orders(spark, 0, size.rows(2_000_000)).write.parquet(str(data))
    files = [
        job(folder, f"rules{number}", f"files: {{path: {data}, format: parquet}}",
            "append: {table: silver.orders}", hundred()[:number])
        for number in (100, 1)
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
    """The ten rules ten times over, each under a name of its own."""
    return tuple(rule.rstrip("}").split(", name:")[0] + f", name: rule{turn}_{index}}}"
                 if "pattern" not in rule else f"{rule[:-1]}, name: rule{turn}_{index}}}"
                 for turn in range(10) for index, rule in enumerate(RULES))  # fmt: skip


if __name__ == "__main__":
    main("many_rules", figures)
