"""Real servers for the tests, each on a free port of loopback with its data in a folder of its own."""

from __future__ import annotations

import secrets
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lakehouse import storage

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Minio:
    """A running MinIO; `environment()` is what boto3, S3A and delta-rs read."""

    endpoint: str
    access_key: str
    secret_key: str
    process: subprocess.Popen[bytes]

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }


@contextmanager
def in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """This process with these variables, by which the product and its programs find a store, until the block ends."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            storage.s3_client.cache_clear()
            yield
    finally:
        storage.s3_client.cache_clear()


def minio_program() -> Path:
    """Builds it where this machine has none yet; a build that fails is an error with its one line, never a skip."""
    made = subprocess.run([ROOT / "conf/spark/minio.sh"], capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(made.stderr.strip())
    return Path(made.stdout.strip())


@contextmanager
def minio(*buckets: str) -> Iterator[Minio]:
    """An empty MinIO with these buckets, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="minio-") as folder:
        for bucket in buckets:
            (Path(folder) / "data" / bucket).mkdir(parents=True)  # a folder of its disk is a bucket
        address = f"127.0.0.1:{free_port()}"
        access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
        command = [
            minio_program(),
            "server",
            f"{folder}/data",
            "--address",
            address,
            "--console-address",
            "127.0.0.1:0",
        ]
        environment = {
            "HOME": folder,
            "MINIO_ROOT_USER": access_key,
            "MINIO_ROOT_PASSWORD": secret_key,
            "MINIO_BROWSER": "off",
        }
        with (
            (Path(folder) / "log").open("wb") as log,
            subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
        ):
            try:
                wait_until_live(f"http://{address}/minio/health/ready", process, Path(f"{folder}/log"))
                yield Minio(f"http://{address}", access_key, secret_key, process)
            finally:
                process.kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_live(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended: {log.read_text()[-500:]}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer after {seconds} s: {log.read_text()[-500:]}")
