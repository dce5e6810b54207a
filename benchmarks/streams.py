"""Deduplication within a watermark against a plain append, and how long an event takes from Kafka until readers see it."""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from measuring import ROOT, Cost, Figure, Size, cost, main, medians
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import get_spark, run

sys.path.insert(0, str(ROOT / "tests"))
from broker import Broker, kafka_broker

EVENTS, DAYS = 1_000_000, 4
SMALL, BATCHES = 1_000, 15
LATE = 0.01
SECONDS, PER_SECOND = 60, 1_000
FIELDS = "event_id bigint, order_id string, event_type string, event_time timestamp, amount decimal(12,2)"
DELAY = "2 days"
APPEND = """layer: silver
source:
  delta: {{path: "{events}", max_files_per_trigger: 1}}
read: incremental
schema: "{fields}"
rules:
  - not_null: {{column: event_id}}
  - in_range: {{column: amount, min: 0}}
sink:
  append: {{table: silver.events}}
"""
DEDUPLICATE = """transforms:
  - deduplicate: {{keys: [event_id], within: {delay}}}
stream: {{watermark: {{column: event_time, delay: {delay}}}}}
"""
STATE = {
    "spark.sql.streaming.stateStore.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.sql.streaming.stateStore.rocksdb.trackTotalNumberOfRows": "false",
}
LIVE = """layer: bronze
source:
  kafka: {{bootstrap_servers: "{servers}", topics: {topic}, schema: "{fields}"}}
rules:
  - not_null: {{column: order_id}}
  - in_range: {{column: amount, min: 0}}
stream: {{trigger: "0 seconds"}}
sink:
  append: {{table: bronze.events}}
"""


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """Events of four days in micro-batches small and large, as they come and with some that are too late; then events as they
    happen."""
    spark = get_spark("benchmark streams")
    yield from _deduplicated(spark, folder, size)
    with kafka_broker() as broker:
        yield _latency(spark, folder, broker, size)


def _deduplicated(spark: SparkSession, folder: Path, size: Size) -> Iterator[Figure]:
    for batches, rows, late, limit in (
        (BATCHES, SMALL, 0.0, 1.5), (BATCHES, SMALL, LATE, 2.0), (2, EVENTS // 2, 0.0, 1.5), (2, EVENTS // 2, LATE, 2.0),
    ):  # fmt: skip
        rows = size.rows(rows)
        place = folder / f"events-{batches}-{late}"
        for batch in range(batches):
            _events(spark, rows * batches, batch, batches, late).write.mode("append").format("delta").save(str(place))
        sides = [
            _job(folder, place, APPEND + DEDUPLICATE), _job(folder, place, APPEND), _bare(spark, folder, place)
        ]  # fmt: skip
        medians(sides, 1)
        ours, plain, bare = medians(sides, size.pairs)
        what = f"{batches} micro-batches of {rows:,}{f', {late:.0%} of the second half late' if late else ''}"
        said = f"Spark's own deduplication, without rules and without the late rows: {bare.cpu / plain.cpu:.2f}x CPU"
        yield Figure(f"deduplicate within a watermark / append ({what})", ours, plain, cpu_limit=limit, said=said)


def _events(spark: SparkSession, number: int, batch: int, batches: int, late: float) -> DataFrame:
    """A batch of the events in order of time, one in fifty twice; in the second half a share is older than any event before."""
    numbers = spark.range(number * batch // batches, number * (batch + 1) // batches, 1, 1)
    event, second = "id - if(id % 50 = 1, 1, 0)", f"1767225600 + id * {DAYS * 86400} div {number}"
    is_late = f"{2 * batch >= batches} and hash(id) % 1000 between 0 and {int(late * 1000) - 1}"
    return numbers.selectExpr(
        f"{event} event_id",
        "concat('O', id div 3) order_id",
        "element_at(array('placed', 'paid', 'shipped'), cast(id % 3 as int) + 1) event_type",
        f"timestamp_seconds({second} - if({is_late}, {DAYS * 86400}, 0)) event_time",
        "cast(id % 90000 / 100 as decimal(12,2)) amount",
    )


def _job(folder: Path, events: Path, text: str) -> Callable[[], Cost]:
    """The product's job, each time into a lake of its own."""
    turns = itertools.count()
    file = folder / "conf" / f"{events.name}-{len(text)}.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text.format(events=events, fields=FIELDS, delay=DELAY))
    return lambda: cost(lambda: run(file, lake=str(folder / f"lake-{file.stem}-{next(turns)}")))


def _bare(spark: SparkSession, folder: Path, events: Path) -> Callable[[], Cost]:
    """What a few lines of Spark do, with the same store of state."""
    for key, value in STATE.items():
        spark.conf.set(key, value)
    turns = itertools.count()

    def take() -> None:
        place = str(folder / f"bare-{events.name}-{next(turns)}")
        rows = spark.readStream.format("delta").option("maxFilesPerTrigger", 1).load(str(events))
        kept = rows.withWatermark("event_time", DELAY).dropDuplicatesWithinWatermark(["event_id"])
        writer = kept.writeStream.format("delta").option("checkpointLocation", f"{place}/_checkpoint")
        writer.trigger(availableNow=True).start(f"{place}/table").awaitTermination()

    return lambda: cost(take)


def _latency(spark: SparkSession, folder: Path, broker: Broker, size: Size) -> Figure:
    """What events wait that are written at a steady pace, each side with a topic of its own; its first third only warms."""
    seconds = SECONDS // 3 if size.quick else SECONDS
    taken = []
    for name, stream in (("bare", _live_bare), ("ours", _live_job)):
        topic, place = broker.topic(name), folder / f"live-{name}"
        feed = threading.Thread(target=broker.produce, args=(topic, _paced(seconds)))
        used = cost(partial(stream, spark, place, broker.servers, topic, feed, seconds))
        taken.append((used.cpu, *_waits(spark, place / "bronze/events", seconds)))
    (bare_cpu, bare, bare_most), (cpu, ours, most) = taken
    said = f"p50 {ours:.2f} s, p99 {most:.2f} s; bare stream: p50 {bare:.2f} s, p99 {bare_most:.2f} s"
    name = f"from Kafka until visible, {PER_SECOND:,} events/s for {seconds} s (p50 as wall; CPU with the producer)"
    return Figure(name, Cost(cpu, ours), Cost(bare_cpu, bare), said=said)


def _paced(seconds: int) -> Iterator[dict[str, object]]:
    """Events as they happen: a tenth of a second's at a time."""
    started, burst = time.monotonic(), PER_SECOND // 10
    for turn in range(seconds * 10):
        time.sleep(max(started + turn / 10 - time.monotonic(), 0))
        for index in range(turn * burst, (turn + 1) * burst):
            yield {"event_id": index, "order_id": f"O{index // 3}", "event_type": "placed", "amount": "12.50",
                   "event_time": "2026-01-01T10:00:00Z"}  # fmt: skip


def _live_job(spark: SparkSession, place: Path, servers: str, topic: str, feed: threading.Thread, seconds: int) -> None:
    file = place.parent / "conf" / "live.yml"
    file.write_text(LIVE.format(servers=servers, topic=topic, fields=FIELDS))
    feed.start()
    run(file, lake=str(place), timeout=seconds + 2)
    feed.join()


def _live_bare(
    spark: SparkSession, place: Path, servers: str, topic: str, feed: threading.Thread, seconds: int
) -> None:
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", servers).option("subscribe", topic)
    parsed = F.from_json(F.col("value").cast("string"), FIELDS).alias("event")
    rows = (
        reader.option("startingOffsets", "earliest").load().select(parsed, "timestamp").select("event.*", "timestamp")
    )
    writer = rows.writeStream.format("delta").option("checkpointLocation", str(place / "_checkpoint"))
    feed.start()
    query = writer.start(str(place / "bronze/events"))
    query.awaitTermination(seconds + 2)
    query.stop()
    feed.join()


def _waits(spark: SparkSession, table: Path, seconds: int) -> tuple[float, float]:
    """Median and 99th percentile of the seconds from an event's time in Kafka until the commit that holds it was there."""
    visible = []
    for commit in (table / "_delta_log").glob("*.json"):
        actions = map(json.loads, commit.read_text().splitlines())
        visible += [(action["add"]["path"], commit.stat().st_mtime) for action in actions if "add" in action]
    rows = spark.read.parquet(*(str(table / path) for path, _ in visible))
    time_of = next(name for name in rows.columns if name.lstrip("_") == "timestamp")
    told = rows.select(F.col("_metadata.file_name").alias("path"), F.col(time_of).cast("double").alias("written"))
    waited = told.join(spark.createDataFrame(visible, "path string, at double"), "path")
    first = told.agg(F.min("written")).first()[0]
    late = waited.where(F.col("written") > first + seconds / 3)
    median, most = late.selectExpr("percentile(at - written, array(0.5D, 0.99D)) found").first()["found"]
    return median, most


if __name__ == "__main__":
    main("streams", figures)
