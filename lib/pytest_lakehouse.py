"""What pytest finds of lakehouse: fixtures for tests of jobs, and the YAML tests under tests/jobs.

A module of its own, which imports the product where it is asked for something only: every pytest in an environment with
lakehouse loads this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse.testing import Lake


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--record`."""
    group = parser.getgroup("lakehouse")
    group.addoption(
        "--record", action="store_true", help="write what was found as `expect` into YAML tests that do not hold"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuses several processes that would write one file."""
    if config.getoption("--record") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--record writes files of tests: run it in one process, without -n")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The tests in `tests/jobs/*.yml`."""
    if file_path.suffix not in (".yml", ".yaml") or file_path.parts[-3:-1] != ("tests", "jobs"):
        return None
    from lakehouse.testing.yaml_items import JobTestsInYaml

    collected: pytest.Collector = JobTestsInYaml.from_parent(parent, path=file_path)
    return collected


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark session for all tests of the run, with Delta."""
    from lakehouse import get_spark

    session = get_spark("tests")
    yield session
    session.stop()


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake of the test's own, which `$LAKE` names: `write`, `run`, `rows`, `require`."""
    from lakehouse.testing import Lake

    monkeypatch.setenv("LAKE", str(tmp_path / "lake"))
    return Lake(tmp_path / "lake", spark)


@pytest.fixture
def frame(spark: SparkSession) -> Callable[..., DataFrame]:
    """`frame(rows, schema=None)`: a DataFrame of mappings, or of lists in the schema's order."""
    from lakehouse.testing import frame_of

    def made(rows: list[Any], schema: str | None = None) -> DataFrame:
        return frame_of(spark, rows, schema)

    return made


@pytest.fixture
def assert_table(lake: Lake) -> Callable[[str, list[dict[str, Any]]], None]:
    """`assert_table("silver.orders", rows)`: fails with the differences unless the lake's table holds these rows."""
    return lake.require
