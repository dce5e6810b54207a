"""A way to MinIO that breaks now and then: requests that never arrive, errors, stalls, answers that are lost or cut."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = ("reset", "refused", "slow_down", "stall", "lost", "lost_500", "cut")
"""`lost` and `lost_500`: the store did what was asked, the client is not told; `cut`: half of an answer arrives."""
_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_BROKEN = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"


@dataclass(frozen=True)
class Request:
    """What a client asks of the store."""

    method: str
    path: str
    is_conditional: bool


@dataclass
class Faults:
    """Which requests break: by a seeded chance at `rate`, each time for up to `most` requests in a row, or those armed."""

    seed: int = 0
    rate: float = 0.0
    most: int = 1
    stalls: float = 0.5
    happened: list[tuple[str, Request]] = field(default_factory=list)
    armed: list[tuple[str, Callable[[Request], bool]]] = field(default_factory=list)
    _chances: random.Random = field(init=False)
    _left: int = 0
    _kind: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._chances = random.Random(self.seed)

    def arm(self, kind: str, which: Callable[[Request], bool], times: int = 1) -> None:
        """Breaks the next requests of which this holds."""
        self.armed += [(kind, which)] * times

    def next(self, request: Request) -> str:
        """The fault that this request meets, or nothing."""
        with self._lock:
            kind = self._armed(request) or self._drawn()
            if kind:
                self.happened.append((kind, request))
            return kind

    def _armed(self, request: Request) -> str:
        for index, (kind, which) in enumerate(self.armed):
            if which(request):
                del self.armed[index]
                return kind
        return ""

    def _drawn(self) -> str:
        if self.rate and self._left:
            self._left -= 1
            return self._kind
        if self._chances.random() >= self.rate:
            return ""
        self._kind = self._chances.choice(KINDS)
        self._left = 0 if self._kind == "stall" else self._chances.randrange(self.most)
        return self._kind


@contextmanager
def faulty(endpoint: str, faults: Faults) -> Iterator[str]:
    """The address of a proxy before the store at `endpoint`."""
    handler = type("Handler", (_Handler,), {"store": endpoint.removeprefix("http://"), "faults": faults})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on as they came: their signature covers the Host header that the client wrote."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: str
    faults: Faults

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        conditional = "If-None-Match" in self.headers or "If-Match" in self.headers
        kind = self.faults.next(Request(self.command, self.path, conditional))
        if kind == "stall":
            time.sleep(self.faults.stalls)
        if kind == "reset":
            self._reset()
        elif kind in ("refused", "slow_down"):
            self._answer(*((500, [], _BROKEN) if kind == "refused" else (503, [], _BUSY)))
        else:
            self._pass_on(kind, *self._forwarded(body))

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 (the names that http.server looks for)

    def _forwarded(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.store)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":  # which was answered here
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def _pass_on(self, kind: str, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if kind == "lost":
            self._reset()
        elif kind == "lost_500":
            self._answer(500, [], _BROKEN)
        elif kind == "cut":
            self._answer(status, headers, body, sent=len(body) // 2)
            self._reset()
        else:
            self._answer(status, headers, body)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None) -> None:
        self.send_response_only(status)
        told = {name.lower() for name, _ in headers}
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        if "content-length" not in told and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def _reset(self) -> None:
        """Closes the connection with a reset, as a client sees one whose peer is gone."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):  # the client went away, or was sent away
            self.close_connection = True

    def log_message(self, format: str, *values: object) -> None:
        """Says nothing."""
