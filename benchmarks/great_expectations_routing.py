"""Good and bad rows written apart: by a job with ten rules, and by Great Expectations with the ten expectations they are."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from measuring import Cost, Figure, Size, cost, main, medians
from orders import RULES, job, orders
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rules import product

from lakehouse import get_spark, run
from lakehouse.planning.planner import plan_job
from lakehouse.suites.exporting import exported

KEY = "order_id"


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """The same file, 1% of its rows broken: read, judged, the good rows in one Delta table and the bad ones in another."""
    spark = get_spark("bench expectations")
    rows = size.rows(1_000_000)
    data = folder / "data"
    orders(spark, 0, rows, broken=0.01).write.parquet(str(data))
    file = job(folder, "routed", f"files: {{path: {data}, format: parquet}}", "append: {table: silver.routed}", RULES)
    sides = [product(file, folder), by_expectations(spark, data, folder, suite_of(file))]
    medians(sides, 1)  # warms both
    taken = medians(sides, size.pairs)
    record = run(file, lake=str(folder / "counted"))
    good, bad = routed(spark, data, folder / "theirs", suite_of(file))
    said = f"{rows:,} rows, 10 rules each, {bad:,} bad rows"
    same = (record.rows_valid, record.rows_quarantined) == (good, bad) and bad > 0
    yield Figure("rules / Great Expectations", *taken, cpu_limit=0.5, wall_limit=0.5, said=said, sound=same)


def suite_of(file: Path) -> gx.ExpectationSuite:
    """The job's rules as a suite; the one that asks for the time with a time that stands still."""
    suite = exported(plan_job(file, lake="unused")).suite.as_json
    latest = {"column": "ordered_at", "max_value": datetime.now(UTC).isoformat()}
    suite["expectations"].append({"type": "expect_column_values_to_be_between", "kwargs": latest})
    if len(suite["expectations"]) != len(RULES):
        raise RuntimeError(f"{len(suite['expectations'])} expectations for {len(RULES)} rules")
    return gx.ExpectationSuite(**suite)


def by_expectations(spark: SparkSession, data: Path, folder: Path, suite: gx.ExpectationSuite) -> Callable[[], Cost]:
    """The same by Great Expectations, into tables of its own."""
    numbers = itertools.count()

    def once() -> Cost:
        place = folder / f"theirs{next(numbers)}"
        taken = cost(lambda: routed(spark, data, place, suite, count=False))
        shutil.rmtree(place)
        return taken

    return once


def routed(
    spark: SparkSession, data: Path, to: Path, suite: gx.ExpectationSuite, *, count: bool = True
) -> tuple[int, int]:
    """Writes good and bad rows apart by the keys that a validation names; how many there are of each.

    As its docs have it: `COMPLETE` results with `unexpected_index_column_names`, and a join by what they list.
    """
    rows = spark.read.parquet(str(data)).persist()
    found = validated(rows, suite)
    keys = {item[KEY] for result in found for item in result.get("unexpected_index_list") or []}
    bad = spark.createDataFrame([(key,) for key in sorted(keys)], f"{KEY} bigint")
    parts = {
        "good": rows.join(F.broadcast(bad), KEY, "left_anti"),
        "bad": rows.join(F.broadcast(bad), KEY, "left_semi"),
    }
    for name, part in parts.items():
        part.write.format("delta").save(str(to / name))
    rows.unpersist()
    if not count:
        return 0, 0
    written = [spark.read.format("delta").load(str(to / name)).count() for name in parts]
    return written[0], written[1]


def validated(rows: DataFrame, suite: gx.ExpectationSuite) -> list[dict[str, Any]]:
    """What the suite says of the rows, an expectation each, with the keys of the rows that it does not hold for."""
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False, progress_bars=ProgressBarsConfig(globally=False),
    )  # fmt: skip
    context = gx.get_context(mode="ephemeral", project_config=config)
    source = context.data_sources.add_spark("bench", persist=False)  # the rows are held already
    definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    asked = {"result_format": "COMPLETE", "unexpected_index_column_names": [KEY]}
    found = definition.get_batch({"dataframe": rows}).validate(suite, result_format=asked)
    raised = [result for result in found.results if not result.result]
    if raised:
        raise RuntimeError(str(raised[0].exception_info))
    return [result.result for result in found.results]


if __name__ == "__main__":
    main("great_expectations_routing", figures)
