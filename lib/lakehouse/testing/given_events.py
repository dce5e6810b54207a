"""Events as a test writes them, in topics of the test's own on the brokers that the job reads."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from lakehouse.config.job_tests import Event
from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.kafka.client import Cluster, cluster
from lakehouse.kafka.topics import drop_topics, make_topics
from lakehouse.planning.plan import Plan, Step

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SCHEMA = "topic string, key string, value string, headers array<struct<key: string, value: string>>"


@contextmanager
def own_topics(plan: Plan) -> Iterator[tuple[Plan, Mapping[str, str]]]:
    """The plan reading topics made for it, by the names that the job has; a plan of another source as it is."""
    if plan.source.name != "kafka":
        yield plan, {}
        return
    if plan.source.option("value_format") == "avro":
        raise ConfigError(f"{plan.name} reads avro; a test can give it JSON and text alone")
    names = {topic: f"{topic}.test-{secrets.token_hex(4)}" for topic in plan.source.option("topics")}
    clients = _cluster(plan.source)
    make_topics(clients, list(names.values()))
    try:
        yield replace(plan, source=_reading(plan.source, list(names.values()))), names
    finally:
        drop_topics(clients, list(names.values()))


def send(events: Sequence[Event], plan: Plan, topics: Mapping[str, str], spark: SparkSession) -> None:
    """Sends the events; raises ConfigError where the job reads no topics, or not the one that is named."""
    if not events:
        return
    if not topics:
        raise ConfigError(f"{plan.name} reads no topics, but {plan.source.name}; give it 'rows' or 'files'")
    strange = next((event.topic for event in events if event.topic and event.topic not in topics), None)
    if strange is not None:
        raise ConfigError(f"{plan.name} reads no topic '{strange}'.{did_you_mean(strange, topics)}")
    rows = [
        (
            topics[event.topic or next(iter(topics))], event.key, _text(event.value),
            [(name, value) for name, value in event.headers.items()],
        )
        for event in events
    ]  # fmt: skip
    frame = spark.createDataFrame(rows, _SCHEMA).selectExpr(
        "topic",
        "key",
        "value",
        "transform(headers, h -> struct(h.key AS key, cast(h.value AS binary) AS value)) AS headers",
    )
    writer = frame.coalesce(1).write.format("kafka").mode("append").options(**_cluster(plan.source).writer())
    writer.option("includeHeaders", "true").save()


def _reading(source: Step, topics: list[str]) -> Step:
    given = {**source.given, "topics": topics}
    return replace(source, given=given, options=source.entry.options.model_validate(given))


def _cluster(source: Step) -> Cluster:
    return cluster(source.option("bootstrap_servers"), source.option("options"))


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
