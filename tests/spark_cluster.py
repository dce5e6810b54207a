"""The local cluster's topology as plain processes on loopback: a master and two workers that know one secret."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from servers import ROOT, free_port

T = TypeVar("T")
VENV = ROOT / ".venv"
SPARK_HOME = next(VENV.glob("lib/python3.*/site-packages/pyspark"))
PROPERTIES = ROOT / "docker/spark.properties"
CLASSES = "org.apache.spark.deploy"


@dataclass(frozen=True)
class SparkCluster:
    """A running master with its workers; `environment()` is what a driver needs beside `--master url`."""

    port: int
    page: int
    secret: str
    workers: tuple[subprocess.Popen[bytes], ...]
    pages: tuple[int, ...]

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {"_SPARK_AUTH_SECRET": self.secret, "SPARK_LOCAL_IP": "127.0.0.1"}

    def state(self) -> dict[str, Any]:
        """What the master's page says: its workers with their cores in use, its applications."""
        return json_at(f"http://127.0.0.1:{self.page}/json/")

    def alive(self) -> int:
        return sum(worker["state"] == "ALIVE" for worker in self.state()["workers"])

    def kill_worker_of(self, executor: str) -> None:
        """SIGKILL for the worker that started an executor, and for the executor: a machine that loses its power."""
        for worker, page in zip(self.workers, self.pages, strict=True):
            if executor in {str(each["id"]) for each in json_at(f"http://127.0.0.1:{page}/json/")["executors"]}:
                os.killpg(worker.pid, signal.SIGKILL)
                return
        raise AssertionError(f"no worker has executor {executor}")


def json_at(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def wait_for(what: Callable[[], T], name: str, seconds: float = 60) -> T:
    """What `what` says as soon as that is true; one that cannot be asked yet is not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except (OSError, ValueError, LookupError):
            pass
        time.sleep(0.02)
    raise RuntimeError(f"{name}: not after {seconds} s")


@contextmanager
def spark_cluster() -> Iterator[SparkCluster]:
    """A master and two workers of two cores, gone at the end with all that they started."""
    with tempfile.TemporaryDirectory(prefix="cluster-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        port, page, secret = free_port(), free_port(), secrets.token_hex(24)

        def start(*arguments: object) -> subprocess.Popen[bytes]:
            return stack.enter_context(_daemon(Path(folder), secret, *arguments))

        start(f"{CLASSES}.master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", page)
        workers, pages = [], [free_port(), free_port()]
        wait_for(lambda: json_at(f"http://127.0.0.1:{page}/json/"), f"the master ({_said(Path(folder))})")
        for own in pages:
            place = ("--work-dir", f"{folder}/{own}", "--webui-port", own, "--host", "127.0.0.1")
            master = f"spark://127.0.0.1:{port}"
            workers.append(start(f"{CLASSES}.worker.Worker", "--cores", 2, "--memory", "2g", *place, master))
        cluster = SparkCluster(port, page, secret, tuple(workers), tuple(pages))
        wait_for(lambda: cluster.alive() == 2, f"two workers ({_said(Path(folder))})")
        yield cluster


@contextmanager
def _daemon(folder: Path, secret: str, name: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """One of Spark's own programs, in a group of its own with its executors, from the cluster's own settings."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "AWS_", "PYSPARK_"))
    }
    environment |= {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "_SPARK_AUTH_SECRET": secret}
    environment["PATH"] = f"{VENV}/bin:{environment['PATH']}"
    command = [SPARK_HOME / "bin/spark-class", name, "--properties-file", PROPERTIES, *map(str, arguments)]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):  # killed by its test
                os.killpg(process.pid, signal.SIGKILL)


def _said(folder: Path) -> str:
    return f"log in {folder}/log"
