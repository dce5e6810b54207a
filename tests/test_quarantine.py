"""The quarantine: rows are mended and replayed through their job's own path, each once, and never beat newer data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from conftest import Project, balanced
from lakehouse import ConfigError, DataError, quarantine, runs
from lakehouse.cli import command
from lakehouse.pipeline import progress

ORDERS = """
layer: silver
source:
  files: {path: data, format: csv}
schema: "id int, amount decimal(10,2), at int, note string"
rules:
  - not_null: {column: id}
  - in_range: {column: amount, min: 0}
sink:
  merge: {table: silver.orders, keys: [id], sequence_by: [at]}
"""


class Shop:
    """A job over CSV files, in the project's folder."""

    def __init__(self, project: Project, capsys) -> None:
        self.project, self.capsys, self.count = project, capsys, 0
        project.job("orders", ORDERS)

    def job(self, *changes: tuple[str, str]) -> None:
        text = ORDERS
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.project.job("orders", text)

    def land(self, *lines: str) -> runs.RunRecord:
        self.file(*lines)
        record = self.project.run("orders")
        assert balanced(record)
        return record

    def file(self, *lines: str) -> None:
        self.count += 1
        self.project.write(f"data/{self.count}.csv", "\n".join(["id,amount,at,note", *lines]) + "\n")

    def say(self, *words: str, code: int = 0) -> str:
        """What `lakehouse quarantine` prints."""
        self.capsys.readouterr()
        assert command(["quarantine", *words]) == code, self.capsys.readouterr()
        said = self.capsys.readouterr()
        return said.err if code else said.out

    def broken(self, table: str = "silver.orders") -> dict[str, dict]:
        """The quarantined rows by their note, or by the first letters of their id."""
        rows = self.project.rows(f"{table}__quarantine")
        return {json.loads(row["row"]).get("note") or row["id"][:8]: row for row in rows}

    def orders(self) -> list[str]:
        found = self.project.rows("silver.orders")
        return sorted(f"{row['id']} {row['amount']} {row['at']} {row['note']}" for row in found)


@pytest.fixture
def shop(project, capsys, monkeypatch) -> Shop:
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("LAKEHOUSE_USER", "ann")
    return Shop(project, capsys)


def test_a_mended_row_lands_once_however_often_it_is_replayed(shop):
    shop.land("1,5.00,1,fine", "2,-7.00,1,typo", ",3.00,1,lost")
    row = shop.broken()["typo"]
    assert "1 row mended" in shop.say("fix", row["id"][:8], "--set", "amount=7.00", "--why", "a sign too many")
    assert shop.orders() == ["1 5.00 1 fine"]  # mended is not replayed
    said = shop.say("replay", row["id"], "--why", "checked")
    assert "1 replayed by orders: 1 valid (1 inserted, 0 updated, 0 deleted, 0 unchanged)" in said
    assert "no open row" in shop.say("replay", row["id"])
    assert shop.orders() == ["1 5.00 1 fine", "2 7.00 1 typo"]
    after = shop.broken()["typo"]
    assert (after["status"], after["decided_by"], after["why"]) == ("replayed", "ann", "checked")
    assert json.loads(after["row"])["amount"] == "-7.00"  # as it came
    assert json.loads(after["mended"])["amount"] == "7.00"
    records = {record["run_id"]: record for record in shop.project.rows("_runs")}
    record = records[after["replayed_in"]]
    assert (record["job"], record["rows_read"], record["rows_valid"], record["rows_inserted"]) == ("orders", 1, 1, 1)
    assert shop.broken()["lost"]["status"] == "open"


def test_rows_are_replayed_under_corrected_rules_and_those_still_broken_stay_open(shop):
    shop.land("1,-5.00,1,refund", "2,-9000.00,1,odd", ",1.00,1,lost")
    shop.job(("{column: amount, min: 0}", "{column: amount, min: -100}"))
    said = shop.say("replay", "silver.orders")
    assert "3 replayed by orders: 1 valid" in said
    assert "2 broken again (still open)" in said
    assert shop.orders() == ["1 -5.00 1 refund"]
    states = {note: row["status"] for note, row in shop.broken().items()}
    assert states == {"refund": "replayed", "odd": "open", "lost": "open"}
    reason = shop.broken()["odd"]["reasons"]
    assert [(item["rule"], "min: -100" in item["message"]) for item in reason] == [("in_range(amount)", True)]
    shop.job(("{column: amount, min: 0}", "{column: amount, min: -10000}"))
    shop.say("replay", "silver.orders", "--rule", "in_range(amount)")
    assert {note: row["status"] for note, row in shop.broken().items()}["odd"] == "replayed"
    assert shop.project.run("orders").rows_read == 0


def test_a_replayed_row_never_beats_newer_data(shop):
    shop.land("1,-5.00,3,old", "2,-1.00,9,newest")
    shop.land("1,6.00,4,newer", "2,6.00,4,older")
    shop.say("fix", "silver.orders", "--where", "true", "--sql", "amount = abs(amount)")
    assert "0 inserted, 1 updated, 0 deleted, 1 unchanged" in shop.say("replay", "silver.orders")
    assert shop.orders() == ["1 6.00 4 newer", "2 1.00 9 newest"]


def test_without_a_sequence_a_row_that_is_there_stays(shop):
    shop.job((", sequence_by: [at]", ""))
    shop.land("1,-5.00,1,old", "3,-5.00,1,alone")
    shop.land("1,6.00,2,newer")
    shop.say("fix", "silver.orders", "--where", "cast(amount as double) < 0", "--sql", "amount = -amount")
    shop.say("replay", "silver.orders")
    assert shop.orders() == ["1 6.00 2 newer", "3 5.00 1 alone"]


@pytest.mark.parametrize("step", ["sink", "mark", "progress", "record"])
def test_a_replay_that_died_is_finished_by_the_next_run_or_replay(shop, monkeypatch, step):
    shop.job(("merge: {table: silver.orders, keys: [id], sequence_by: [at]}", "append: {table: silver.orders}"))
    shop.land("1,-5.00,1,first", "2,-6.00,1,second")
    shop.say("fix", "silver.orders", "--where", "true", "--sql", "amount = abs(amount)")
    died = []

    def dies(*_, **__):
        died.append(step)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "sink":
            patch.setattr(quarantine, "settle", dies)
        elif step == "mark":
            patch.setattr(progress, "save", dies)
        elif step == "progress":
            patch.setattr(progress, "end", dies)
        else:
            append = runs.append
            patch.setattr(
                runs, "append", lambda layout, record: dies() if record.state == "succeeded" else append(layout, record)
            )
        shop.say("replay", "silver.orders", code=130)
    assert died
    if step != "sink":
        assert "no open row" in shop.say("replay", "silver.orders")
    shop.land("3,8.00,1,third")
    assert shop.orders() == ["1 5.00 1 first", "2 6.00 1 second", "3 8.00 1 third"]
    assert {row["status"] for row in shop.broken().values()} == {"replayed"}
    assert sum(record["rows_read"] for record in shop.project.rows("_runs")) == 5


def test_a_replay_of_which_nothing_was_written_is_forgotten(shop, monkeypatch):
    shop.land("1,-5.00,1,first")
    shop.say("fix", "silver.orders", "--where", "true", "--sql", "amount = 5")
    with monkeypatch.context() as patch:
        patch.setattr("lakehouse.pipeline.replaying.advance", lambda *_: (_ for _ in ()).throw(RuntimeError("no")))
        shop.say("replay", "silver.orders", code=1)
    assert shop.project.run("orders").rows_read == 0
    assert shop.broken()["first"]["status"] == "open"
    shop.say("replay", "silver.orders")
    assert shop.orders() == ["1 5.00 1 first"]


KILLED = """
import os, signal, sys
from lakehouse import quarantine
from lakehouse.cli import command

settle = quarantine.settle

def kill(*given):
    {before}
    os.kill(os.getpid(), signal.SIGKILL)

quarantine.settle = kill
command(["quarantine", "replay", "silver.history"])
"""


@pytest.mark.parametrize("before", ["pass", "settle(*given)"], ids=["before the mark", "after the mark"])
def test_a_killed_replay_into_a_history_fed_by_a_stream_lands_once(shop, before):
    shop.project.job(
        "b", "layer: bronze\nsource:\n  files: {path: data, format: csv}\nsink:\n  append: {table: bronze.o}\n"
    )
    history = ORDERS.replace("files: {path: data, format: csv}", "delta: {table: bronze.o}").replace(
        "merge: {table: silver.orders,", "scd2: {table: silver.history,"
    )
    shop.project.job("history", history)
    shop.file("1,1.00,1,first", "1,-2.00,2,late", "1,3.00,3,third")
    for job in ("b", "history"):
        shop.project.run(job)
    shop.say("fix", "silver.history", "--rule", "in_range(amount)", "--where", "note = 'late'", "--sql", "amount = 2")
    done = subprocess.run([sys.executable, "-c", KILLED.format(before=before)], capture_output=True, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr
    shop.project.run("history")
    rows = shop.project.rows("silver.history")
    versions = sorted((row["__START_AT"], row["__END_AT"], str(row["amount"])) for row in rows)
    assert versions == [(1, 2, "1.00"), (2, 3, "2.00"), (3, None, "3.00")]
    assert shop.broken("silver.history")["late"]["status"] == "replayed"


def test_a_line_that_could_not_be_parsed_is_mended_column_by_column(shop):
    shop.land("1,5.00,1,fine", "2,7.00,1,too,many,fields")
    (row,) = shop.broken().values()
    assert "_corrupt_record" in row["row"] or "too,many" in row["row"]
    assert "1 broken again" in shop.say("replay", row["id"])
    sets = [word for pair in ("id=2", "amount=7.00", "at=1", "note=mended") for word in ("--set", pair)]
    shop.say("fix", row["id"], *sets)
    shop.say("replay", row["id"])
    assert shop.orders() == ["1 5.00 1 fine", "2 7.00 1 mended"]


def test_every_type_survives_the_way_through_the_quarantine(shop, spark):
    rows = spark.sql(
        "SELECT 1 id, cast(12345678901234567890.123456789 AS decimal(38,9)) exact, timestamp'2026-01-02 03:04:05.123456' moment, "
        "timestamp_ntz'2026-01-02 03:04:05.654321' local, date'2026-01-02' day, X'00FF10' bytes, "
        "named_struct('a', 1L, 'b', array('x', null)) nested, map('k', 1.5D) pairs, double('NaN') nan, "
        "cast(9007199254740993 AS bigint) big, true flag, cast(null AS string) nothing"
    )
    rows.write.parquet(str(shop.project.root / "typed"))
    job = """
        layer: silver
        source:
          files: {path: typed, format: parquet}
        rules:
          - accepted_values: {column: id, values: [2]}
        sink:
          append: {table: silver.typed}
        """
    shop.project.job("typed", job)
    shop.project.run("typed")
    (row,) = shop.project.rows("silver.typed__quarantine")
    shop.say("fix", row["id"], "--set", "id=2")
    shop.say("replay", "silver.typed")
    (found,) = spark.read.format("delta").load(str(shop.project.lake / "silver/typed")).collect()
    (given,) = rows.collect()
    assert repr(found) == repr(given).replace("Row(id=1", "Row(id=2")


def test_a_record_of_a_change_format_takes_the_formats_path_again(shop):
    job = """
        layer: silver
        source:
          files: {path: changes, format: json, cdc_format: debezium}
        schema: "id int, name string"
        rules:
          - matches: {column: name, pattern: '^[A-Z]'}
        sink:
          scd1: {table: silver.people, keys: [id]}
        """
    shop.project.job("people", job)
    lines = [
        {"op": "c", "before": None, "after": {"id": key, "name": name}, "source": {"lsn": lsn, "ts_ms": lsn, "connector": "postgresql"}}
        for key, name, lsn in ((1, "Ann", 5), (2, "bea", 6), (1, "zoe", 4))
    ]  # fmt: skip
    shop.project.write("changes/1.json", "\n".join(map(json.dumps, lines)) + "\n")
    shop.project.run("people")
    shop.project.job("people", job.replace("'^[A-Z]'", "'^[A-Za-z]'"))
    assert "2 valid (1 inserted, 0 updated, 0 deleted, 1 unchanged)" in shop.say("replay", "silver.people")
    assert sorted((row["id"], row["name"]) for row in shop.project.rows("silver.people")) == [(1, "Ann"), (2, "bea")]


def test_bronze_keeps_the_file_that_a_replayed_row_came_from(shop):
    shop.project.job(
        "raw",
        "layer: bronze\nsource:\n  files: {path: data, format: csv}\nrules:\n  - not_blank: {column: id}\n"
        "sink:\n  append: {table: bronze.raw}\n".replace("not_blank", "not_null"),
    )
    shop.file(",5.00,1,nameless")
    shop.project.run("raw")
    shop.say("fix", "bronze.raw", "--where", "note = 'nameless'", "--sql", "id = '7'")
    shop.say("replay", "bronze.raw")
    (row,) = shop.project.rows("bronze.raw")
    assert (row["id"], row["_source_file"].rsplit("/", 1)[-1]) == ("7", "1.csv")


def test_rows_of_a_refused_run_wait_for_the_run_that_reads_them_again(shop):
    shop.job(("sink:", "quality_gate: {max_quarantined: 10%}\nsink:"))
    shop.file("1,-5.00,1,bad", "2,5.00,1,fine")
    with pytest.raises(DataError, match="quality_gate"):
        shop.project.run("orders")
    shop.job(("{column: amount, min: 0}", "{column: amount, min: -100}"))
    assert "no open row" in shop.say("replay", "silver.orders")
    shop.project.run("orders")
    assert shop.orders() == ["1 -5.00 1 bad", "2 5.00 1 fine"]
    assert shop.broken() == {}


def test_a_gate_and_a_fail_rule_do_not_stop_a_replay(shop):
    shop.job(("min: 0}", "min: 0, on_fail: quarantine}"))
    shop.land("1,-5.00,1,bad", "2,-6.00,1,worse")
    shop.job(
        ("min: 0}", "min: -5.5, on_fail: fail}"), ("sink:", "quality_gate: {max_quarantined: 1%, min_rows: 50}\nsink:")
    )
    assert "1 valid" in shop.say("replay", "silver.orders")
    assert shop.orders() == ["1 -5.00 1 bad"]
    assert shop.broken()["worse"]["status"] == "open"


@pytest.mark.parametrize(
    "sink",
    [
        "overwrite: {table: silver.orders}",
        "snapshot: {table: silver.orders, keys: [id], strategy: check, check_columns: all}",
    ],
)
def test_single_rows_are_not_replayed_into_a_whole_copy(shop, sink):
    shop.job(("merge: {table: silver.orders, keys: [id], sequence_by: [at]}", sink), ("schema:", "read: full\nschema:"))
    shop.land("1,5.00,1,fine", "2,-6.00,1,bad")
    said = shop.say("replay", "silver.orders", code=2)
    assert said.startswith(f"{shop.project.root}/conf/orders.yml:1") or "conf/orders.yml:1" in said
    assert "correct the rule or the source and run the job" in said


@pytest.mark.parametrize("stored_as", [1, 2])
def test_a_row_of_a_snapshot_is_replayed_at_its_version_and_nothing_is_missing_for_it(shop, stored_as):
    sink = f"snapshot: {{table: silver.orders, keys: [id], version_column: at, min_rows: 2, stored_as: {stored_as}}}"
    shop.job(("merge: {table: silver.orders, keys: [id], sequence_by: [at]}", sink))
    shop.land("1,5.00,1,one", "2,6.00,1,two", "3,7.00,1,three")
    shop.land("1,5.00,2,one", "2,-8.00,2,changed", "3,-9.00,2,old", "4,-1.00,2,new", "5,1.00,2,five")
    fix = ("fix", "silver.orders", "--set", "amount=8.50", "--where")
    shop.say(*fix, "note = 'changed'")
    shop.say(*fix, "note = 'new'")
    said = shop.say("replay", "silver.orders", "--where", "note IN ('changed', 'new')")
    assert "2 valid (1 inserted, 1 updated, 0 deleted, 0 unchanged)" in said
    assert "no open row" in shop.say("replay", "silver.orders", "--where", "note IN ('changed', 'new')")
    rows = shop.project.rows("silver.orders")
    now = sorted((row["id"], str(row["amount"]), row["note"]) for row in rows if row.get("__END_AT") is None)
    assert now == [
        (1, "5.00", "one"),
        (2, "8.50", "changed"),
        (3, "7.00", "three"),
        (4, "8.50", "new"),
        (5, "1.00", "five"),
    ]
    if stored_as == 2:
        held = sorted((row["id"], row["__START_AT"], row["__END_AT"]) for row in rows)
        assert held == [(1, 1, None), (2, 1, 2), (2, 2, None), (3, 1, None), (4, 2, None), (5, 2, None)]
    shop.land("1,5.00,3,one", "2,8.50,3,changed", "3,7.00,3,three", "4,8.50,3,newer", "5,1.00,3,five")
    shop.say(*fix, "note = 'old'")
    assert "0 inserted, 0 updated, 0 deleted, 1 unchanged" in shop.say(
        "replay", "silver.orders"
    )  # version 3 has told of it
    now = {row["id"]: row["note"] for row in shop.project.rows("silver.orders") if row.get("__END_AT") is None}
    assert now == {1: "one", 2: "changed", 3: "three", 4: "newer", 5: "five"}
    record = max(shop.project.rows("_runs"), key=lambda record: record["ended"])
    assert "silver.orders: snapshot 2 skipped, it is not the last accepted one" in record["notes"]


def test_a_discarded_row_stays_where_it_is_with_who_when_and_why(shop):
    shop.land("1,-5.00,1,test", "2,-6.00,1,real")
    assert "say why" in shop.say("discard", "silver.orders", code=2)
    said = shop.say("discard", "silver.orders", "--where", "note = 'test'", "--why", "a test order")
    assert "1 row discarded" in said
    assert "1 valid" not in shop.say("replay", "silver.orders")
    row = shop.broken()["test"]
    assert (row["status"], row["decided_by"], row["why"]) == ("discarded", "ann", "a test order")
    assert row["decided_at"] is not None
    shown = shop.say("show", row["id"])
    assert "why         a test order" in shown
    assert "2 broken rows, 1 open" in shop.say("list", "silver.orders")
    assert 'note": "real' not in shop.say("list", "silver.orders", "--status", "discarded")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fix", "silver.orders"], "give either --set column=value"),
        (["fix", "silver.orders", "--set", "amount"], "it is column=value"),
        (["fix", "silver.orders", "--set", "amuont=1"], "no such column. Did you mean 'amount'?"),
        (["fix", "silver.orders", "--where", "nope > 1", "--sql", "amount = 1"], "--where 'nope > 1'"),
        (["fix", "silver.orders", "--where", "amount < 0", "--sql", "amount = 1"], "in CSV all text"),
        (
            ["fix", "silver.orders", "--where", "true", "--sql", "amuont = 1"],
            "no column 'amuont'. Did you mean 'amount'?",
        ),
        (["fix", "silver.orders", "--where", "true", "--sql", "amount = 1 where true"], "conditions go into --where"),
        (["fix", "silver.orders", "--where", "true", "--sql", "at = date 'x'"], "--sql"),
        (["replay"], "name a table or the ids of rows"),
        (["replay", "silver.nothing"], "there is no quarantine of silver.nothing"),
        (["show", "zzz"], "no broken row's id begins with 'zzz'"),
        (["show", "x'y"], "neither a table's name nor the beginning of a row's id"),
        (["list", "--sql", "a = 1"], "--sql belongs to fix"),
    ],
)
def test_a_wrong_command_is_one_line_that_says_how_to_mend_it(shop, words, said):
    shop.land("1,-5.00,1,bad")
    text = shop.say(*words, code=2)
    assert said in text
    assert len(text.strip().splitlines()) == 1


def test_a_value_that_is_none_of_its_type_is_refused(shop, spark):
    spark.sql("SELECT 1 id, date'2026-01-01' day, 1.5D x, named_struct('a', 1) s").write.parquet(
        str(shop.project.root / "typed")
    )
    shop.project.job(
        "typed",
        "layer: silver\nsource:\n  files: {path: typed, format: parquet}\nrules:\n  - expr: {sql: id > 1}\nsink:\n  append: {table: silver.typed}\n",
    )
    shop.project.run("typed")
    for given in ("id=x", "day=2026-13-01", "x=one", "s=1"):
        assert "is no" in shop.say("fix", "silver.typed", "--set", given, code=2)
    shop.say("fix", "silver.typed", "--set", "id=2", "--set", 's={"a": 5}', "--null", "day")
    shop.say("replay", "silver.typed")
    (row,) = shop.project.rows("silver.typed")
    assert row == {"id": 2, "day": None, "x": 1.5, "s": {"a": 5}}


def test_a_quarantine_with_a_name_of_its_own_is_found(shop):
    shop.job(("sink:", "quarantine: silver.bad_orders\nsink:"))
    shop.land("1,-5.00,1,bad")
    assert "silver.bad_orders: 1 broken rows" in shop.say("list")
    shop.say("fix", "silver.bad_orders", "--set", "amount=1")
    assert "1 valid" in shop.say("replay", "silver.bad_orders")


def test_a_job_that_is_gone_is_named(shop):
    shop.land("1,-5.00,1,bad")
    (shop.project.root / "conf" / "orders.yml").rename(shop.project.root / "conf" / "other.yml")
    assert "no job orders writes" in shop.say("replay", "silver.orders__quarantine", code=2)


def test_a_job_whose_run_is_unfinished_is_finished_first(shop, monkeypatch):
    shop.land("1,-5.00,1,bad")
    with monkeypatch.context() as patch:
        patch.setattr(progress, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        shop.file("2,-5.00,1,worse")
        with pytest.raises(BaseException, match="interrupted"):
            shop.project.run("orders")
    assert "lakehouse run orders" in shop.say("replay", "silver.orders", code=3)
    shop.project.run("orders")
    assert "2 replayed" in shop.say("replay", "silver.orders")


def test_refusals_are_errors_of_the_configuration():
    with pytest.raises(ConfigError, match="no such column"):
        from lakehouse.quarantine_decisions import mended_row

        row = {"schema": '{"type":"struct","fields":[{"name":"a","type":"long"}]}', "row": '{"a":1}', "mended": None}
        mended_row(row, {"b": "1"})
