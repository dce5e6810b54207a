"""Headless Chromium for the tests, spoken to through two pipes: what a page shows, asks for and complains of."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip


def browser_program() -> Path:
    """Installs it where this machine has none and it can; else an error with its one line, never a skip."""
    found = subprocess.run([ROOT / "conf/spark/chromium.sh"], capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(found.stderr.strip())
    return Path(found.stdout.strip())


@dataclass
class Browser:
    """One tab; `requests` are the addresses that the page asked for, `complaints` its console's errors."""

    ask: int
    answers: Any
    session: str = ""
    number: int = 0
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command of its DevTools protocol."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        command |= {"sessionId": self.session} if self.session else {}
        os.write(self.ask, json.dumps(command).encode() + b"\0")
        while (told := self._told()).get("id") != self.number:
            pass
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']}")
        return told["result"]

    def show(self, file: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Opens the file on a screen of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        for seen in (self.requests, self.complaints, self.events):
            seen.clear()
        self.call("Page.navigate", url=file.absolute().as_uri())
        while "Page.loadEventFired" not in self.events:
            self._told()

    def value(self, script: str) -> Any:
        """What an expression comes to in the page; the page's own policy binds it not."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def picture(self, file: Path) -> None:
        """The whole page as a PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _told(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser ended")
            text += byte
        told: dict[str, Any] = json.loads(text)
        method, said = told.get("method", ""), told.get("params", {})
        self.events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(said["entry"]["text"])
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(said))
        return told


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, gone at the end."""
    program = browser_program()
    asked, ask = map(_high, os.pipe())
    answers, answer = map(_high, os.pipe())
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        # the protocol is spoken on descriptors 3 and 4
        shell = ["bash", "-c", f'exec "$@" 3<&{asked} 4>&{answer} {asked}<&- {answer}>&-', "bash"]
        command = [*shell, program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        with (
            (Path(folder) / "log").open("wb") as log,
            os.fdopen(answers, "rb") as reader,
            subprocess.Popen(command, pass_fds=(asked, answer), stdout=log, stderr=log) as process,
        ):
            os.close(asked)
            os.close(answer)
            try:
                yield _with_tab(Browser(ask, reader))
            finally:
                process.kill()
                os.close(ask)


def _high(descriptor: int) -> int:
    """The descriptor again, out of the way of 3 and 4."""
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(descriptor)
    return high


def _with_tab(found: Browser) -> Browser:
    tabs = found.call("Target.getTargets")["targetInfos"]
    tab = next(tab["targetId"] for tab in tabs if tab["type"] == "page")
    found.session = found.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Network", "Log"):
        found.call(f"{domain}.enable")
    return found
