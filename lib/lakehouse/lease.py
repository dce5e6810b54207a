"""One owner per table: an OS lock on a local lake, an object made by conditional put on S3; taken before Spark starts."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse import log
from lakehouse.errors import BusyError, SinkError
from lakehouse.storage import delete, get_object, put_object_if
from lakehouse.tables import Layout, is_remote

RENEWAL = 1.5  # seconds between two signs of life
EXPIRY = 30.0  # without one for so long, the owner is dead

_HELD: dict[str, _Life] = {}  # what this process holds on S3, by path


@contextmanager
def held(layout: Layout, names: Sequence[str]) -> Iterator[None]:
    """Holds the leases of these jobs and tables; raises BusyError, naming the owner, where another copy has one."""
    taken: list[Any] = []
    if is_remote(layout.root):
        with _alive(layout) as life:
            try:
                for name in sorted(set(names)):
                    taken.append(_take_remote(layout, name, life))
                    _HELD[taken[-1]] = life  # one by one: those taken are given back on an error
                yield
            finally:
                for path in taken:
                    _HELD.pop(path, None)
                _let_go(*reversed(taken), while_kept=life)
        return
    try:
        for name in sorted(set(names)):
            taken.append(_take_local(layout, name))  # noqa: PERF401 (those taken are given back on an error)
        yield
    finally:
        for handle in reversed(taken):
            os.close(handle)


def require_kept(layout: Layout, name: str) -> None:
    """Raises BusyError where another run took a lease over that this process had: while the machine slept, or the store did
    not answer, its sign of life was not renewed for too long."""
    life = _HELD.get(_path(layout, name))
    if life is not None and not life.is_kept():
        raise BusyError(
            f"{name} was taken over by another run: the store saw no sign of life of this one for {EXPIRY:g} s; run it again"
        )


def _path(layout: Layout, name: str) -> str:
    return layout.join("_leases", f"{name}.json")


def is_held(layout: Layout, name: str) -> bool:
    """True where a run holds the lease of a job or a table."""
    try:
        with held(layout, [name]):
            return False
    except BusyError:
        return True


def _take_local(layout: Layout, name: str) -> int:
    """The lock of one name; the system takes it back when its owner dies, so a dead owner holds nothing."""
    path = Path(layout.join("_leases", f"{name}.lock"))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(handle, 200, 0).decode(errors="replace").strip()
        os.close(handle)
        raise BusyError(
            f"{name} is held by another run ({owner or 'just starting'}); wait for it, or stop it"
        ) from None
    except OSError as error:
        os.close(handle)
        raise SinkError(f"{path} cannot be locked: {error.strerror}") from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return handle


@dataclass
class _Life:
    """This process's sign of life: an object renewed again and again, which its leases name."""

    path: str
    etag: str
    stop: threading.Event = field(default_factory=threading.Event)

    def renew(self) -> None:
        """Renews until told to stop, or somebody else took the sign of life away; a store that is away may come back."""
        while not self.stop.wait(RENEWAL):
            try:
                etag = put_object_if(self.path, _owner(), self.etag) or self._etag_now()
            except SinkError:
                continue
            if etag is None:
                return
            self.etag = etag

    def is_kept(self) -> bool:
        """False where another run took over: it takes the object away then."""
        return get_object(self.path) is not None

    def _etag_now(self) -> str | None:
        """The object's etag; None where it is gone. Others only take it away: a change is one of our own whose answer was lost."""
        found = get_object(self.path)
        return None if found is None else found[1]


@contextmanager
def _alive(layout: Layout) -> Iterator[_Life]:
    path = layout.join("_leases", "owners", f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.json")
    etag = put_object_if(path, _owner(), None)
    if etag is None:
        raise SinkError(f"{path} cannot be made")
    life = _Life(path, etag)
    thread = threading.Thread(target=life.renew, name=path, daemon=True)
    thread.start()
    try:
        yield life
    finally:
        life.stop.set()
        thread.join(5)
        _let_go(path)


def _let_go(*paths: str, while_kept: _Life | None = None) -> None:
    """Takes objects of the lease away, unless they are another run's by now; where the store is out of reach they stay, and
    keep nobody out: their owner is dead."""
    try:
        for path in paths if while_kept is None or while_kept.is_kept() else ():
            delete(path)
    except SinkError as error:
        log.event("lease_left", paths=paths, error=str(error))


def _owner() -> str:
    return json.dumps(
        {
            "host": socket.gethostname(),
            "boot": _boot(),
            "pid": os.getpid(),
            "process": _process_start(os.getpid()),
            "at": time.time(),
        }
    )


def _take_remote(layout: Layout, name: str, life: _Life) -> str:
    path = _path(layout, name)
    content = json.dumps({"life": life.path})
    while True:
        if put_object_if(path, content, None) is not None:
            return path
        found = get_object(path)
        if found is None:
            continue
        holder = json.loads(found[0]).get("life", "")
        _require_dead(name, holder)
        if put_object_if(path, content, found[1]) is not None:
            _let_go(holder)
            return path


def _require_dead(name: str, holder: str) -> None:
    """Returns once the holder is known to be dead; raises BusyError once it shows a sign of life."""
    seen, started = None, time.monotonic()
    while time.monotonic() - started < EXPIRY + RENEWAL:
        found = get_object(holder)
        if found is None:
            return
        owner = json.loads(found[0])
        own_host = owner["host"] == socket.gethostname() and owner["boot"] == _boot()
        if own_host and not _lives(owner, holder):
            return
        renewed = own_host and abs(time.time() - owner["at"]) < 2 * RENEWAL  # by a clock that is ours too
        if renewed or (seen is not None and found[1] != seen):
            raise BusyError(
                f"{name} is held by another run (process {owner['pid']} on {owner['host']}); wait for it, or stop it"
            )
        seen = seen or found[1]
        time.sleep(0.5)


def _lives(owner: dict[str, Any], holder: str) -> bool:
    """True where a process of this machine still holds leases by this sign of life: this one renews it in a thread so named."""
    if owner["pid"] == os.getpid():
        return any(thread.name == holder for thread in threading.enumerate())
    return bool(_process_start(owner["pid"]) == owner["process"])


def _boot() -> str:
    """The machine's start: two containers of one host name are told apart."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _process_start(pid: int) -> str | None:
    """When a process of this machine started, or None where it does not live: a pid alone may be another's by now."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None
