"""What a run needs, checked one by one: Java, Spark, Delta, the JARs, the storage; each with its remedy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.session import jvm_options
from lakehouse.storage import require_reachable

_JAVAS = ("17", "21")
_JARS = (
    "io.delta_delta-spark_4.1_2.13-4.4.0",
    "org.apache.hadoop_hadoop-aws-3.4.2",
    "org.apache.spark_spark-sql-kafka-0-10_2.13-4.1.3",
)
_PACKAGES = {"pyspark": "4.1.3", "delta-spark": "4.4.0", "deltalake": None, "boto3": None, "pydantic": None}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    remedy: str = ""


def diagnose(lake: str) -> list[Finding]:
    """Everything that a run needs, in the order in which it would be missed."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _java,
        _packages,
        _jars,
        _archive,
        lambda: _storage(lake),
    )
    return [finding for check in checks for finding in check()]


def java_version(java: str) -> str | None:
    """The major version of a Java program, or None where it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr  # noqa: S603 (the user's own Java)
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return found[1] if found else None


def _python() -> Iterator[Finding]:
    own = ".".join(map(str, sys.version_info[:3]))
    yield Finding(f"Python {own}", sys.version_info >= (3, 11), "install Python 3.11 or newer, then make setup")


def _java() -> Iterator[Finding]:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java") or "java"
    found = java_version(java)
    remedy = "apt-get install openjdk-17-jre-headless (Spark 4.1 runs on Java 17 and 21, not on 25)"
    yield Finding(f"Java {found or 'is missing'} ({java})", found in _JAVAS, remedy)


def _packages() -> Iterator[Finding]:
    for name, wanted in _PACKAGES.items():
        try:
            found: str | None = version(name)
        except PackageNotFoundError:
            found = None
        good = found is not None and wanted in (None, found)
        yield Finding(f"{name} {found or 'is missing'}", good, f"{wanted or 'it'} is needed: make setup")


def _jars() -> Iterator[Finding]:
    import pyspark

    folder = Path(pyspark.__file__).parent / "jars"
    for jar in _JARS:
        yield Finding(f"JAR {jar}", (folder / f"{jar}.jar").exists(), "make setup fetches it")


def _archive() -> Iterator[Finding]:
    options = jvm_options()
    archive = re.search(r"SharedArchiveFile=([^\"\s]+)", options)
    there = archive is not None and Path(archive[1]).exists()
    yield Finding(
        f"class archive {'found' if there else 'is missing'} (jobs start sooner with it)", there, "make setup makes it"
    )


def _storage(lake: str) -> Iterator[Finding]:
    try:
        require_reachable(lake)
    except LakehouseError as error:
        yield Finding(f"lake {lake}: {error}", False, "set LAKE to a folder or an s3a:// place that can be written")
    else:
        yield Finding(f"lake {lake}", True)
