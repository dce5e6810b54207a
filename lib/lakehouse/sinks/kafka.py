"""The sink `kafka`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse.errors import SinkError, passing
from lakehouse.frames import col
from lakehouse.kafka.client import Setting, cluster
from lakehouse.kafka.events import Event, event_problem, events_of
from lakehouse.kafka.topics import topics_of, unreachable
from lakehouse.observations import observed
from lakehouse.registry import Columns, Sql, sink
from lakehouse.targets import Write, Written


def sense(
    *, bootstrap_servers: str, topic: str | None, key: str | None, event_type: str | None, route: dict[str, str] | None,
    otherwise: str | None, sequence_by: list[str] | None, options: dict[str, Setting] | None, **_: Any,
) -> None:  # fmt: skip
    """Raises ValueError for options that make no sense together."""
    cluster(bootstrap_servers, options)
    problem = event_problem(Event(
        key=key, event_type=event_type, topic=topic, route=route or {}, otherwise=otherwise, sequence_by=sequence_by or (),
    ))  # fmt: skip
    if problem:
        raise ValueError(problem)


@sink(external=True, sends=True, sense=sense, secret=("options",))
def kafka(
    df: DataFrame,
    write: Write,
    *,
    bootstrap_servers: str,
    topic: str | None = None,
    key: Sql | None = None,
    value: Sql | None = None,
    headers: dict[str, Sql] | None = None,
    envelope: Literal["cloudevents"] | None = None,
    event_type: Sql | None = None,
    event_time: Sql | None = None,
    event_source: Sql | None = None,
    subject: Sql | None = None,
    route: dict[str, str] | None = None,
    otherwise: str | None = None,
    sequence_by: Columns | None = None,
    options: dict[str, Setting] | None = None,
    now: datetime,
) -> Written:
    """Sends each row as an event, at least once: a batch that is repeated sends the same ids in the header `event_id`.

    The value is the row as JSON unless it says otherwise. `route` chooses the topic by event type or condition. The
    events of a key are sent in the order of `sequence_by`, NULLs first; without it a batch's events go in any order.
    """
    clients = cluster(bootstrap_servers, options)
    event = Event(
        key, value, headers or {}, envelope == "cloudevents", event_type, event_time, subject, event_source, topic,
        route or {}, otherwise, sequence_by or (),
    )  # fmt: skip
    topics_of(clients, event.topics, SinkError)
    identity, job = f"{write.commit.app_id}/{write.commit.batch}", write.commit.app_id.split("/")[0]
    seen = Observation()
    counts = [F.count(F.lit(1)).alias("all"), *[_count(number, name) for number, name in enumerate(event.topics)]]
    events = events_of(df, event, identity, job, now)
    try:
        events.observe(seen, *counts).write.mode("append").format("kafka").options(**clients.writer()).save()
    except (Py4JJavaError, PySparkException) as error:
        if "org.apache.kafka" not in str(error):
            raise
        failure = SinkError(f"{unreachable(clients, _said(error))}; what was not sent is sent by the next run")
        raise passing(failure) from None
    found = observed(seen) or events.agg(*counts).collect()[0].asDict()
    rows = int(found["all"])
    sent = ", ".join(f"{name} {found[f'topic_{number}']}" for number, name in enumerate(event.topics))
    return Written(topic or "kafka", None, rows, inserted=rows, notes=(f"sent to {sent}",) if event.route else ())


def _count(number: int, name: str) -> Any:
    return F.count_if(col("topic") == name).alias(f"topic_{number}")


def _said(error: Exception) -> str:
    """The line in which Kafka says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if "org.apache.kafka" in line]
    return lines[-1].removeprefix("Caused by: ") if lines else str(error)
