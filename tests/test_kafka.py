"""The source and the sink `kafka` on a real broker; tables are judged by the deltalake package."""

from __future__ import annotations

import base64
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conftest import balanced
from lakehouse import get_spark, quarantine, runs
from lakehouse import run as run_job
from lakehouse.cli import command
from lakehouse.errors import ConfigError, DataError, Interrupted, LakehouseError, SinkError
from lakehouse.pipeline import progress
from lakehouse.pipeline.replaying import Selection, replay
from lakehouse.planning.planner import plan_job
from lakehouse.reports import plan_text
from lakehouse.sample_data import write_shop
from lakehouse.testing.faults import crash_at
from shop import ROOT, SCALE

BRONZE = """
    layer: bronze
    source:
      kafka: {{bootstrap_servers: "{servers}", topics: {topic}{more}}}
    sink:
      append: {{table: bronze.{topic}}}
"""
EVENTS = ', schema: "id bigint, name string, amount decimal(10,2)"'


def bronze(project, broker, topic, more="") -> None:
    project.job(topic, BRONZE.format(servers=broker.servers, topic=topic, more=more))


def quarantined(project, topic) -> dict[str, tuple[dict, list[str]]]:
    """Every quarantined row by where it came from: the row as it came, and the reasons' messages."""
    return {
        row["source"]: (json.loads(row["row"]), [reason["message"] for reason in row["reasons"]])
        for row in project.rows(f"bronze.{topic}__quarantine")
    }


def test_json_messages_reach_bronze_with_what_kafka_says_of_them_and_each_once(project, broker):
    broker.topic("orders", partitions=2)
    bronze(project, broker, "orders", EVENTS)
    broker.produce(
        "orders",
        [{"id": 1, "name": "Zoë", "amount": "1.50"}],
        1,
        key="k1",
        headers=[("trace", b"t1"), ("trace", b"t2")],
    )
    first = project.run("orders")
    assert (first.rows_read, first.rows_inserted, first.inputs[0].name) == (1, 1, "orders") and balanced(first)
    (row,) = project.rows("bronze.orders")
    assert (row["id"], row["name"], str(row["amount"])) == (1, "Zoë", "1.50")
    assert (row["_topic"], row["_partition"], row["_offset"], row["_key"]) == ("orders", 1, 0, "k1")
    assert row["_headers"] == [{"key": "trace", "value": "t1"}, {"key": "trace", "value": "t2"}]
    assert row["_timestamp"] is not None and row["_source_file"] is None and row["_rescued_data"] is None

    broker.produce("orders", [{"id": 2, "name": "b", "amount": 2, "colour": {"r": 1}}], 0, key=b"\xff\x00")
    second, third = project.run("orders"), project.run("orders")
    assert (second.rows_read, third.rows_read) == (1, 0)
    row = next(row for row in project.rows("bronze.orders") if row["id"] == 2)
    assert row["_key"] == "base64:" + base64.b64encode(b"\xff\x00").decode()
    assert json.loads(row["_rescued_data"]) == {"colour": '{"r":1}'} and row["_headers"] is None


POISON = {
    b"no json": "the value is not one JSON object",
    b'{"id": 1': "the value is not one JSON object",
    b'{"id": 1} {"id": 2}': "the value is not one JSON object",
    b'{"id": 1}}': "the value is not one JSON object",
    b'[{"id": 1}]': "the value is not one JSON object",
    b"null": "the value is not one JSON object",
    b"": "the value is not one JSON object",
    b'{"id": "x", "name": "n"}': "id is no bigint",
    b'{"id": 1, "amount": "1e99"}': "amount is no decimal(10,2)",
    b'{"id": 1, "name": "\xff"}': "the value is not UTF-8",
    b'{"id": nul}': "the value is not JSON",
}


def test_a_poison_message_costs_one_row_and_the_stream_goes_on(project, broker):
    broker.topic("poison")
    bronze(project, broker, "poison", EVENTS)
    good = [b'{"id": 7, "name": "a } b", "amount": 1}', b' {"id": 8, "extra": {"x": [1, {"y": 2}]}}\n', None, b"{}"]
    broker.produce("poison", [*POISON, *good], key="k")
    done = project.run("poison")
    assert balanced(done) and (done.rows_read, done.rows_quarantined) == (len(POISON) + 4, len(POISON))
    found = quarantined(project, "poison")
    for offset, (value, reason) in enumerate(POISON.items()):
        row, reasons = found[f"poison/0/{offset}"]
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = "base64:" + base64.b64encode(value).decode()
        assert (row["_corrupt_record"], row["_offset"], row["_key"], reasons) == (text, offset, "k", [reason])
    rows = sorted(project.rows("bronze.poison"), key=lambda row: row["_offset"])
    assert [(row["id"], row["name"]) for row in rows] == [(7, "a } b"), (8, None), (None, None), (None, None)]
    assert json.loads(rows[1]["_rescued_data"]) == {"extra": '{"x":[1,{"y":2}]}'}


def test_a_message_that_cannot_be_parsed_breaks_rules_of_a_stream_with_state_too(project, broker):
    broker.topic("clicks")
    job = """
    layer: silver
    source:
      kafka: {{bootstrap_servers: "{servers}", topics: clicks, schema: "user_id string, at timestamp"}}
    rules:
      - not_null: {{column: user_id}}
    stream: {{watermark: {{column: at, delay: 10 minutes}}}}
    transforms:
      - window: {{time_column: at, size: 10 minutes, group_by: [user_id], measures: {{n: count(*)}}}}
    sink: {{append: {{table: silver.clicks}}}}
    """
    project.job("clicks", job.format(servers=broker.servers))
    broker.produce("clicks", [{"user_id": "a", "at": "2026-01-02T03:04:05Z"}, b"not json", {"user_id": None}])
    done = project.run("clicks")
    assert (done.rows_read, done.rows_valid, done.rows_quarantined) == (3, 1, 2)
    assert project.run("clicks").rows_read == 0
    found = {
        row["source"]: [reason["rule"] for reason in row["reasons"]]
        for row in project.rows("silver.clicks__quarantine")
    }
    assert sorted(found) == ["clicks/0/1", "clicks/0/2"] and "well_formed" in found["clicks/0/1"]


def test_a_stream_is_moved_to_an_offset(project, broker, monkeypatch, capsys):
    broker.topic("moved")
    bronze(project, broker, "moved", EVENTS)
    broker.produce("moved", [{"id": number} for number in range(5)])
    project.run("moved")
    monkeypatch.chdir(project.root)
    assert command(["checkpoint", "reset", "moved", "--to", '{"moved": {"0": 3}}', "--yes"]) == 0
    assert project.run("moved").rows_read == 2
    for wrong in ("soon", '{"moved": 3}', '{"moved": ["0"]}', '{"moved": {"0": "3"}}', '{"moved": {"0": -3}}', "{"):
        assert command(["checkpoint", "reset", "moved", "--to", wrong, "--yes"]) == 2
        assert "takes earliest, latest, a time, or offsets" in capsys.readouterr().err
    assert project.run("moved").rows_read == 0


def test_a_gate_stops_a_topic_that_is_mostly_poison(project, broker):
    broker.topic("gated")
    bronze(project, broker, "gated", EVENTS)
    project.write(
        "conf/gated.yml", (project.root / "conf/gated.yml").read_text() + "quality_gate: {max_quarantined: 50%}\n"
    )
    broker.produce("gated", [b"x", b"y", {"id": 1}])
    with pytest.raises(DataError, match=r"2 of 3|67"):
        project.run("gated")
    assert not (project.lake / "bronze/gated").exists()
    broker.produce("gated", [{"id": 2}, {"id": 3}])
    with pytest.raises(DataError):  # the batch that was planned is judged as it was
        project.run("gated")
    assert len(project.rows("bronze.gated__quarantine")) == 2


def test_without_a_schema_json_is_text_and_raw_is_bytes(project, broker):
    broker.topic("plain")
    broker.produce("plain", [b'{"a":1}', b"\x00\xff", None])
    bronze(project, broker, "plain")
    done = project.run("plain")
    assert (done.rows_valid, done.rows_quarantined) == (2, 1)
    assert [row["value"] for row in project.rows("bronze.plain", "_offset")] == ['{"a":1}', None]
    bronze(project, broker, "plain", ", value_format: raw")
    project.run("plain", full_refresh=True)
    assert [row["value"] for row in project.rows("bronze.plain", "_offset")] == [b'{"a":1}', b"\x00\xff", None]


def test_under_a_contract_a_wrong_type_is_rescued_in_bronze_and_broken_in_silver(project, broker):
    broker.topic("typed")
    broker.produce("typed", [{"id": 1, "at": "2026-01-02T03:04:05Z"}, {"id": "x", "at": "never", "more": 1}])
    job = """
    layer: {layer}
    schema: "id bigint, at timestamp"
    source: {{kafka: {{bootstrap_servers: "{servers}", topics: [typed]}}}}
    sink: {{append: {{table: {layer}.typed}}}}
    """
    project.job("b", job.format(layer="bronze", servers=broker.servers))
    project.job("s", job.format(layer="silver", servers=broker.servers))
    assert project.run("b").rows_quarantined == 0 and project.run("s").rows_quarantined == 1
    row = project.rows("bronze.typed", "_offset")[1]
    assert json.loads(row["_rescued_data"]) == {"id": "x", "at": "never", "more": "1"}
    assert [sorted(row) for row in project.rows("silver.typed")] == [["at", "id"]]
    odd = b'{"id": 3, "more": 1, "more": "2", "_corrupt_record": "mine", "_file_path": "x", "id": "y"}'
    broker.produce("typed", [odd])
    assert project.run("b").rows_valid == 1
    rescued = json.loads(project.rows("bronze.typed", "_offset")[2]["_rescued_data"])
    assert rescued == {"id": "y", "more": "2", "_corrupt_record": "mine", "_file_path": "x"}
    assert project.rows("silver.typed__quarantine")[0]["source"] == "typed/0/1"


def test_brokers_topics_and_options_that_are_wrong_are_named(project, broker):
    bronze(project, broker, "nowhere")
    with pytest.raises(DataError, match=f"there is no topic nowhere at {broker.servers}"):
        project.run("nowhere")
    project.job("dead", BRONZE.format(servers="127.0.0.1:1", topic="dead", more=""))
    with pytest.raises(DataError, match=r"no answer from 127\.0\.0\.1:1"):
        project.run("dead")
    wrong = (
        ", value_format: avro",
        ", starting_offsets: soon",
        ", options: {acks: '0'}",
        ", starting_offsets: {x: {a: 1}}",
        ", starting_offsets: {x: {'0': -3}}",
    )
    for more in wrong:
        bronze(project, broker, "nowhere", more)
        with pytest.raises(ConfigError, match=r"nowhere\.yml:\d+: source 'kafka': "):
            project.run("nowhere")


ORDER = {"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"], "default": None},
]}  # fmt: skip
OLD_ORDER = {**ORDER, "fields": ORDER["fields"][:1]}


def avro(number: int, name: str | None = None, *, old: bool = False) -> bytes:
    """An Order as Avro writes it: a zigzag long, and a union's branch with its text."""
    text = (name or "").encode()
    tail = b"" if old else b"\x00" if name is None else b"\x02" + bytes([len(text) * 2]) + text
    return bytes([number * 2]) + tail


def framed(schema_id: int, body: bytes) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + body


@contextmanager
def schema_registry(subjects: dict[str, dict[int, dict]]) -> Iterator[str]:
    """A server that answers as a schema registry does, for subjects with their schemas by id."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, _, subject, _, *version = self.path.split("/")
            schemas = list(subjects.get(subject, {}).items())
            body: object = list(range(1, len(schemas) + 1))
            if version and schemas:
                number, schema = schemas[int(version[0]) - 1]
                body = {"subject": subject, "version": int(version[0]), "id": number, "schema": json.dumps(schema)}
            self.send_response(200 if schemas else 404)
            self.end_headers()
            self.wfile.write(json.dumps(body if schemas else {"error_code": 40401}).encode())

        def log_message(self, *_: object) -> None:
            """Nothing: the tests' output is theirs."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_avro_is_read_by_a_schema_file_and_what_is_none_is_quarantined(project, broker):
    broker.topic("avro_file")
    project.write("schemas/order.avsc", json.dumps(ORDER))
    bronze(project, broker, "avro_file", ", value_format: avro, schema: schemas/order.avsc")
    broker.produce("avro_file", [avro(1, "Zoë"), avro(2), b"\x02", None])
    assert project.run("avro_file").rows_quarantined == 1
    rows = project.rows("bronze.avro_file", "_offset")
    assert [(row["id"], row["name"]) for row in rows] == [(1, "Zoë"), (2, None), (None, None)]
    row, reasons = quarantined(project, "avro_file")["avro_file/0/2"]
    assert (row["_corrupt_record"], reasons) == ("\x02", ["the value is no Avro record of schemas/order.avsc"])


def test_values_of_a_schema_registry_are_read_by_their_ids(project, broker):
    broker.topic("registered")
    subjects = {"registered-value": {3: OLD_ORDER}}
    with schema_registry(subjects) as url:
        bronze(project, broker, "registered", f', value_format: avro, schema_registry: "{url}"')
        broker.produce("registered", [framed(3, avro(1, old=True)), framed(9, avro(2, "new")), avro(3, "bare")])
        assert project.run("registered").rows_quarantined == 2
        found = quarantined(project, "registered")
        assert found["registered/0/1"][1] == ["schema id 9 is none of registered-value (3)"]
        assert found["registered/0/2"][1] == [
            "the value names no schema: it does not begin with a zero and four bytes of id"
        ]

        subjects["registered-value"][9] = ORDER
        broker.produce("registered", [framed(3, avro(4, old=True)), framed(9, avro(5, "e"))])
        assert project.run("registered").rows_valid == 2
        plan = plan_job(project.root / "conf/registered.yml", lake=str(project.lake))
        replay(plan, get_spark(), Selection("test", datetime.now(UTC)))  # an id that is known by now
        rows = {row["id"]: row for row in project.rows("bronze.registered")}
        assert {key: row["name"] for key, row in rows.items()} == {1: None, 4: None, 5: "e", 2: "new"}
        assert (rows[2]["_topic"], rows[2]["_offset"]) == ("registered", 1)
        states = {row["source"]: row["status"] for row in project.rows("bronze.registered__quarantine")}
        assert states == {"registered/0/1": "replayed", "registered/0/2": "open"}
    with pytest.raises(DataError, match=r"schema_registry: no answer from http://127"):
        project.run("registered")


def test_a_schema_registered_while_a_stream_goes_on_is_known_to_its_next_micro_batch(project, broker, monkeypatch):
    broker.topic("evolving")
    subjects = {"evolving-value": {3: OLD_ORDER}}
    monkeypatch.chdir(project.root)

    def sent(*values: bytes) -> None:
        """Returns once the last of them is in the table."""
        broker.produce("evolving", list(values))
        made, last = project.lake / "bronze/evolving/_delta_log/00000000000000000000.json", values[-1][5] // 2
        wait_for(lambda: made.exists() and any(row["id"] == last for row in project.rows("bronze.evolving")))

    def produced() -> None:
        try:
            with schema_registry(subjects) as url:
                bronze(project, broker, "evolving", f', value_format: avro, schema_registry: "{url}"')
                ready.set()
                sent(framed(3, avro(1, old=True)))
                subjects["evolving-value"][9] = ORDER  # as a producer does: its schema first, then its events
                sent(framed(9, avro(2, "b")), framed(3, avro(3, old=True)))
            sent(framed(9, avro(4, "d")))  # nothing answers there any more, and all that comes is known
        finally:
            command(["stop", "evolving"])

    ready = threading.Event()
    producer = threading.Thread(target=produced)
    producer.start()
    assert ready.wait(60)
    with (project.root / "conf/evolving.yml").open("a") as file:
        file.write("stream: {trigger: 0.2 seconds}\n")
    done = project.run("evolving", timeout=120)
    producer.join(60)
    assert (done.rows_read, done.rows_quarantined, balanced(done)) == (4, 0, True)
    assert {row["id"]: row["name"] for row in project.rows("bronze.evolving")} == {1: None, 2: "b", 3: None, 4: "d"}


def test_a_batch_that_died_is_finished_with_the_schemas_that_it_knew(project, broker):
    """Where the row became good in between, its batch's write to the target is done: it must reach the quarantine."""
    broker.topic("midway")
    subjects = {"midway-value": {3: OLD_ORDER}}
    with schema_registry(subjects) as url:
        bronze(project, broker, "midway", f', value_format: avro, schema_registry: "{url}"')
        broker.produce("midway", [framed(3, avro(1, old=True)), framed(9, avro(2, "b"))])
        with crash_at("write", "midway"), pytest.raises(LakehouseError):
            project.run("midway")
        subjects["midway-value"][9] = ORDER
        broker.produce("midway", [framed(9, avro(3, "c"))])
        project.run("midway")
    assert {row["id"]: row["name"] for row in project.rows("bronze.midway")} == {1: None, 3: "c"}
    assert list(quarantined(project, "midway")) == ["midway/0/1"]


ENVELOPE = {"type": "record", "name": "Envelope", "fields": [
    {"name": "before", "type": ["null", {"type": "record", "name": "Value", "fields": [
        {"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"], "default": None}]}], "default": None},
    {"name": "after", "type": ["null", "Value"], "default": None},
    {"name": "source", "type": {"type": "record", "name": "Source", "fields": [{"name": "lsn", "type": "long"}]}},
    {"name": "op", "type": "string"},
]}  # fmt: skip
PEOPLE = """
    layer: silver
    source:
      kafka: {{bootstrap_servers: "{servers}", topics: {topic}, cdc_format: debezium{more}}}
    schema: "id bigint, name string"
    sink:
      scd2: {{table: silver.{topic}, keys: [id]}}
"""


def change(op: str, lsn: int, before: object = None, after: object = None) -> dict:
    return {"op": op, "before": before, "after": after, "source": {"lsn": lsn}}


def avro_change(op: str, lsn: int, after: bytes) -> bytes:
    return b"\x00" + b"\x02" + after + bytes([lsn * 2]) + bytes([len(op) * 2]) + op.encode()


def test_debezium_envelopes_come_straight_from_a_topic(project, broker, monkeypatch):
    """In any order; a tombstone says nothing, a delete without `before` has the message's key, what is no envelope waits."""
    broker.topic("people")
    project.job("people", PEOPLE.format(servers=broker.servers, topic="people", more=""))
    broker.produce("people", [change("u", 7, None, {"id": 1, "name": "Anna"}), b"{oops", change("x", 9), None])
    first = project.run("people")
    assert (first.rows_read, first.rows_valid, first.rows_quarantined, first.rows_dropped) == (4, 1, 2, 1)
    assert {row["source"]: row["reasons"][0]["message"] for row in project.rows("silver.people__quarantine")} == {
        "people/0/1": "the record could not be parsed", "people/0/2": "unknown operation 'x'",
    }  # fmt: skip
    broker.produce("people", [change("d", 9)], key='{"id": 1}')
    broker.produce(
        "people", [change("c", 5, None, {"id": 1, "name": "Ann"}), change("c", 6, None, {"id": 2, "name": "Bob"})]
    )
    assert balanced(project.run("people"))
    found = [(row["id"], row["name"], row["__END_AT"] is None) for row in project.rows("silver.people", "__START_AT")]
    assert found == [(1, "Ann", False), (2, "Bob", True), (1, "Anna", False)]
    monkeypatch.chdir(project.root)
    mended = f"value = '{json.dumps(change('d', 9, {'id': 2}))}'"
    where = "quarantine.source = 'people/0/2'"
    assert command(["quarantine", "fix", "silver.people", "--where", where, "--sql", mended, "--why", "a slip"]) == 0
    assert command(["quarantine", "replay", "silver.people"]) == 0
    assert [row["id"] for row in project.rows("silver.people") if row["__END_AT"] is None] == []
    states = {row["source"]: row["status"] for row in project.rows("silver.people__quarantine")}
    assert states == {"people/0/1": "open", "people/0/2": "replayed"}


def test_avro_envelopes_of_a_registry_are_changes_too(project, broker):
    broker.topic("avro_people")
    with schema_registry({"avro_people-value": {4: ENVELOPE}}) as url:
        more = f', value_format: avro, schema_registry: "{url}"'
        project.job("avro_people", PEOPLE.format(servers=broker.servers, topic="avro_people", more=more))
        later, first = avro_change("u", 7, avro(1, "Anna")), avro_change("c", 5, avro(1, "Ann"))
        broker.produce("avro_people", [framed(4, later), framed(4, first), None, b"oops"])
        done = project.run("avro_people")
    assert (done.rows_valid, done.rows_quarantined, done.rows_dropped) == (2, 1, 1)
    assert [row["name"] for row in project.rows("silver.avro_people", "__START_AT")] == ["Ann", "Anna"]


def test_offsets_gone_by_retention_stop_the_run_until_the_loss_is_accepted_on_record(project, broker):
    broker.topic("gone", partitions=2)
    bronze(project, broker, "gone", EVENTS)
    broker.produce("gone", [{"id": 1}], 0)
    broker.produce("gone", [{"id": 11}], 1)
    project.run("gone")
    broker.produce("gone", [{"id": number} for number in range(2, 7)], 0)
    broker.produce("gone", [{"id": 12}], 1)
    broker.trim("gone", 4, 0)
    said = r"gone partition 0: wanted offset 1, the earliest is 4 \(.*retention\); .*lakehouse run gone --accept-loss"
    for _ in range(2):
        with pytest.raises(DataError, match=said):
            project.run("gone")
    done = project.run("gone", accept_loss=True)
    assert "loss accepted: topic gone partition 0: wanted offset 1, the earliest is 4" in done.notes[0]
    assert sorted(row["id"] for row in project.rows("bronze.gone")) == [1, 5, 6, 11, 12]
    assert project.run("gone", accept_loss=True).notes == ()  # nothing is lost: nothing is accepted
    broker.produce("gone", [{"id": 7}], 0)
    assert project.run("gone").rows_read == 1


def test_a_batch_that_died_half_written_and_is_gone_is_not_doubled_by_accepting_its_loss(project, broker, monkeypatch):
    broker.topic("half")
    bronze(project, broker, "half", EVENTS)
    broker.produce("half", [{"id": 1}, b"poison", {"id": 2}, {"id": 3}])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(quarantine, "write", die)
        with pytest.raises(Interrupted):
            project.run("half")
    assert len(project.rows("bronze.half")) == 3
    broker.trim("half", 2)
    with pytest.raises(DataError, match="half partition 0: wanted offset 0, the earliest is 2"):
        project.run("half")
    assert len(project.run("half", accept_loss=True).notes) == 1
    broker.produce("half", [{"id": 4}])
    assert project.run("half").rows_read == 1
    assert sorted(row["id"] for row in project.rows("bronze.half")) == [1, 2, 3, 4]


def test_a_topic_made_anew_stops_the_run_also_where_it_has_as_many_messages(project, broker):
    broker.topic("anew")
    bronze(project, broker, "anew", EVENTS)
    broker.produce("anew", [{"id": 1}, {"id": 2}])
    project.run("anew")
    broker.delete("anew")
    with pytest.raises(DataError, match="there is no topic anew at"):
        project.run("anew")
    broker.topic("anew")
    broker.produce("anew", [{"id": 3}, {"id": 4}, {"id": 5}])
    with pytest.raises(DataError, match=r"anew partition 0: wanted offset 2, the earliest is 0 \(.*made anew\)"):
        project.run("anew")
    assert len(project.run("anew", accept_loss=True).notes) == 1
    assert sorted(row["id"] for row in project.rows("bronze.anew")) == [1, 2, 3, 4, 5]


def test_a_job_begins_where_it_is_told_and_reads_in_bounded_batches(project, broker):
    broker.topic("started", partitions=2)
    broker.produce("started", [{"id": number} for number in range(5)], 0, timestamp=1_600_000_000_000)
    broker.produce("started", [{"id": 10}], 1, timestamp=1_700_000_000_000)
    starts = {
        "latest": [],
        "{started: {'0': 3}}": [3, 4, 10],
        "'2022-01-01T00:00:00Z'": [10],
        "earliest": [0, 1, 2, 3, 4, 10],
    }
    for start, ids in starts.items():
        bronze(project, broker, "started", f"{EVENTS}, starting_offsets: {start}, max_offsets_per_trigger: 3")
        done = project.run("started", full_refresh=True)
        found = project.rows("bronze.started") if ids else []
        assert sorted(row["id"] for row in found) == ids, start
        assert done.batches == -(-len(ids) // 3), start  # none where nothing is there
    project.job("whole", BRONZE.format(servers=broker.servers, topic="started", more=EVENTS) + "    read: full\n")
    assert [project.run("whole", lake=str(project.root / "other")).rows_read for _ in range(2)] == [6, 6]


def test_many_messages_of_one_partition_are_read_by_several_tasks(project, broker, monkeypatch):
    monkeypatch.setattr("lakehouse.sources.kafka._MESSAGES", "10")
    broker.topic("backlog")
    broker.produce("backlog", [{"id": number} for number in range(35)])
    bronze(project, broker, "backlog", EVENTS)
    assert project.run("backlog").rows_inserted == 35
    assert sorted(row["id"] for row in project.rows("bronze.backlog")) == list(range(35))
    assert len(list((project.lake / "bronze/backlog").glob("*.parquet"))) == 4


SENDS = """
    layer: gold
    source:
      rows:
        schema: "id int, kind string, amount decimal(10,2), at timestamp"
        rows:
          - [1, paid, 10.50, "2026-01-02T03:04:05Z"]
          - [2, refunded, 99.00, "2026-01-02T03:04:06Z"]
          - [3, null, null, null]
          - [3, null, null, null]
    sink:
      kafka: {{bootstrap_servers: "{servers}"{more}}}
"""


def sends(project, broker, name, more) -> None:
    project.job(name, SENDS.format(servers=broker.servers, more=more))


def test_rows_are_sent_as_json_events_with_ids_of_their_own(project, broker):
    broker.topic("plain_events")
    sends(project, broker, "plain_events", ", topic: plain_events, key: id, headers: {kind: kind, fixed: \"'x'\"}")
    done = project.run("plain_events")
    assert balanced(done) and done.rows_inserted == 4 and done.outputs[0].name == "plain_events"
    found = broker.messages("plain_events")
    assert json.loads(found[0].value) == {"id": 1, "kind": "paid", "amount": 10.5, "at": "2026-01-02T03:04:05.000000Z"}
    assert (found[0].key, found[0].headers["kind"], found[0].headers["fixed"]) == (b"1", b"paid", b"x")
    assert json.loads(found[2].value)["kind"] is None and found[2].headers["kind"] is None
    assert len({message.headers["event_id"] for message in found}) == 4  # also of two rows that are equal


def test_values_are_what_the_sql_says_and_null_is_a_tombstone(project, broker):
    broker.topic("chosen")
    value = "\"CASE WHEN kind IS NOT NULL THEN named_struct('k', kind, 'n', NULL) END\""
    sends(project, broker, "chosen", f", topic: chosen, value: {value}")
    project.run("chosen")
    assert [message.value for message in broker.messages("chosen")] == [
        b'{"k":"paid","n":null}',
        b'{"k":"refunded","n":null}',
        None,
        None,
    ]


def test_the_events_of_a_key_are_sent_in_their_sequence(project, broker):
    broker.topic("sequenced", partitions=3)
    project.job(
        "sequenced",
        f"""
layer: gold
source:
  sql: {{query: "SELECT id % 7 AS item, id AS number FROM range(0, 700, 1, 5) ORDER BY hash(id)"}}
sink:
  kafka: {{bootstrap_servers: "{broker.servers}", topic: sequenced, key: item, sequence_by: [number]}}
""",
    )
    assert project.run("sequenced").rows_inserted == 700
    sent = [json.loads(message.value) for message in broker.messages("sequenced")]
    for item in range(7):
        assert [event["number"] for event in sent if event["item"] == item] == list(range(item, 700, 7))


def test_a_cloudevents_envelope_holds_the_row_and_routes_go_by_type_with_a_dead_letter_topic(project, broker):
    for name in ("payments", "large", "dead"):
        broker.topic(name)
    more = """, envelope: cloudevents, event_type: kind, event_time: at, key: id,
              route: {"amount > 50": large, paid: payments}, otherwise: dead"""
    sends(project, broker, "routed", more)
    done = project.run("routed")
    assert balanced(done) and done.rows_inserted == 4
    assert done.notes == ("sent to large 1, payments 1, dead 2",)
    (paid,), (large,), dead = (broker.messages(name) for name in ("payments", "large", "dead"))
    assert paid.headers["content-type"] == b"application/cloudevents+json; charset=UTF-8"
    event = json.loads(paid.value)
    assert event.pop("id").encode() == paid.headers["event_id"]
    assert event == {
        "specversion": "1.0", "source": "/lakehouse/routed", "type": "paid", "time": "2026-01-02T03:04:05.000000Z",
        "subject": "1", "datacontenttype": "application/json",
        "data": {"id": 1, "kind": "paid", "amount": 10.5, "at": "2026-01-02T03:04:05.000000Z"},
    }  # fmt: skip
    assert json.loads(large.value)["data"]["id"] == 2
    unknown = json.loads(dead[0].value)
    assert (unknown["type"], "time" in unknown) == ("routed", False)


def test_a_finished_batch_is_not_sent_again_and_a_dead_one_is_sent_with_the_same_ids(project, broker, monkeypatch):
    broker.topic("source")
    broker.topic("target")
    broker.produce("source", [{"id": number} for number in range(50)])
    project.job(
        "resent",
        f"""
    layer: silver
    source: {{kafka: {{bootstrap_servers: "{broker.servers}", topics: source, schema: "id bigint"}}}}
    transforms:
      - derive: {{columns: {{seen: "now()"}}}}
    sink: {{kafka: {{bootstrap_servers: "{broker.servers}", topic: target}}}}
    """,
    )
    save = progress.save

    def die(folder, state) -> None:
        if state.batch >= 0:
            raise KeyboardInterrupt
        save(folder, state)

    with monkeypatch.context() as patch:
        patch.setattr(progress, "save", die)
        with pytest.raises(Interrupted):
            project.run("resent")
    assert len(broker.messages("target")) == 50
    assert project.run("resent").state == "succeeded" and project.run("resent").rows_read == 0
    found = broker.messages("target")
    ids = [message.headers["event_id"] for message in found]
    assert (len(ids), len(set(ids)), len({message.value for message in found})) == (100, 50, 50)
    broker.produce("source", [{"id": 1}])
    project.run("resent")
    assert len({message.headers["event_id"] for message in broker.messages("target")}) == 51


def test_what_the_sink_cannot_do_is_named_before_and_no_secret_is_shown(project, broker, capsys, monkeypatch):
    for more in (
        "",
        ", topic: x, otherwise: y",
        ", route: {paid: x}, otherwise: y",
        ", event_type: kind, route: {paid: x}",
        ", topic: x, sequence_by: [id]",
    ):
        sends(project, broker, "wrong", more)
        with pytest.raises(ConfigError, match=r"wrong\.yml:\d+: sink 'kafka': "):
            project.run("wrong")
    sends(project, broker, "wrong", ", topic: nowhere")
    with pytest.raises(SinkError, match=f"there is no topic nowhere at {broker.servers}"):
        project.run("wrong")
    canary = "c4n4ry-9f3b"
    monkeypatch.setenv("KAFKA_PASSWORD", canary)
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required username=\\"u\\" password=\\"${KAFKA_PASSWORD}\\";'
    secure = f', options: {{security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, sasl.jaas.config: "{login}"}}'
    sends(project, broker, "secret", f", topic: x{secure}")
    bronze(project, broker, "secret_source", secure)
    errors = []
    for name, kind in (("secret", SinkError), ("secret_source", DataError)):
        with pytest.raises(kind) as raised:
            project.run(name)
        errors.append("".join(traceback.format_exception(raised.value)))
        errors.append(plan_text(plan_job(project.root / f"conf/{name}.yml", lake=str(project.lake))))
    written = [file.read_text(errors="replace") for file in project.lake.rglob("*") if file.is_file()]
    assert "options: ***" in errors[1] and not [
        text for text in (*errors, *written, *capsys.readouterr()) if canary in text
    ]


def test_the_shops_order_events_come_from_a_broker_under_their_environment(project, broker, monkeypatch):
    monkeypatch.setenv("KAFKA_SERVERS", broker.servers)
    broker.topic("order_events", partitions=2)
    landing = project.root / "landing"
    write_shop(landing, days=1, scale=SCALE)
    lines = [line for file in sorted(landing.glob("order_events/*")) for line in file.read_bytes().splitlines()]
    broker.produce("order_events", lines)
    done = run_job(ROOT / "conf/bronze_order_events.yml", lake=str(project.lake), env="kafka")
    broken = done.rows_quarantined
    assert balanced(done) and done.rows_read == len(lines) and 0 < broken < len(lines) / 10
    assert {row["event_type"] for row in project.rows("bronze.order_events")} >= {"order_created", "order_paid"}


def test_the_examples_alerts_reach_a_topic_under_their_environment(project, broker, monkeypatch):
    monkeypatch.setenv("KAFKA_SERVERS", broker.servers)
    broker.topic("fraud_alerts")
    orders = [[f"o{hour}", 7, f"2026-01-01 10:{hour}0:00", 500] for hour in range(3)] + [
        ["p", 8, "2026-01-01 10:00:00", 20]
    ]
    project.job("placed", f"""
        layer: silver
        source:
          rows: {{schema: "order_id string, customer_id bigint, at string, paid int", rows: {json.dumps(orders)}}}
        transforms:
          - derive: {{columns: {{ordered_at: "timestamp(at)", amount: "cast(paid as decimal(12,2))"}}}}
        sink:
          append: {{table: silver.placed_orders}}
    """)  # fmt: skip
    project.run("placed")
    for read, sent in ((4, 2), (0, 0)):
        done = run_job(ROOT / "examples/streams/conf/gold_fraud_scores.yml", lake=str(project.lake), env="kafka")
        assert balanced(done) and done.rows_read == read
        assert sum(output.rows for output in done.outputs if output.name == "fraud_alerts") == sent
    events = [json.loads(message.value) for message in broker.messages("fraud_alerts")]
    assert {event["subject"]: event["data"]["reasons"] for event in events} == {
        "o1": ["spent 1000 within a day"], "o2": ["three orders within an hour", "spent 1000 within a day"],
    }  # fmt: skip
    assert {(event["type"], event["time"]) for event in events} == {
        ("fraud.suspected", "2026-01-01T10:10:00.000000Z"), ("fraud.suspected", "2026-01-01T10:20:00.000000Z"),
    }  # fmt: skip


KILLS = 20
FOR_EVER = """
import sys
from lakehouse import get_spark, run
from lakehouse.errors import LakehouseError

get_spark("killed")
print("ready", flush=True)
while True:
    try:
        run(sys.argv[1])
    except LakehouseError as error:
        print(error, flush=True)
"""


@pytest.mark.soak
def test_killed_at_any_moment_no_event_is_lost_or_doubled_also_where_the_broker_dies(project, broker):
    """SIGKILL to the driver and its JVM at seeded moments, every other one amid a batch, and twice to the broker."""
    moments = random.Random(20261122)
    broker.topic("killed", partitions=3)
    bronze(project, broker, "killed", f"{EVENTS}, max_offsets_per_trigger: 40")
    intent = project.lake / "_checkpoints/killed/intent.json"
    good, poison, amid = [], 0, 0
    for hit in range(KILLS):
        ids = [hit * 1000 + number for number in range(120)]
        broker.produce("killed", [*({"id": number} for number in ids), b"poison", b"poison"])
        good, poison = good + ids, poison + 2
        command = [sys.executable, "-c", FOR_EVER, str(project.root / "conf/killed.yml")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                assert process.stdout.readline() == "ready\n"
                if hit in (7, 14):
                    broker.kill()
                    broker.start()
                if hit % 2:
                    wait_for(intent.exists)
                wait_for(lambda: False, moments.uniform(0, 2))
            finally:
                os.killpg(process.pid, signal.SIGKILL)
        amid += intent.exists()
    project.run("killed")
    rows = project.rows("bronze.killed")
    assert sorted(row["id"] for row in rows) == sorted(good)
    places = [f"{row['_topic']}/{row['_partition']}/{row['_offset']}" for row in rows]
    broken = [row["source"] for row in project.rows("bronze.killed__quarantine")]
    assert len(broken) == poison and len({*places, *broken}) == len(good) + poison
    assert amid >= KILLS // 5


def test_a_broker_that_dies_and_comes_back_within_a_run_costs_no_event_and_doubles_none(project, broker, monkeypatch):
    broker.topic("away", partitions=2)
    bronze(project, broker, "away", f"{EVENTS}, max_offsets_per_trigger: 40")
    with (project.root / "conf/away.yml").open("a") as file:
        file.write("stream: {trigger: 0.2 seconds}\n")
    broker.produce("away", [{"id": number} for number in range(400)])
    monkeypatch.chdir(project.root)
    taken: list[int] = []

    def has(number: int) -> bool:
        made = (project.lake / "bronze/away/_delta_log/00000000000000000000.json").exists()
        return made and len(project.rows("bronze.away")) >= number

    def outage() -> None:
        wait_for(lambda: has(80))
        broker.kill()
        taken.append(len(project.rows("bronze.away")))
        wait_for(lambda: False, 8)
        taken.append(len(project.rows("bronze.away")))
        broker.start()
        broker.produce("away", [*({"id": number} for number in range(400, 500)), b"poison"])
        wait_for(lambda: has(500), 120)
        command(["stop", "away"])

    other = threading.Thread(target=outage)
    other.start()
    done = project.run("away", timeout=240)
    other.join(60)
    assert taken[0] < 400, "the broker died after all was read"
    assert taken[1] < 400, "all was read while it was away"
    assert done.notes == ("stopped by `lakehouse stop`",)
    assert sorted(row["id"] for row in project.rows("bronze.away")) == list(range(500))
    assert len(project.rows("bronze.away__quarantine")) == 1
    records = runs.read(runs.Layout(str(project.lake)), "away")
    assert all(map(balanced, records))
    assert sum(record.rows_read for record in records) == 501


def wait_for(there: Callable[[], bool], seconds: float = 60) -> None:
    """Looks again and again, until it is there or the time is over."""
    deadline = time.monotonic() + seconds
    while not there() and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
