"""Java and the Pythons that Spark starts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lakehouse.diagnosis.finding import Finding, found

_JAVAS = ("17", "21")
_JAVA = "apt-get install openjdk-17-jre-headless (Spark 4.1 runs on Java 17 and 21)"
_VECTORS = "jdk.incubator.vector"


def java_version(java: str) -> str | None:
    """The major version of a Java program, or None where it does not run."""
    matched = re.search(r'version "(?:1\.)?(\d+)', _said(java, "-version") or "")
    return matched[1] if matched else None


def java() -> Iterator[Finding]:
    """The Java that Spark would start."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else shutil.which("java") or "java"
    version = java_version(program)
    newer = version is not None and int(version) > int(_JAVAS[-1])
    why = f"{_JAVA}; on a newer one Spark stops with 'getSubject is not supported'" if newer else _JAVA
    yield found(f"Java {version or 'is missing'} ({program})", version in _JAVAS, why)
    if version in _JAVAS:
        there = _VECTORS in (_said(program, "--list-modules") or "")
        said = "has" if there else "lacks"
        yield found(f"Java {said} the module {_VECTORS}, which Spark 4.1 asks for", there, _JAVA)
    for name in ("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"):
        if os.environ.get(name):
            remedy = f"unset {name}: Java prints a note on every start; flags of Spark's go into SPARK_SUBMIT_OPTS"
            yield Finding(f"{name} is set", "warn", remedy)


def pythons() -> Iterator[Finding]:
    """This Python, and those that Spark is told to start."""
    own = ".".join(map(str, sys.version_info[:3]))
    yield found(f"Python {own}", sys.version_info >= (3, 11), "install Python 3.11 or newer, then make setup")
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        program = os.environ.get(name)
        if program:
            code = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
            version = (_said(program, "-c", code) or "").strip()
            wanted = ".".join(map(str, sys.version_info[:2]))
            remedy = f"unset {name}, or point it at a Python {wanted}: driver and executors need the same one"
            yield found(f"{name}={program} is Python {version or '(it does not run)'}", version == wanted, remedy)


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 (the user's own programs)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout + done.stderr
