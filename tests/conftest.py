"""One Spark session for the whole run; a project of its own for each test."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from broker import kafka_broker
from lakehouse import run as run_job
from lakehouse.runs import RunRecord
from postgres import postgres
from servers import in_environment, minio
from shop import finished, program

OF_THE_DEMO = {"test_demo", "test_notebooks", "test_readme"}


class ByFile(LoadScopeScheduling):
    """Where several processes share the tests, a file's go to one, and so do all files that need the lake of the two demos."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        return "demo" if file.stem in OF_THE_DEMO else str(file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No file makes the two demos a second time."""
    of_demo = {item.path.stem for item in items if "demo" in getattr(item, "fixturenames", ())}
    assert of_demo <= OF_THE_DEMO, f"name them in OF_THE_DEMO: {of_demo - OF_THE_DEMO}"


@pytest.fixture(scope="session")
def broker():
    with kafka_broker() as running:
        yield running


@pytest.fixture(scope="session")
def database_server():
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def s3():
    """A bucket of a real MinIO, which the environment names: its address."""
    with minio("lake") as server, in_environment(server.environment()):
        yield "s3a://lake"


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path) -> str:
    """A folder of the test's own, on disk and on S3."""
    return str(tmp_path) if request.param == "local" else f"{request.getfixturevalue('s3')}/{tmp_path.name}"


@dataclass
class Project:
    """A project's folder with its jobs, its data and its lake; tables are read by the deltalake package, never by Spark."""

    root: Path

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    def job(self, name: str, text: str) -> Path:
        return self.write(f"conf/{name}.yml", textwrap.dedent(text))

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def run(self, name: str, **options) -> RunRecord:
        return run_job(self.root / "conf" / f"{name}.yml", **options)

    def rows(self, table: str, order_by: str | None = None) -> list[dict]:
        """The table's rows as the deltalake package sees them, ordered by all columns unless told otherwise."""
        opened = DeltaTable(str(self.lake / table.replace(".", "/")))
        found = pa.table(QueryBuilder().register("t", opened).execute("SELECT * FROM t").read_all()).to_pylist()
        return sorted(found, key=lambda row: str(row[order_by]) if order_by else str(row))

    def version(self, table: str) -> int:
        return DeltaTable(str(self.lake / table.replace(".", "/"))).version()


@pytest.fixture
def project(tmp_path, spark, monkeypatch) -> Project:
    monkeypatch.delenv("LAKE", raising=False)
    (tmp_path / "conf").mkdir()
    return Project(tmp_path)


def balanced(record: RunRecord) -> bool:
    """The two balances of every run record."""
    fates = record.rows_valid + record.rows_quarantined + record.rows_dropped + record.rows_late
    effects = record.rows_inserted + record.rows_updated + record.rows_deleted + record.rows_unchanged
    return record.rows_read == fates and record.rows_to_sink == effects


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> tuple[str, list[str]]:
    """A lake after two demos on the smallest shop, and what they printed."""
    lake = str(tmp_path_factory.mktemp("demo") / "lake")
    return lake, [finished(program(lake, "demo")) for _ in range(2)]
