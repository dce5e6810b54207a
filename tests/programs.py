"""The command line as a user's terminal starts it, in a group of processes of its own; and how a test waits for what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shop import LAKEHOUSE


@contextmanager
def program(
    root: Path, *arguments: str, starter: tuple[str, ...] = tuple(LAKEHOUSE)
) -> Iterator[subprocess.Popen[str]]:
    """The program in a project's folder, until the block ends: what still runs then is killed."""
    environment = {**os.environ, "SPARK_DRIVER_MEMORY": "1g"}
    environment.pop("PYSPARK_GATEWAY_PORT", None)
    process = subprocess.Popen([*starter, *arguments], env=environment, cwd=root, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until(found: Callable[[], bool], process: subprocess.Popen[str] | None = None, seconds: float = 120) -> None:
    """Waits until it is so; a program that has ended meanwhile is an error with all that it said."""
    end = time.monotonic() + seconds
    while not found():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.2)
