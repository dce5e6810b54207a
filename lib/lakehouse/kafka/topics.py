"""Topics as their brokers tell of them: identity, partitions, and which offsets are there; asked by the driver."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.errors import DataError, LakehouseError, passing
from lakehouse.kafka.client import PATIENCE, Cluster

_LOOK = 0.05  # seconds between two looks whether a new topic is known


@dataclass(frozen=True)
class Topic:
    """A topic: the id that it got when it was made, and by partition its first offset and the one after its last."""

    id: str
    partitions: Mapping[int, tuple[int, int]]


def topics_of(cluster: Cluster, names: Sequence[str], failure: type[LakehouseError] = DataError) -> dict[str, Topic]:
    """The topics by name; raises `failure` naming each one that is missing, and brokers that do not answer in time."""
    with _admin(cluster, failure) as (admin, jvm):
        described = admin.describeTopics(jvm.java.util.ArrayList(list(names))).topicNameValues()
        found = {name: _described(described.get(name), jvm) for name in names}
        missing = [name for name, topic in found.items() if topic is None]
        if missing:
            there = "there is no topic " + ", ".join(missing)
            raise failure(f"kafka: {there} at {cluster.servers}; make it, or mend its name")
        places = {(name, number): None for name, topic in found.items() for number in _partitions(topic)}
        earliest = _offsets(admin, jvm, places, jvm.org.apache.kafka.clients.admin.OffsetSpec.earliest())
        latest = _offsets(admin, jvm, places, jvm.org.apache.kafka.clients.admin.OffsetSpec.latest())
    return {
        name: Topic(
            str(topic.topicId().toString()),
            {number: (earliest[name, number], latest[name, number]) for number in _partitions(topic)},
        )
        for name, topic in found.items()
    }


def make_topics(cluster: Cluster, names: Sequence[str]) -> None:
    """Makes topics with as many partitions and copies as their brokers give by themselves; returns once they are known."""
    with _admin(cluster, DataError) as (admin, jvm):
        unsaid, wanted = jvm.java.util.Optional.empty(), jvm.java.util.ArrayList()
        for name in names:
            wanted.add(jvm.org.apache.kafka.clients.admin.NewTopic(name, unsaid, unsaid))
        admin.createTopics(wanted).all().get(PATIENCE, jvm.java.util.concurrent.TimeUnit.SECONDS)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not _are_known(admin, jvm, names):
            time.sleep(_LOOK)  # the controller answers a moment before its brokers know


def _are_known(admin: Any, jvm: Any, names: Sequence[str]) -> bool:
    described = admin.describeTopics(jvm.java.util.ArrayList(list(names))).topicNameValues()
    return all(_described(described.get(name), jvm) is not None for name in names)


def drop_topics(cluster: Cluster, names: Sequence[str]) -> None:
    """Takes topics away, with all that is in them."""
    with _admin(cluster, DataError) as (admin, jvm):
        admin.deleteTopics(jvm.java.util.ArrayList(list(names))).all().get(
            PATIENCE, jvm.java.util.concurrent.TimeUnit.SECONDS
        )


def unreachable(cluster: Cluster, said: object) -> str:
    """What a failure of the brokers is called: who did not answer, and what Kafka says of it, without any secret."""
    return f"kafka: no answer from {cluster.servers}: {cluster.without_secrets(_first_line(said))}"


@contextmanager
def _admin(cluster: Cluster, failure: type[LakehouseError]) -> Iterator[tuple[Any, Any]]:
    """A client of the brokers and the JVM that it lives in; what it cannot do in time is one line."""
    jvm: Any = SparkSession.active()._jvm
    properties = jvm.java.util.Properties()
    for name, value in cluster.client().items():
        properties.setProperty(name, value)
    admin = None
    try:
        admin = jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
        yield admin, jvm
    except (Py4JJavaError, PySparkException) as error:
        raise passing(failure(unreachable(cluster, _cause(error)))) from None  # whose trace would quote the settings
    finally:
        if admin is not None:
            admin.close(jvm.java.time.Duration.ofSeconds(1))


def _described(future: Any, jvm: Any) -> Any:
    """The topic's description, or None where there is no such topic."""
    try:
        return future.get(PATIENCE, jvm.java.util.concurrent.TimeUnit.SECONDS)
    except Py4JJavaError as error:
        if "UnknownTopicOrPartitionException" in str(error.java_exception.toString()):
            return None
        raise


def _partitions(topic: Any) -> Iterable[int]:
    partitions = topic.partitions()
    return [int(partitions.get(index).partition()) for index in range(partitions.size())]


def _offsets(admin: Any, jvm: Any, places: Iterable[tuple[str, int]], spec: Any) -> dict[tuple[str, int], int]:
    place_of: Callable[..., Any] = jvm.org.apache.kafka.common.TopicPartition
    asked = jvm.java.util.HashMap()
    keys = {place: place_of(*place) for place in places}
    for key in keys.values():
        asked.put(key, spec)
    found = admin.listOffsets(asked).all().get(PATIENCE, jvm.java.util.concurrent.TimeUnit.SECONDS)
    return {place: int(found.get(key).offset()) for place, key in keys.items()}


def _cause(error: Exception) -> str:
    """What Kafka says at the bottom of a failure."""
    if not isinstance(error, Py4JJavaError):
        return str(error)
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.getMessage() or cause.toString())


def _first_line(said: object) -> str:
    return (str(said).strip().splitlines() or ["nothing"])[0]
