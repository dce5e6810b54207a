"""S3 on a real MinIO, and leases on both kinds of lake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lakehouse import lease, storage
from lakehouse.diagnosis.store import store
from lakehouse.errors import BusyError, SinkError
from lakehouse.lease import held
from lakehouse.tables import Layout
from servers import in_environment

HOLDER = """
import sys, time
from lakehouse.lease import held
from lakehouse.tables import Layout
with held(Layout(sys.argv[1]), ["silver.orders"]):
    print("held", flush=True)
    time.sleep(120)
"""


def test_what_is_written_is_read_listed_and_deleted(place):
    assert storage.read_text(f"{place}/a/b.json") is None
    for name in ("a/b.json", "a/c.json", "a/_hidden", "ab/d.json"):
        storage.write_text(f"{place}/{name}", name)
    assert storage.read_text(f"{place}/a/b.json") == "a/b.json"
    assert storage.read_part(f"{place}/a/b.json", 3) == b"a/b"
    assert storage.read_part(f"{place}/a/b.json", 4, last=True) == b"json"
    assert [file.path for file in storage.list_files(f"{place}/a")] == [f"{place}/a/b.json", f"{place}/a/c.json"]
    assert [file.path for file in storage.list_files(f"{place}/a*/d*.json")] == [f"{place}/ab/d.json"]
    assert storage.folders(place) == ["a", "ab"] or set(storage.folders(place)) == {"a", "ab"}
    storage.delete(f"{place}/a/b.json")
    storage.delete(f"{place}/a/b.json")
    assert storage.read_text(f"{place}/a/b.json") is None
    storage.delete_tree(f"{place}/a")
    assert storage.list_files(f"{place}/a") == []
    assert storage.read_text(f"{place}/ab/d.json") == "ab/d.json"


def test_an_object_is_made_once_and_replaced_only_where_it_is_unchanged(s3):
    path = f"{s3}/once.json"
    etag = storage.put_object_if(path, "1", None)
    assert etag
    assert storage.put_object_if(path, "2", None) is None
    assert storage.put_object_if(path, "3", '"0"') is None
    assert storage.put_object_if(path, "4", etag)
    assert storage.read_text(path) == "4"


def test_a_wrong_bucket_is_one_line_that_names_it(s3):
    with pytest.raises(SinkError, match=r"^bucket nowhere at http://127.0.0.1:\d+ does not exist$"):
        storage.require_reachable("s3a://nowhere/demo")


def test_a_store_that_is_down_is_named_within_a_minute(s3):
    started = time.monotonic()
    with (
        in_environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
        pytest.raises(SinkError, match=r"bucket lake at http://127.0.0.1:9 is out of reach"),
    ):
        storage.require_reachable("s3a://lake/demo")
    assert time.monotonic() - started < 60


@contextmanager
def another_owner(place: str) -> Iterator[subprocess.Popen]:
    """A process that holds the lease until it is killed."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, place], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_copy_is_told_at_once_and_by_name(place):
    with another_owner(place) as owner:
        started = time.monotonic()
        told = rf"silver\.orders is held by another run \(process {owner.pid}"
        with pytest.raises(BusyError, match=told), held(Layout(place), ["silver.orders"]):
            pass
        assert time.monotonic() - started < 5
        with held(Layout(place), ["silver.others"]):
            pass


def test_the_lease_of_a_dead_owner_on_this_host_is_taken_over_at_once(place):
    with another_owner(place) as owner:
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    started = time.monotonic()
    with held(Layout(place), ["silver.orders"]):
        assert time.monotonic() - started < 5
    with held(Layout(place), ["silver.orders"]):
        pass


def test_a_lease_is_given_back_where_a_later_one_is_held(place):
    with another_owner(place):
        with pytest.raises(BusyError), held(Layout(place), ["bronze.orders", "silver.orders"]):
            pass
        with held(Layout(place), ["bronze.orders"]):
            pass


def test_an_owner_on_another_host_is_alive_while_it_renews_and_dead_when_it_stopped(s3, monkeypatch):
    place = f"{s3}/elsewhere"
    with another_owner(place) as owner:
        monkeypatch.setattr(lease, "_boot", lambda: "another machine")
        started = time.monotonic()
        with pytest.raises(BusyError), held(Layout(place), ["silver.orders"]):
            pass
        assert time.monotonic() - started < 5
        monkeypatch.setattr(lease, "EXPIRY", 3.0)
        os.kill(owner.pid, signal.SIGSTOP)
        with held(Layout(place), ["silver.orders"]):
            assert time.monotonic() - started > 3


def test_doctor_writes_to_a_store_and_leaves_nothing_there(s3):
    place = f"{s3}/looked-at"
    assert [finding.state for finding in store(place)] == ["ok", "ok"]
    assert list(storage.list_s3(place)) == []
    assert [finding.what for finding in store("s3a://nobody-made-it/lake") if "does not exist" in finding.what]
