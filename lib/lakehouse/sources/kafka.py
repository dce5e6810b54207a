"""The source `kafka`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakehouse.cdc_formats import flattened
from lakehouse.errors import DataError, passing
from lakehouse.frames import as_text
from lakehouse.kafka.client import Setting, cluster
from lakehouse.kafka.messages import AvroSchemas, Decoder, again, avro_of, json_of, json_text, raw, rows_of
from lakehouse.kafka.offsets import Loss, Start, losses, start_options, start_problem
from lakehouse.kafka.registry import schemas_of, versions_of
from lakehouse.kafka.topics import topics_of, unreachable
from lakehouse.registry import Columns, source
from lakehouse.sources import Continued, Read, StreamHooks
from lakehouse.tables import resolved

Format = Literal["json", "avro", "raw"]

_SCHEMAS = "_schemas"  # in a pin: by subject the versions that values are read by
_MESSAGES = "150000"  # of one partition that one task reads


def sense(
    *, bootstrap_servers: str, starting_offsets: Start = "earliest", value_format: Format = "json",
    schema: str | None = None, schema_registry: str | None = None, cdc_format: Literal["debezium"] | None = None,
    options: dict[str, Setting] | None = None, **_: Any,
) -> None:  # fmt: skip
    """Raises ValueError for options that make no sense together."""
    cluster(bootstrap_servers, options)
    problem = start_problem(starting_offsets)
    if problem:
        raise ValueError(problem)
    if value_format == "avro" and schema is None and schema_registry is None:
        raise ValueError("value_format avro needs 'schema' (an .avsc file) or 'schema_registry'")
    if value_format != "avro" and schema_registry is not None:
        raise ValueError("'schema_registry' is for value_format avro")
    if value_format == "raw" and schema is not None:
        raise ValueError("value_format raw takes no 'schema': the value stays bytes")
    if cdc_format is not None and value_format == "raw":
        raise ValueError("'cdc_format' is for value_format json or avro: bytes are no envelope")
    if cdc_format is not None and value_format == "json" and schema is not None:
        raise ValueError(
            "with 'cdc_format' the columns are those of the row: name them in the job's schema or contract"
        )
    if schema_registry and "@" in schema_registry:
        raise ValueError(
            "schema_registry: a password does not belong in an address; set basic.auth.user.info in 'options'"
        )


def pin(read: Read, *, bootstrap_servers: str, topics: Columns, options: Any = None, **given: Any) -> dict[str, Any]:
    """What is there now: by topic and partition the first offset and the one after the last."""
    found = topics_of(cluster(bootstrap_servers, options), topics)
    return {
        "offsets": {
            name: {str(part): list(ends) for part, ends in one.partitions.items()} for name, one in found.items()
        },
        **pinned_schemas(topics=topics, bootstrap_servers=bootstrap_servers, options=options, **given),
    }


def pinned_schemas(
    *, bootstrap_servers: str, topics: Columns, schema_registry: str | None = None, options: Any = None, **_: Any
) -> dict[str, Any]:
    """What the registry has now, where values are read by one."""
    if schema_registry is None:
        return {}
    settings = cluster(bootstrap_servers, options).settings
    return {_SCHEMAS: versions_of(schema_registry, _subjects(topics), settings)}


def go_on(continued: Continued, *, bootstrap_servers: str, topics: Columns, options: Any = None, **_: Any) -> tuple[
    list[Loss], dict[str, str]
]:  # fmt: skip
    """What a stream that goes on from `continued` would miss, and the topics' ids now.

    Raises DataError where brokers do not answer or a topic is missing.
    """
    left_out = sorted(set(continued.taken or ()) - set(topics))
    if left_out:
        raise ValueError(
            f"topics: the job has read {', '.join(left_out)} until now, and where it was would be forgotten; keep it, "
            "or give the job a new name"
        )
    found = topics_of(cluster(bootstrap_servers, options), topics)
    lost = list(losses(continued.taken, found, continued.known)) if continued.taken is not None else []
    return lost, {name: topic.id for name, topic in found.items()}


def failed(said: str, *, bootstrap_servers: str, options: Any = None, **_: Any) -> DataError | None:
    """A failure of a stream as what it is, where the brokers caused it."""
    clients = cluster(bootstrap_servers, options)
    if "KAFKA_DATA_LOSS" in said or "OffsetOutOfRange" in said:
        return DataError(
            f"kafka: offsets went away at {clients.servers} while they were read; run again: it names them"
        )
    signs = (
        "TimeoutException",
        "TimeoutError",
        "DisconnectException",
        "KafkaException",
        "org.apache.kafka.common.errors",
    )
    return passing(DataError(unreachable(clients, said))) if any(sign in said for sign in signs) else None


def replayed(rows: DataFrame, read: Read, **given: Any) -> DataFrame:
    """Quarantined rows again: a value that could not be read is tried once more."""
    return flattened(again(rows, _decoder(read, **given)), given["cdc_format"], None, read.fields)


def start_at(to: str) -> dict[str, Any]:
    """Where a stream that is moved begins to read."""
    try:
        start = json.loads(to) if to.startswith("{") else to
    except ValueError:
        start = ""
    if start_problem(start) is not None:
        raise ValueError('earliest, latest, a time, or offsets: {"orders": {"0": 120}}')
    return {"offsets": start}


@source(
    incremental="stream",
    start_at=start_at,
    pin=pin,
    sense=sense,
    secret=("options",),
    replayed=replayed,
    stream=StreamHooks(go_on, failed, lambda topics, **_: ", ".join(topics), pinned_schemas),
)
def kafka(
    spark: SparkSession,
    *,
    bootstrap_servers: str,
    topics: Columns,
    starting_offsets: Start = "earliest",
    max_offsets_per_trigger: int | None = None,
    value_format: Format = "json",
    schema: str | None = None,
    schema_registry: str | None = None,
    rescued_data_column: str | None = None,
    cdc_format: Literal["debezium"] | None = None,
    options: dict[str, Setting] | None = None,
    read: Read,
) -> DataFrame:
    """Messages of one topic or several, each once; bronze keeps `_topic, _partition, _offset, _timestamp, _key, _headers`.

    `schema` is the values' own: DDL for json, an `.avsc` file for avro; without it the contract says which fields JSON
    has, and without that it stays text. A value that cannot be read is a row of the quarantine. With a `cdc_format` each
    value is a change: see `lakehouse.cdc_formats`.
    """
    clients = cluster(bootstrap_servers, options)
    asked = {"subscribe": ",".join(topics), "includeHeaders": "true", "maxRecordsPerPartition": _MESSAGES}
    chosen = {**clients.reader(), **asked}
    if read.incremental:
        chosen |= start_options(read.start.get("offsets", starting_offsets), topics_of(clients, topics))
        if max_offsets_per_trigger is not None:
            chosen["maxOffsetsPerTrigger"] = str(max_offsets_per_trigger)
        messages = spark.readStream.format("kafka").options(**chosen).load()
    else:
        messages = spark.read.format("kafka").options(**chosen, **_bounds(read.pin.get("offsets", {}))).load()
    decode = _decoder(
        read, topics=topics, value_format=value_format, schema=schema, schema_registry=schema_registry,
        cdc_format=cdc_format, bootstrap_servers=bootstrap_servers, options=options,
    )  # fmt: skip
    return flattened(rows_of(messages, decode), cdc_format, None, read.fields)


def _bounds(pinned: Mapping[str, Mapping[str, list[int]]]) -> dict[str, str]:
    """Spark's options for a range that was pinned; everything where none was."""
    ends = {name: {part: ends[1] for part, ends in parts.items()} for name, parts in pinned.items()}
    starts = {name: {part: ends[0] for part, ends in parts.items()} for name, parts in pinned.items()}
    return {"startingOffsets": json.dumps(starts), "endingOffsets": json.dumps(ends)} if pinned else {}


def _decoder(
    read: Read, *, topics: Columns, value_format: Format = "json", schema: str | None = None,
    schema_registry: str | None = None, cdc_format: str | None = None, bootstrap_servers: str,
    options: dict[str, Setting] | None = None, **_: Any,
) -> Decoder:  # fmt: skip
    """What makes columns of a value."""
    if value_format == "raw":
        return raw
    if value_format == "json":
        if cdc_format is not None or (schema is None and read.fields is None):
            return json_text
        return json_of(_fields(schema) if schema is not None else as_text(read.fields or StructType()))
    text = Path(resolved(schema, read.root)).read_text() if schema is not None else None
    if schema_registry is None:
        return avro_of(AvroSchemas(str(text), {}, str(schema)))
    settings = cluster(bootstrap_servers, options).settings
    versions = read.pin.get(_SCHEMAS) or versions_of(schema_registry, _subjects(topics), settings)
    found = schemas_of(schema_registry, versions, settings)
    return avro_of(AvroSchemas(text or found.newest, found.by_id, ", ".join(versions)))


def _subjects(topics: Columns) -> list[str]:
    return [f"{topic}-value" for topic in topics]


def _fields(ddl: str) -> StructType:
    found = StructType.fromDDL(ddl)
    if not isinstance(found, StructType):
        raise ValueError(f"schema: '{ddl}' is no list of columns")
    return found
