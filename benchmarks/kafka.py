"""Kafka to Delta with rules and a quarantine, against a bare Kafka-to-Delta stream: events a second, and a small micro-batch."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from measuring import ROOT, Cost, Figure, Size, cost, main, medians
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse import get_spark, run

sys.path.insert(0, str(ROOT / "tests"))
from broker import Broker, kafka_broker

EVENTS = 300_000
SMALL, BATCHES = 1_000, 15
FIELDS = "event_id bigint, order_id string, event_type string, event_time timestamp, amount decimal(12,2)"
JOB = """layer: bronze
source:
  kafka: {{bootstrap_servers: "{servers}", topics: {topic}, schema: "{fields}"{more}}}
rules:
  - not_null: {{column: order_id}}
  - accepted_values: {{column: event_type, values: [placed, paid, shipped]}}
  - in_range: {{column: amount, min: 0}}
  - not_null: {{column: event_time}}
sink:
  append: {{table: bronze.events}}
"""


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """Sound events as one batch; the same with one in a hundred broken; micro-batches of 1,000 sound ones."""
    spark = get_spark("benchmark kafka")
    with kafka_broker() as broker:
        for topic, number, most, limit in (
            ("sound", EVENTS, 0, 1.43), ("broken", EVENTS, 0, 1.43), ("small", SMALL * BATCHES, SMALL, 1.6),
        ):  # fmt: skip
            events = size.rows(number)
            broker.produce(broker.topic(topic), _events(events, dirty=topic == "broken"))
            sides = [_job(folder, broker, topic, most), _bare(spark, folder, broker, topic, most)]
            medians(sides, 1)
            ours, theirs = medians(sides, size.pairs)
            what = (
                f"{events:,} events{', 1 % broken' if topic == 'broken' else ''}"
                if not most
                else f"{events // most} micro-batches of {most:,}"
            )
            name = f"kafka ({what}, 4 rules and quarantine / bare stream)"
            yield Figure(name, ours, theirs, wall_limit=limit, said=f"{events / ours.wall:,.0f} events/s")


def _events(number: int, *, dirty: bool) -> Iterator[dict[str, object] | bytes]:
    for index in range(number):
        kind = ("placed", "paid", "shipped")[index % 3]
        event = {"event_id": index, "order_id": f"O{index // 3:09d}", "event_type": kind,
                 "event_time": f"2026-01-{index % 28 + 1:02d}T10:00:00Z", "amount": f"{index % 90_000 / 100:.2f}"}  # fmt: skip
        broken = b"no json" if index % 200 == 0 else {**event, "amount": "-1"} if index % 200 == 100 else None
        yield broken if dirty and broken is not None else event


def _job(folder: Path, broker: Broker, topic: str, most: int) -> Callable[[], Cost]:
    """The product's job, each time into a lake of its own."""
    turns = itertools.count()
    (folder / "conf").mkdir(exist_ok=True)
    file = folder / "conf" / f"{topic}.yml"
    more = f", max_offsets_per_trigger: {most}" if most else ""
    file.write_text(JOB.format(servers=broker.servers, topic=topic, fields=FIELDS, more=more))
    return lambda: cost(lambda: run(file, lake=str(folder / f"{topic}-{next(turns)}")))


def _bare(spark: SparkSession, folder: Path, broker: Broker, topic: str, most: int) -> Callable[[], Cost]:
    """What a few lines of Spark do: the value parsed, everything appended."""
    turns = itertools.count()

    def take() -> None:
        place = str(folder / f"bare-{topic}-{next(turns)}")
        reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", broker.servers)
        reader = (
            reader.option("subscribe", topic).option("startingOffsets", "earliest").option("includeHeaders", "true")
        )
        messages = (reader.option("maxOffsetsPerTrigger", most) if most else reader).load()
        parsed = F.from_json(F.col("value").cast("string"), FIELDS).alias("event")
        rows = messages.select(parsed, "topic", "partition", "offset", "timestamp", "key", "headers").select(
            "event.*", "*"
        )
        writer = rows.drop("event").writeStream.format("delta").option("checkpointLocation", f"{place}/_checkpoint")
        writer.trigger(availableNow=True).start(f"{place}/table").awaitTermination()

    return lambda: cost(take)


if __name__ == "__main__":
    main("kafka", figures)
