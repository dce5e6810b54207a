"""A run in a session that is warm: 1,000 new rows through one job, and nothing new, against the same steps by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from delta.tables import DeltaTable
from measuring import Cost, Figure, Size, cost, jobs_run, main, medians
from orders import job, orders
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse import get_spark, run

ROWS = 1_000


class Feed:
    """A bronze table that gets 1,000 rows at a time."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.lake, self.top = spark, str(folder / "lake"), 0
        self.bronze = f"{self.lake}/bronze/orders"

    def arrive(self) -> None:
        """Half of the rows come again, half are new."""
        rows = orders(self.spark, max(self.top - ROWS // 2, 0), self.top + ROWS // 2, parts=1)
        rows.write.format("delta").mode("append").save(self.bronze)
        self.top += ROWS // 2


class ByHand(Feed):
    """The same steps as a job of a few lines: an intent, a stream's micro-batch deduplicated and merged, a record."""

    def run(self) -> None:
        """Takes what is new."""
        self._note("intent")
        stream = self.spark.readStream.format("delta").load(self.bronze)
        writer = stream.writeStream.option("checkpointLocation", f"{self.lake}/checkpoint").foreachBatch(self._merge)
        writer.trigger(availableNow=True).start().awaitTermination()
        self._note("record")

    def _merge(self, rows: DataFrame, _: int) -> None:
        newest = F.row_number().over(Window.partitionBy("order_id").orderBy(F.desc("ordered_at")))
        valid = rows.where("order_id is not null and quantity >= 1")
        changes = valid.withColumn("place", newest).where("place = 1").drop("place")
        target = f"{self.lake}/silver/orders"
        if not DeltaTable.isDeltaTable(rows.sparkSession, target):
            changes.write.format("delta").option("delta.enableDeletionVectors", "true").save(target)
            return
        merge = DeltaTable.forPath(rows.sparkSession, target).alias("target")
        merge = merge.merge(changes.alias("source"), "target.order_id = source.order_id")
        merge.whenMatchedUpdateAll("source.ordered_at >= target.ordered_at").whenNotMatchedInsertAll().execute()

    def _note(self, what: str) -> None:
        append_one_row(self.spark, f"{self.lake}/_{what}")


class ByJob(Feed):
    """The job."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        super().__init__(spark, folder)
        rules = ("not_null: {column: order_id}", "in_range: {column: quantity, min: 1}")
        sink = "merge: {table: silver.orders, keys: [order_id], sequence_by: [ordered_at]}"
        self.file = job(folder, "orders", "delta: {table: bronze.orders}", sink, rules)

    def run(self) -> None:
        """Takes what is new."""
        run(self.file, lake=self.lake)


def append_one_row(spark: SparkSession, place: str) -> None:
    """The smallest commit that Spark can make."""
    row = spark.createDataFrame([("orders", datetime.now(UTC), 1)], "job string, at timestamp, rows long")
    row.write.format("delta").mode("append").save(place)


def taken(feed: ByHand | ByJob) -> Cost:
    """What a run over 1,000 new rows takes."""
    feed.arrive()
    return cost(feed.run)


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """New rows, then nothing new."""
    spark = get_spark("bench warm")
    for name in ("job", "hand"):
        (folder / name).mkdir()
    ours, theirs = ByJob(spark, folder / "job"), ByHand(spark, folder / "hand")
    medians([lambda: taken(ours), lambda: taken(theirs)], 4)  # warms both
    jobs = [jobs_run(spark)]
    for feed in (ours, theirs):
        feed.arrive()
        jobs.append(jobs_run(spark))
        feed.run()
        jobs.append(jobs_run(spark))
    said = f"Spark jobs {jobs[2] - jobs[1]} / {jobs[4] - jobs[3]}"
    sides = medians([lambda: taken(ours), lambda: taken(theirs)], size.pairs)
    yield Figure("warm (1,000 rows / by hand)", *sides, cpu_limit=1.3, wall_limit=1.3, said=said)
    place = str(folder / "one_row")
    nothing = [lambda: cost(ours.run), lambda: cost(lambda: append_one_row(spark, place))]
    medians(nothing, 3)
    before = jobs_run(spark)
    ours.run()
    said = f"Spark jobs {jobs_run(spark) - before}"
    yield Figure(
        "warm (nothing new / one row appended)", *medians(nothing, size.pairs), cpu_limit=2, wall_limit=2, said=said
    )


if __name__ == "__main__":
    main("warm", figures)
