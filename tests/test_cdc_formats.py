"""Change data in formats known by name: Debezium's envelopes and the files of AWS DMS, through jobs, in any order."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from jsonschema import Draft202012Validator

from conftest import Project, balanced
from lakehouse import ConfigError
from lakehouse.config.yaml_text import parse
from lakehouse.planning.job_schema import job_schema

PLACEHOLDER = "__debezium_unavailable_value"
JOB = """
layer: silver
source:
  files: {{path: data, format: {format}, cdc_format: {cdc}{source}}}
{top}
sink:
  {sink}: {{table: silver.t, keys: [id]{more}}}
"""
SCHEMA = 'schema: "id int, name string, city string"'


def postgres(op: str, lsn: int, before: object = None, after: object = None, **source: object) -> dict:
    """An envelope as the PostgreSQL connector writes it."""
    block = {
        "version": "3.0.0.Final", "connector": "postgresql", "name": "shop", "ts_ms": 1700000000000 + lsn,
        "snapshot": "true" if op == "r" else "false", "db": "shop", "sequence": f'["{lsn - 8}","{lsn}"]',
        "schema": "public", "table": "people", "txId": 700, "lsn": lsn, "xmin": None, **source,
    }  # fmt: skip
    return {"before": before, "after": after, "source": block, "op": op, "ts_ms": 1700000009999, "transaction": None}


def person(key: int, name: str | None = None, city: str | None = None) -> dict:
    return {"id": key, "name": name, "city": city}


class Feed:
    """A job fed file by file."""

    def __init__(self, project: Project, **words: str) -> None:
        self.project, self.count = project, 0
        self.format = words.get("format", "json")
        given = {"format": "json", "cdc": "debezium", "source": "", "top": SCHEMA, "sink": "scd1", "more": "", **words}
        project.job("x", JOB.format(**given))

    def send(self, *records: object, name: str = "x"):
        self.count += 1
        lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
        self.project.write(f"data/{self.count:03}.{self.format}", "\n".join(lines) + "\n")
        record = self.project.run(name)
        assert balanced(record)
        return record

    def rows(self, *columns: str) -> list[str]:
        """The table's rows as text, NULL as `-`."""
        shown = columns or ("id", "name", "city")
        found = self.project.rows("silver.t")
        return sorted(" ".join("-" if row[name] is None else str(row[name]) for name in shown) for row in found)

    def quarantined(self) -> list[tuple[str, str]]:
        """The row and the first reason of each broken row."""
        found = self.project.rows("silver.t__quarantine")
        return sorted((row["reasons"][0]["message"], row["row"]) for row in found)


EVENTS = [
    postgres("r", 100, None, person(1, "Ann", "Rome")),
    postgres("r", 100, None, person(2, "Bea", "Oslo")),
    postgres("u", 110, None, person(1, "Ann", "Bonn")),
    postgres("d", 120, {"id": 2, "name": None, "city": None}),  # REPLICA IDENTITY DEFAULT: the key alone
    postgres("d", 130, {"id": 1, "name": None, "city": None}),  # the key 1 becomes 7: a delete and an insert
    postgres("c", 130, None, person(7, "Ann", "Bonn")),
    postgres("c", 140, None, person(2, "Cid", "Lyon")),
]


def test_debezium_needs_nothing_but_keys_and_gives_one_table_in_any_order(project):
    feed = Feed(project)
    first = feed.send(*EVENTS[3:], "null", *EVENTS[1:2])
    assert (first.rows_read, first.rows_valid, first.rows_dropped) == (6, 5, 1)
    feed.send(*reversed(EVENTS[:3]), EVENTS[3], EVENTS[0])
    assert feed.rows() == ["2 Cid Lyon", "7 Ann Bonn"]
    assert set(project.rows("silver.t")[0]) == {"id", "name", "city"}


def test_debezium_into_scd2_orders_by_position_then_commit_time(project):
    feed = Feed(project, sink="scd2")
    feed.send(*reversed(EVENTS), EVENTS[0])
    held = sorted((row["id"], row["city"], row["__START_AT"]["position"][-3:]) for row in project.rows("silver.t"))
    assert held == [(1, "Bonn", "110"), (1, "Rome", "100"), (2, "Lyon", "140"), (2, "Oslo", "100"), (7, "Bonn", "130")]
    newest = next(row for row in project.rows("silver.t") if row["id"] == 7)
    assert newest["__START_AT"]["committed_at"] == datetime(2023, 11, 14, 22, 13, 20, 130000, tzinfo=UTC)


def test_merge_takes_debezium_too(project):
    feed = Feed(project, sink="merge", top="contract: people")
    project.write("conf/contracts/people.yml", "name: people\nversion: 1\nfields:\n  - {name: id, type: int, required: true}\n"
                  "  - {name: name, type: string, required: true}\n  - {name: city, type: string}\n")  # fmt: skip
    feed.send(*EVENTS[:2])
    feed.send(*reversed(EVENTS[2:]), EVENTS[0])
    assert feed.rows() == ["2 Cid Lyon", "7 Ann Bonn"]
    assert "_before" not in project.rows("silver.t")[0]


SCHEMA_BLOCK = {
    "type": "struct", "name": "shop.public.people.Envelope", "optional": False, "version": 1,
    "fields": [
        {"type": "struct", "optional": True, "name": "shop.public.people.Value", "field": side, "fields": [
            {"type": "int32", "optional": False, "default": 0, "field": "id"},
            {"type": "int32", "optional": True, "name": "io.debezium.time.Date", "version": 1, "field": "born"},
            {"type": "int64", "optional": True, "name": "io.debezium.time.Timestamp", "version": 1, "field": "ms"},
            {"type": "int64", "optional": True, "name": "io.debezium.time.MicroTimestamp", "version": 1, "field": "us"},
            {"type": "int64", "optional": True, "name": "io.debezium.time.NanoTimestamp", "version": 1, "field": "ns"},
            {"type": "string", "optional": True, "name": "io.debezium.time.ZonedTimestamp", "version": 1, "field": "zoned"},
            {"type": "int64", "optional": True, "name": "io.debezium.time.MicroTime", "version": 1, "field": "at"},
            {"type": "bytes", "optional": True, "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
             "parameters": {"scale": "2", "connect.decimal.precision": "10"}, "field": "amount"},
            {"type": "struct", "optional": True, "name": "io.debezium.data.VariableScaleDecimal", "version": 1, "fields": [
                {"type": "int32", "optional": False, "field": "scale"},
                {"type": "bytes", "optional": False, "field": "value"}], "field": "any_scale"},
            {"type": "double", "optional": True, "field": "weight"},
            {"type": "bytes", "optional": True, "field": "photo"},
        ]} for side in ("before", "after")
    ],
}  # fmt: skip
TYPES = (
    "id int, born date, ms timestamp, us timestamp, ns timestamp, zoned timestamp, at string, amount decimal(10,2), "
    "any_scale decimal(20,3), weight double, photo binary"
)
ENCODED = {
    "id": 1, "born": 19000, "ms": 1641600000123, "us": 1641600000123456, "ns": 1641600000123456789,
    "zoned": "2022-01-08T01:00:00.5+01:00", "at": 3723000001, "amount": "AJY=", "any_scale": {"scale": 1, "value": "/w=="},
    "weight": 1.25, "photo": "AQI=",
}  # fmt: skip
NEGATIVE = {**ENCODED, "id": 2, "born": -1, "ms": -1, "amount": "/2o=", "any_scale": None, "photo": None}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_what_a_schema_block_names_becomes_what_the_contract_asks_for(project):
    feed = Feed(project, top=f'schema: "{TYPES}"')
    events = [postgres("c", 10 + row["id"], None, row) for row in (ENCODED, NEGATIVE)]
    record = feed.send(
        *[{"schema": SCHEMA_BLOCK, "payload": event} for event in events], {"schema": None, "payload": None}
    )
    assert (record.rows_valid, record.rows_dropped) == (2, 1)
    one, two = project.rows("silver.t", order_by="id")
    assert (str(one["born"]), one["ms"], one["us"]) == (
        "2022-01-08", utc(2022, 1, 8, 0, 0, 0, 123000), utc(2022, 1, 8, 0, 0, 0, 123456)
    )  # fmt: skip
    assert (one["ns"], one["zoned"], one["at"]) == (one["us"], utc(2022, 1, 8, 0, 0, 0, 500000), "01:02:03.000001")
    assert [str(one["amount"]), str(one["any_scale"]), one["weight"], one["photo"]] == ["1.50", "-0.100", 1.25, b"\1\2"]
    assert (str(two["born"]), two["ms"], str(two["amount"])) == (
        "1969-12-31",
        utc(1969, 12, 31, 23, 59, 59, 999000),
        "-1.50",
    )


def test_without_a_schema_block_days_are_known_and_a_number_of_unknown_unit_is_a_broken_row(project):
    feed = Feed(project, top='schema: "id int, born date, at timestamp"')
    good = {"id": 1, "born": 19000, "at": "2022-01-08T00:00:00Z"}
    record = feed.send(postgres("c", 10, None, good), postgres("c", 11, None, {**good, "id": 2, "at": 1641600000123}))
    assert (record.rows_valid, record.rows_quarantined) == (1, 1)
    assert str(project.rows("silver.t")[0]["born"]) == "2022-01-08"
    message, row = feed.quarantined()[0]
    assert message == "is no timestamp"
    assert json.loads(row)["source"]["connector"] == "postgresql"  # the record as it came


def test_broken_envelopes_are_quarantined_as_they_came_and_messages_are_dropped(project):
    feed = Feed(project)
    message = {"op": "m", "ts_ms": 1, "source": {"lsn": 9}, "message": {"prefix": "p", "content": "AQ=="}}
    broken = [
        {**EVENTS[0], "op": "x"}, postgres("u", 5), postgres("d", 6), {"id": 1, "name": "no envelope"}, "{half",
        {**EVENTS[0], "source": {"table": "t"}},
    ]  # fmt: skip
    record = feed.send(*broken, message, EVENTS[0])
    assert (record.rows_read, record.rows_valid, record.rows_quarantined, record.rows_dropped) == (8, 1, 6, 1)
    found = feed.quarantined()
    assert [reason for reason, _ in found] == [
        "neither a position nor a commit time in 'source'", "no Debezium envelope: it has no 'op'",
        "op 'd' without 'before': it says no key", "op 'u' without 'after'", "the record could not be parsed",
        "unknown operation 'x'",
    ]  # fmt: skip
    assert json.loads(found[4][1]) == {"_corrupt_record": "{half"}
    assert json.loads(found[5][1])["op"] == "x"


def test_a_truncate_empties_scd1_and_is_never_applied_in_silence_elsewhere(project):
    contract = "name: people\nversion: 1\nkeys: [id]\nfields:\n  - {name: id, type: int, required: true}\n  - {name: name, type: string}\n"
    project.write("conf/contracts/people.yml", contract)
    feed = Feed(project, top="contract: people")
    assert feed.send(EVENTS[2], *EVENTS[:2], postgres("t", 105)).rows_valid == 4
    assert feed.rows("id") == ["1"]
    project.job(
        "y",
        JOB.format(format="json", cdc="debezium", source="", top="contract: people", sink="scd2", more="").replace(
            "silver.t", "silver.h"
        ),
    )
    record = project.run("y")
    assert (record.rows_valid, record.rows_quarantined) == (3, 1)
    reasons = [reason["message"] for reason in project.rows("silver.h__quarantine")[0]["reasons"]]
    assert any("a truncate, which scd2 cannot apply" in reason for reason in reasons)


def test_a_value_that_was_not_sent_overwrites_nothing(project):
    known = postgres("u", 120, person(1, "long", "Rome"), person(1, PLACEHOLDER, "Bonn"))  # REPLICA IDENTITY FULL
    unknown = postgres("u", 130, None, person(1, PLACEHOLDER, "Lyon"))
    feed = Feed(project)
    feed.send(known, postgres("c", 100, None, person(1, "long", "Rome")))
    assert feed.rows() == ["1 long Bonn"]
    assert feed.send(unknown).rows_quarantined == 1
    assert feed.rows() == ["1 long Bonn"]
    assert feed.quarantined()[0][0].startswith("the source did not send the value")
    Feed(project, sink="scd2", more=", ignore_null_updates_column_list: [name]")
    project.run("x", full_refresh=True)
    assert feed.rows() == ["1 long Bonn", "1 long Lyon", "1 long Rome"]


def source_of(connector: str, *places: dict) -> list[dict]:
    return [{"connector": connector, "ts_ms": 1700000000000, **place} for place in places]


IN_ORDER = {
    "mysql": source_of("mysql", {"file": "mysql-bin.000999", "pos": 4, "row": 0}, {"file": "mysql-bin.000999", "pos": 1200, "row": 0},
                       {"file": "mysql-bin.000999", "pos": 1200, "row": 1}, {"file": "mysql-bin.1000", "pos": 4, "row": 0}),
    "sqlserver": source_of("sqlserver", {"commit_lsn": "00000027:000000F0:0003", "change_lsn": None, "event_serial_no": None},
                           {"commit_lsn": "00000027:00000758:0005", "change_lsn": "00000027:00000758:0003", "event_serial_no": 9},
                           {"commit_lsn": "00000027:00000758:0005", "change_lsn": "00000027:00000758:0003", "event_serial_no": 10},
                           {"commit_lsn": "0000002a:00000001:0001", "change_lsn": "00000027:00000758:0001", "event_serial_no": 1}),
    "oracle": source_of("oracle", {"scn": "999"}, {"scn": "1000", "ssn": 9}, {"scn": "1000", "ssn": 10}),
    "mongodb": source_of("mongodb", {"ord": 2}, {"ord": 10}, {"ord": 1, "ts_ms": 1700000001000}),
    "vitess": source_of("vitess", {"ts_ms": 1}, {"ts_ms": 2, "ts_us": 2000}, {"ts_ms": 2, "ts_us": 2001}),
}  # fmt: skip


def test_the_positions_of_each_connector_sort_as_their_logs_do(project):
    feed = Feed(project, sink="scd3", more=", keep_previous: [name]")
    events = [
        {"op": "c", "before": None, "after": person(key, f"{place}"), "source": source}
        for key, connector in enumerate(IN_ORDER)
        for place, source in enumerate(IN_ORDER[connector])
    ]
    feed.send(*reversed(events), *events[::2])
    newest = [str(len(places) - 1) for places in IN_ORDER.values()]
    assert feed.rows("name") == sorted(newest)
    assert [f"{row['name']}" for row in project.rows("silver.t", order_by="id")] == newest


BRONZE = """
layer: bronze
source:
  files: {path: data, format: json}
sink:
  append: {table: bronze.people}
"""
SILVER = """
layer: silver
source:
  delta: {table: bronze.people, cdc_format: debezium}
schema: "id int, name string, city string"
sink:
  scd2: {table: silver.t, keys: [id]}
"""


def test_bronze_keeps_envelopes_and_silver_reads_them(project):
    feed = Feed(project)
    project.job("x", BRONZE)
    project.job("silver", SILVER)
    feed.send(EVENTS[0], EVENTS[1])  # before is NULL throughout: bronze takes it for text
    assert project.run("silver").rows_valid == 2
    feed.send(*reversed(EVENTS[2:]), "null", "{half")
    record = project.run("silver")
    assert balanced(record)
    assert (record.rows_read, record.rows_quarantined, record.rows_dropped) == (7, 1, 1)
    assert feed.rows() == ["1 Ann Bonn", "1 Ann Rome", "2 Bea Oslo", "2 Cid Lyon", "7 Ann Bonn"]


def test_raw_text_is_read_where_the_columns_are_known(project):
    feed = Feed(project, format="text")
    feed.format = "txt"
    record = feed.send(*[{"schema": None, "payload": event} for event in EVENTS], "null", "{half")
    assert (record.rows_valid, record.rows_quarantined, record.rows_dropped) == (7, 1, 1)
    assert feed.rows() == ["2 Cid Lyon", "7 Ann Bonn"]
    assert feed.quarantined()[0][0] == "no Debezium envelope: it has no 'op'"
    Feed(project, format="text", top="")
    with pytest.raises(
        ConfigError, match=r"x.yml:4: source 'files': the columns of .* give the job a contract or a schema"
    ):
        project.run("x", full_refresh=True)


def test_what_the_yaml_says_wins(project):
    feed = Feed(
        project,
        more=", sequence_by: [name], apply_as_deletes: \"_operation = 'update'\", column_list: [city, _operation]",
    )
    feed.send(*EVENTS[:3])
    assert feed.rows("id", "city", "_operation") == ["2 Oslo read"]


KAFKA_ROWS = """
layer: silver
source:
  rows:
    schema: "_key string, value string"
    rows: {rows}
    cdc_format: debezium
schema: "id int, name string"
sink:
  scd1: {{table: silver.t, keys: [id]}}
"""


def test_a_delete_without_before_takes_its_key_from_kafka(project):
    created = json.dumps(postgres("c", 1, None, {"id": 1, "name": "Ann"}))
    rows = [['{"id":1}', created], ['{"id":2}', created.replace('"id": 1', '"id": 2')],
            ['{"schema":{},"payload":{"id":2}}', json.dumps(postgres("d", 2))], ['{"id":2}', None]]  # fmt: skip
    project.job("x", KAFKA_ROWS.format(rows=json.dumps(rows)))
    record = project.run("x")
    assert balanced(record)
    assert (record.rows_valid, record.rows_dropped, [row["id"] for row in project.rows("silver.t")]) == (3, 1, [1])


CDC = "20231114221320%019d"


def dms(project: Project, **words: str) -> Feed:
    return Feed(project, **{"format": "csv", "cdc": "dms", **words})


def test_dms_full_load_is_older_than_every_change_whatever_comes_first(project):
    feed = dms(project)
    changes = [f"U,{CDC % 10},1,Ann,Bonn", f"d,{CDC % 9},2,,", f"I,{CDC % 11},3,Cid,Lyon", f"X,{CDC % 12},4,,"]
    record = feed.send("Op,AR_H_CHANGE_SEQ,id,name,city", *changes)
    assert (record.rows_valid, record.rows_quarantined) == (3, 1)
    assert feed.quarantined()[0][0] == "unknown operation 'X'"
    project.write("data/LOAD1.csv", "id,name,city\n1,Ann,Rome\n2,Bea,Oslo\n")  # a full load without Op
    feed.send("Op,AR_H_CHANGE_SEQ,id,name,city", "I,,3,Old,Rome", "I,,5,Eve,Rome", changes[0])  # IncludeOpForFullLoad
    assert feed.rows() == ["1 Ann Bonn", "3 Cid Lyon", "5 Eve Rome"]


def test_dms_by_commit_time_under_the_endpoints_own_name_with_before_images(project):
    feed = dms(project, sink="append", top="", source=", cdc_columns: {commit_time: dms_ts}")
    project.job("x", (project.root / "conf/x.yml").read_text().replace(", keys: [id]", ""))
    feed.send(
        "Op,dms_ts,id,city,BI_city", "U,2023-11-14 22:13:20.000002,1,Bonn,Rome", "I,2023-11-14 22:13:20.000001,1,Rome,"
    )
    rows = project.rows("silver.t", order_by="city")
    assert [row["_operation"] for row in rows] == ["update", "insert"]
    assert [row["_before"] for row in rows] == [{"id": None, "city": "Rome"}, None] or rows[0]["_before"] == {
        "city": "Rome"
    }
    assert rows[0]["_sequence"] == {"position": "0", "committed_at": utc(2023, 11, 14, 22, 13, 20, 2)}
    assert set(rows[0]) == {"id", "city", "_operation", "_sequence", "_before"}


def test_dms_without_an_order_says_how_to_get_one(project):
    feed = dms(project)
    with pytest.raises(
        ConfigError, match=r"x.yml:7: sink 'scd1': no column orders the changes.*AR_H_CHANGE_SEQ.*TimestampColumnName"
    ):
        feed.send("Op,id,name,city", "I,1,Ann,Rome")
    project.job("x", (project.root / "conf/x.yml").read_text().replace("keys: [id]", "keys: [id], sequence_by: [name]"))
    assert project.run("x").rows_valid == 1


def test_dms_parquet_and_mysql_stream_positions(project, spark):
    places = ["mysql-bin-changelog.000999:154:-1:154", "mysql-bin-changelog.1000:4:-1:4"]
    rows = [("U", places[1], 1, "new"), ("I", places[0], 1, "old")]
    spark.createDataFrame(rows, "Op string, AR_H_STREAM_POSITION string, id int, name string").write.parquet(
        str(project.root / "data")
    )
    dms(project, format="parquet", sink="scd2", top="")
    assert balanced(project.run("x"))
    rows = project.rows("silver.t")
    assert [(row["name"], row["__END_AT"] is None) for row in rows] == [("new", True), ("old", False)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"cdc": "debezum"}, r"x.yml:4: source 'files': 'cdc_format' cannot be 'debezum'. Did you mean 'debezium'"),
        ({"sink": "snapshot"}, r"x.yml:7: sink 'snapshot': it compares full copies"),
        (
            {"source": ", cdc_columns: {position: lsn}"},
            r"x.yml:4: source 'files': 'cdc_columns' is nothing for debezium",
        ),
        ({"more": ", sequence_by: [at]"}, r"x.yml:7: sink 'scd1': no column 'at'"),
    ],
)
def test_mistakes_are_named_with_their_line(project, words, message):
    with pytest.raises(ConfigError, match=message):
        Feed(project, **words).send(EVENTS[0])


def test_the_json_schema_takes_a_sink_that_its_source_tells_the_rest():
    text = JOB.format(format="json", cdc="debezium", source="", top=SCHEMA, sink="scd1", more="")
    validator = Draft202012Validator(job_schema())
    assert validator.is_valid(parse(text, "x.yml").value)
    assert not validator.is_valid(parse(text.replace("debezium", "debezum"), "x.yml").value)


def test_missing_keys_are_asked_for(project):
    feed = Feed(project)
    project.job("x", (project.root / "conf/x.yml").read_text().replace(", keys: [id]", ""))
    with pytest.raises(
        ConfigError, match="sink 'scd1': a debezium record does not say which of its columns are the key"
    ):
        feed.send(EVENTS[0])
