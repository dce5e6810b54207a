"""A real Kafka broker for tests and benchmarks: one KRaft node on free ports of loopback, its data in a folder of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from servers import ROOT, free_port

_NODE = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=0
"""


@dataclass(frozen=True)
class Message:
    """A record as it lies in a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Broker:
    """A broker that can be killed and started again on the same port with what it had."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.servers = f"127.0.0.1:{self.port}"
        self._properties = folder / "server.properties"
        self._properties.write_text(_NODE.format(folder=folder, port=self.port, controller=free_port()))
        self._process: subprocess.Popen[bytes] | None = None
        self.admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        _finished(
            _java("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(self._properties))
        )

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(_java("kafka.Kafka", str(self._properties)), stdout=log, stderr=log)
        deadline = time.monotonic() + 90
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the broker did not start: {(self.folder / 'log').read_text()[-1000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            if client.connect_ex(("127.0.0.1", self.port)):
                return False
        try:
            return bool(self.admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """An empty topic of this name: one that another test has left is deleted first."""
        if name in self.admin.list_topics(timeout=5).topics:
            self.delete(name)
        new = NewTopic(name, partitions, 1, config={key.replace("_", "."): value for key, value in config.items()})
        self.admin.create_topics([new])[name].result(30)
        self._wait(name, there=True)
        return name

    def delete(self, name: str) -> None:
        self.admin.delete_topics([name])[name].result(30)
        self._wait(name, there=False)

    def _wait(self, name: str, *, there: bool) -> None:
        """The controller answers a moment before its broker knows."""
        deadline = time.monotonic() + 30
        while (name in self.admin.list_topics(timeout=5).topics) != there:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the broker does not notice what became of {name}")
            time.sleep(0.02)

    def trim(self, topic: str, offset: int, partition: int = 0) -> None:
        """Takes what lies before the offset away, as retention does."""
        place = TopicPartition(topic, partition, offset)
        next(iter(self.admin.delete_records([place]).values())).result(30)

    def produce(self, topic: str, values: Iterable[Any], partition: int | None = None, **options: Any) -> None:
        """Sends each value (bytes, text, None, or what becomes JSON); with `key` and `headers` for all of them."""
        producer = Producer(
            {"bootstrap.servers": self.servers, "linger.ms": 5, "enable.idempotence": True, "log_level": 0}
        )
        refused: list[object] = []
        where = {} if partition is None else {"partition": partition}
        for value in values:
            body = value if value is None or isinstance(value, bytes | str) else json.dumps(value)
            while True:
                try:
                    producer.produce(
                        topic, body, **where, **options, on_delivery=lambda error, _: error and refused.append(error)
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(60) or refused:
            raise RuntimeError(f"{topic}: not all was taken by the broker: {refused[:1]}")

    def messages(self, topic: str) -> list[Message]:
        """Everything that lies in a topic, by partition and offset."""
        consumer = Consumer(
            {"bootstrap.servers": self.servers, "group.id": "tests", "enable.auto.commit": False, "log_level": 0}
        )
        try:
            found = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            places = [TopicPartition(topic, partition) for partition in sorted(found)]
            ends = {place.partition: consumer.get_watermark_offsets(place, timeout=10) for place in places}
            return [message for place in places for message in _read(consumer, place, *ends[place.partition])]
        finally:
            consumer.close()


def _read(consumer: Consumer, place: TopicPartition, start: int, end: int) -> Iterator[Message]:
    consumer.assign([TopicPartition(place.topic, place.partition, start)])
    while start < end:
        found = consumer.poll(10)
        if found is None or found.error():
            raise RuntimeError(f"{place.topic}/{place.partition}: nothing at {start} of {end}")
        start = found.offset() + 1
        yield Message(
            found.topic(), found.partition(), found.offset(), found.key(), found.value(), dict(found.headers() or [])
        )


@contextmanager
def kafka_broker() -> Iterator[Broker]:
    """An empty broker, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
        broker = Broker(Path(folder))
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()


def _java(main: str, *arguments: str) -> list[str]:
    made = subprocess.run([ROOT / "conf/spark/kafka.sh"], capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(made.stderr.strip())
    scala = Path(pyspark.__file__).parent / "jars/scala-library-*"  # the one part that the list leaves to Spark
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", "-Xmx512m", quiet, "-cp", f"{made.stdout.strip()}/*:{_only(scala)}", main, *arguments]


def _only(pattern: Path) -> Path:
    return next(pattern.parent.glob(pattern.name))


def _finished(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[-4:]}: {done.stderr[-1000:]}")
