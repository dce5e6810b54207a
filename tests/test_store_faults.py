"""Faults between the product and S3: what is lost on the way is known again, nothing is written twice, nobody is kept out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from conftest import balanced
from lakehouse import lease, runs, storage
from lakehouse.cli import command
from lakehouse.errors import BusyError, SinkError
from lakehouse.lease import held
from lakehouse.tables import Layout
from servers import Minio, in_environment, minio
from store_faults import KINDS, Faults, Request, faulty


@dataclass(frozen=True)
class Way:
    """A bucket of a real MinIO behind a proxy that breaks, and the proxy's faults."""

    root: str
    faults: Faults
    server: Minio
    address: str

    def client(self):
        """Past the proxy."""
        return boto3.client("s3", endpoint_url=self.server.endpoint, region_name="us-east-1",
                            aws_access_key_id=self.server.access_key, aws_secret_access_key=self.server.secret_key)  # fmt: skip

    def rows(self, table: str) -> list[dict]:
        """The table's rows, read past the proxy."""
        options = {**self.server.environment(), "aws_conditional_put": "etag"}
        opened = DeltaTable(f"{self.root}/{table.replace('.', '/')}", storage_options=options)
        return pa.table(QueryBuilder().register("t", opened).execute("SELECT * FROM t").read_all()).to_pylist()

    def leases(self) -> list[str]:
        found = self.client().list_objects_v2(Bucket="faulty", Prefix="lake/_leases/").get("Contents", [])
        return [item["Key"] for item in found]


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    faults = Faults(seed=7)
    with (
        minio("faulty") as server,
        faulty(server.endpoint, faults) as address,
        in_environment({**server.environment(), "AWS_ENDPOINT_URL": address}),
    ):
        yield Way("s3a://faulty/lake", faults, server, address)


def is_conditional(request: Request) -> bool:
    return request.method == "PUT" and request.is_conditional


@pytest.mark.parametrize("kind", ["lost", "lost_500", "reset", "slow_down"])
def test_an_object_made_by_a_request_whose_answer_was_lost_is_known_as_ones_own(way, kind):
    path = f"{way.root}/once/{kind}.json"
    way.faults.arm(kind, is_conditional)
    etag = storage.put_object_if(path, "mine", None)
    assert etag
    assert storage.put_object_if(path, "another's", None) is None
    way.faults.arm(kind, is_conditional)
    assert storage.put_object_if(path, "mine again", etag)
    assert storage.put_object_if(path, "another's", etag) is None
    assert storage.read_text(path) == "mine again"
    assert not way.faults.armed


def test_an_answer_that_is_cut_is_asked_for_again(way):
    path = f"{way.root}/whole.json"
    storage.write_text(path, "x" * 1000)
    way.faults.arm("cut", lambda request: request.method == "GET", 2)
    assert storage.read_text(path) == "x" * 1000
    assert not way.faults.armed


def test_a_lease_outlives_lost_answers_and_keeps_another_copy_out(way, monkeypatch):
    monkeypatch.setattr(lease, "RENEWAL", 0.05)
    for made in ("/owners/", "/silver.orders.json"):
        way.faults.arm("lost", lambda request, made=made: is_conditional(request) and made in request.path)
    with held(Layout(way.root), ["silver.orders"]):
        way.faults.arm("lost", is_conditional, 10)  # of its renewals, each try of one among them
        until = time.monotonic() + 30
        while way.faults.armed and time.monotonic() < until:
            time.sleep(0.05)
        assert not way.faults.armed
        time.sleep(0.5)
        with pytest.raises(BusyError), held(Layout(way.root), ["silver.orders"]):
            pass
    with held(Layout(way.root), ["silver.orders"]):
        pass
    assert way.leases() == []


def test_a_lease_that_cannot_be_given_back_keeps_the_next_run_of_this_process_not_out(way):
    way.faults.arm("reset", lambda request: request.method == "DELETE", 100)
    with held(Layout(way.root), ["silver.orders"]):
        pass
    way.faults.armed.clear()
    assert len(way.leases()) == 2
    started = time.monotonic()
    with held(Layout(way.root), ["silver.orders"]):
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_on_record_once_whatever_happens_to_its_commit(way, kind):
    layout = Layout(f"{way.root}/{kind}")
    for number in range(2):
        runs.append(layout, runs.RunRecord(f"run {number}", "job", "", runs.now()))
    way.faults.arm(kind, lambda request: request.method == "PUT" and "_delta_log" in request.path)
    way.faults.arm(kind, lambda request: request.method == "GET" and "_delta_log" in request.path)
    runs.append(layout, runs.RunRecord("run 2", "job", "", runs.now()))
    assert sorted(record.run_id for record in runs.read(layout)) == ["run 0", "run 1", "run 2"]
    assert not way.faults.armed


def test_a_store_that_stays_away_is_one_line_that_names_the_table(way):
    layout = Layout(f"{way.root}/away")
    runs.append(layout, runs.RunRecord("run", "job", "", runs.now()))
    way.faults.arm("reset", lambda request: "away" in request.path, 10_000)
    started = time.monotonic()
    with pytest.raises(
        SinkError, match=r"^s3a://faulty/lake/away/_runs cannot be read: [^\n\x1b]*Generic S3 error: [^\n\x1b]*$"
    ) as told:
        runs.read(layout)
    assert told.value.passes
    assert time.monotonic() - started < 60
    way.faults.armed.clear()


BRONZE = """
    layer: bronze
    source:
      files: {path: "s3a://faulty/landing", format: json}
    schema: id bigint, name string, at bigint
    sink:
      append: {table: bronze.people}
"""
SILVER = """
    layer: silver
    source:
      delta: {table: bronze.people}
    rules:
      - not_null: {column: id}
    sink:
      SINK: {table: silver.TABLE, keys: [id], sequence_by: [at]}
"""
INTERVAL = "    stream: {trigger: 1 second, max_failures: 2}\n"
JOBS = {"people": "scd1", "people_history": "scd2", "people_merged": "merge"}
ROUNDS = 2


def landed(number: int) -> list[dict]:
    """The rows of a round's file: new people, others under a new name, and one without an id."""
    keys = range(0, 10 * (number + 1), number + 1)
    known = [{"id": key, "name": f"{key} as of {number}", "at": number} for key in keys]
    return [*known, {"id": None, "name": f"nobody {number}", "at": number}]


@pytest.fixture
def people(way, spark, project, monkeypatch):
    """A project whose jobs reach the store through the proxy, from Spark too."""
    settings = {"endpoint": way.address, "access.key": way.server.access_key, "secret.key": way.server.secret_key,
                "path.style.access": "true", "connection.ssl.enabled": "false", "endpoint.region": "us-east-1"}  # fmt: skip
    for key, value in settings.items():
        spark._jsc.hadoopConfiguration().set(f"fs.s3a.bucket.faulty.{key}", value)
    monkeypatch.setenv("LAKE", way.root)
    monkeypatch.setattr("lakehouse.pipeline.retrying._LONGEST", 0.2)
    monkeypatch.chdir(project.root)
    project.job("bronze_people", BRONZE)
    for table, sink in JOBS.items():
        job = SILVER.replace("SINK", sink).replace("TABLE", table)
        project.job(f"silver_{table}", job + (INTERVAL if sink == "merge" else ""))
    return project


def test_jobs_on_a_store_that_fails_at_random_give_the_tables_of_one_that_does_not(way, people, capsys):
    ends: list[int] = []
    for number in range(ROUNDS):
        body = "".join(json.dumps(row) + "\n" for row in landed(number))
        way.client().put_object(Bucket="faulty", Key=f"landing/{number}.json", Body=body.encode())
        for rate in (0.02, 0.0):
            way.faults.rate, way.faults.most = rate, 40
            ends.append(command(["run", "--all", "--once"]))
            said = "".join(capsys.readouterr())
            assert ends[-1] in (0, 3, 4), said
            assert not any(sign in said for sign in ("Traceback", "\tat ")), said
    assert ends[1::2] == [0] * ROUNDS
    assert any(ends)
    assert {kind for kind, _ in way.faults.happened} == set(KINDS)

    rows = [row for number in range(ROUNDS) for row in landed(number)]
    require_tables(way, rows)
    records = [record for record in runs.read(Layout(way.root)) if record.job.endswith(("people", *JOBS))]
    assert all(map(balanced, records))
    assert len({record.run_id for record in records}) == len(records)
    for job in ("bronze_people", *(f"silver_{table}" for table in JOBS)):
        assert sum(record.rows_read for record in records if record.job == job) == len(rows), job
    assert [key for key in way.leases() if "/owners/" not in key] == []


def test_a_run_that_slept_and_was_taken_over_saves_no_progress_and_gives_no_lease_of_others_back(
    way, people, monkeypatch
):
    layout = Layout(f"{way.root}/slept")
    monkeypatch.setenv("LAKE", layout.root)
    people.job("bronze_people", BRONZE.replace("landing", "slept"))
    way.client().put_object(Bucket="faulty", Key="slept/0.json", Body=b'{"id": 1, "name": "x", "at": 0}\n')
    leases = [layout.join("_leases", f"{name}.json") for name in ("job-bronze_people", "bronze.people")]

    def taken_over(event: str, **told: object) -> None:
        if event == "targets_written":  # another run takes the sign of life away that the lease names
            storage.delete(json.loads(str(storage.read_text(leases[0])))["life"])

    with monkeypatch.context() as asleep:
        asleep.setattr(lease._Life, "renew", lambda life: None)
        asleep.setattr("lakehouse.log.event", taken_over)
        with pytest.raises(BusyError, match=r"^job-bronze_people was taken over by another run: .* run it again$"):
            people.run("bronze_people")
    assert all(map(storage.read_text, leases))
    assert storage.read_text(f"{layout.checkpoint('bronze_people')}/progress.json") is None
    assert [people.run("bronze_people").rows_read for _ in range(2)] == [1, 0]  # the batch is finished as it was begun
    assert [row["id"] for row in way.rows("slept/bronze.people")] == [1]


def require_tables(way: Way, rows: list[dict]) -> None:
    """Each row is in bronze once, each change in the history, the newest in the others, and each broken one set aside."""
    changes = [(row["id"], row["name"], row["at"]) for row in rows if row["id"] is not None]
    newest = {key: (key, name, at) for key, name, at in changes}  # they are in the order of their time

    def found(table: str, *columns: str) -> list[tuple]:
        return sorted((tuple(row[name] for name in columns) for row in way.rows(table)), key=str)

    assert found("bronze.people", "id", "name", "at") == sorted((tuple(row.values()) for row in rows), key=str)
    for table in ("silver.people", "silver.people_merged"):
        assert found(table, "id", "name", "at") == sorted(newest.values(), key=str), table
    times = {key: sorted(at for other, _, at in changes if other == key) for key in newest}
    until = {(key, at): later for key, ats in times.items() for at, later in zip(ats, [*ats[1:], None], strict=True)}
    versions = [(key, name, at, until[key, at]) for key, name, at in changes]
    assert found("silver.people_history", "id", "name", "__START_AT", "__END_AT") == sorted(versions, key=str)
    for table in JOBS:
        broken = way.rows(f"silver.{table}__quarantine")
        assert sorted(json.loads(row["row"])["name"] for row in broken) == [f"nobody {n}" for n in range(ROUNDS)], table
