"""Rows as events: key, value, headers and topic of each, under an id that a repeated batch gives again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, MapType, StructType

from lakehouse.frames import HIDDEN_PREFIX, col, require_columns
from lakehouse.raw_rows import as_json

EVENT_ID = "event_id"
"""The header with an event's id."""

_WORD = re.compile(r"[A-Za-z_][\w.-]*")
_ROW, _SAME, _ID, _KEY = (f"{HIDDEN_PREFIX}event_{name}" for name in ("row", "same", "id", "key"))
_TYPE, _TOPIC, _VALUE = (f"{HIDDEN_PREFIX}event_{name}" for name in ("type", "topic", "value"))
_TIME = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
_JSON = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
_CLOUDEVENTS = "application/cloudevents+json; charset=UTF-8"


@dataclass(frozen=True)
class Event:
    """What of a row makes which part of its event; all but the topics and the envelope is SQL."""

    key: str | None = None
    value: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cloudevents: bool = False
    event_type: str | None = None
    event_time: str | None = None
    subject: str | None = None
    source: str | None = None
    topic: str | None = None
    route: Mapping[str, str] = field(default_factory=dict)
    otherwise: str | None = None
    sequence_by: Sequence[str] = ()

    @property
    def topics(self) -> list[str]:
        """Every topic that an event can go to."""
        return list(dict.fromkeys(filter(None, [self.topic, *self.route.values(), self.otherwise])))


def event_problem(event: Event) -> str | None:
    """What is wrong between the options of an event; None where nothing is."""
    if event.sequence_by and event.key is None:
        return "'sequence_by' is the order of one key's events: set 'key', the SQL that gives it"
    if event.route and (event.topic is not None or event.otherwise is None):
        return (
            "'route' chooses the topic: take 'topic' out"
            if event.topic
            else "'route' needs 'otherwise', a topic for what fits none of it"
        )
    if not event.route and (event.topic is None or event.otherwise is not None):
        return "'otherwise' belongs to 'route'" if event.otherwise else "needs 'topic', or 'route' with 'otherwise'"
    words = [word for word in event.route if _WORD.fullmatch(word)]
    if words and event.event_type is None:
        return f"'route' names the event type '{words[0]}': set 'event_type', the SQL that gives it"
    return None


def events_of(rows: DataFrame, event: Event, identity: str, job: str, now: datetime) -> DataFrame:
    """One event per row: key, value, headers, topic. `identity` is the batch's: equal rows of it are numbered."""
    same = F.row_number().over(Window.partitionBy(_ROW).orderBy(F.lit(1)))
    numbered = rows.withColumn(_ROW, as_json(rows)).withColumn(_SAME, same.cast("string"))
    key = F.expr(event.key) if event.key is not None else F.lit(None).cast("string")
    kind = F.expr(event.event_type) if event.event_type is not None else F.lit(None)
    known = numbered.withColumns(
        {
            _ID: F.substring(F.sha2(F.to_json(F.array(F.lit(identity), col(_ROW), col(_SAME))), 256), 1, 32),
            _KEY: _as_body(rows, key, event.key),
            _TYPE: kind.cast("string"),
        }
    )
    routed = _in_sequence(known.withColumn(_TOPIC, _topic(event)).withColumn(_VALUE, _value(rows, event)), event)
    body = _enveloped(event, job, now) if event.cloudevents else col(_VALUE)
    return routed.select(
        col(_KEY).alias("key"), body.alias("value"), _headers(event).alias("headers"), col(_TOPIC).alias("topic")
    )


def _in_sequence(events: DataFrame, event: Event) -> DataFrame:
    """The events of a key behind one another in one task, which sends them so; those without a key anywhere."""
    if not event.sequence_by:
        return events
    require_columns(events, event.sequence_by)
    together = F.coalesce(col(_KEY).cast("binary"), col(_ID).cast("binary"))
    return events.repartition(together).sortWithinPartitions(
        *[col(name).asc_nulls_first() for name in event.sequence_by]
    )


def _topic(event: Event) -> Column:
    """The first topic of the route that fits; a condition that is NULL does not."""
    chosen = F.lit(event.topic or event.otherwise)
    for said, topic in reversed(list(event.route.items())):
        fits = col(_TYPE) == said if _WORD.fullmatch(said) else F.expr(said)
        chosen = F.when(fits, F.lit(topic)).otherwise(chosen)
    return chosen


def _value(rows: DataFrame, event: Event) -> Column:
    """The value as it is sent; in an envelope as JSON."""
    if event.value is None:
        return col(_ROW)
    found = _as_body(rows, F.expr(event.value), event.value)
    if not event.cloudevents:
        return found
    kind = _type_of(rows, event.value)
    if isinstance(kind, BinaryType):
        raise ValueError("'value' is bytes, and an envelope holds JSON; encode them, with base64() say")
    nested = isinstance(kind, StructType | MapType | ArrayType)
    # to_json takes no text: an array of one, without its brackets
    alone = F.to_json(F.array(found))
    return found if nested else F.when(found.isNotNull(), F.substring(alone, F.lit(2), F.length(alone) - 2))


def _as_body(rows: DataFrame, value: Column, sql: str | None) -> Column:
    """The value of a SQL expression as Kafka takes it: bytes and text as they are, what is nested as JSON."""
    kind = _type_of(rows, sql) if sql is not None else None
    if isinstance(kind, StructType | MapType | ArrayType):
        return F.to_json(value, _JSON)
    return value if isinstance(kind, BinaryType) else value.cast("string")


def _type_of(rows: DataFrame, sql: str) -> object:
    return rows.select(F.expr(sql)).schema[0].dataType


def _enveloped(event: Event, job: str, now: datetime) -> Column:
    """A CloudEvents 1.0 event in structured JSON mode; an attribute that is NULL is left out."""
    time = F.expr(event.event_time) if event.event_time is not None else F.lit(now)
    subject = F.expr(event.subject) if event.subject is not None else col(_KEY)
    attributes = {
        "specversion": F.lit("1.0"),
        "id": col(_ID),
        "source": F.expr(event.source) if event.source is not None else F.lit(f"/lakehouse/{job}"),
        "type": F.coalesce(col(_TYPE), F.lit(job)),
        "time": F.date_format(time.cast("timestamp"), _TIME),
        "subject": subject.cast("string"),
        "datacontenttype": F.lit("application/json"),
    }
    head = F.to_json(F.struct(*[value.alias(name) for name, value in attributes.items()]), {"ignoreNullFields": "true"})
    data = F.coalesce(col(_VALUE), F.lit("null"))
    return F.concat(F.substring(head, F.lit(1), F.length(head) - 1), F.lit(',"data":'), data, F.lit("}"))


def _headers(event: Event) -> Column:
    """The event's id first, then what the job adds."""
    given = {EVENT_ID: col(_ID)}
    if event.cloudevents:
        given["content-type"] = F.lit(_CLOUDEVENTS)
    given |= {name: F.expr(sql) for name, sql in event.headers.items()}
    entries = [
        F.struct(F.lit(name).alias("key"), value.cast("string").cast("binary").alias("value"))
        for name, value in given.items()
    ]
    return F.array(*entries)
