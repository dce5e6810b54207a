"""Disks and limits of the machine that a driver runs on."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lakehouse.diagnosis.finding import Finding, found
from lakehouse.html_pages.figures import size
from lakehouse.tables import is_remote

_LITTLE, _SOME = 2**30, 5 * 2**30  # bytes: a shuffle of one small job, of a day's run
_FILES = 4096


def disks(lake: str) -> Iterator[Finding]:
    """Room where Spark puts its scratch files, and where the lake lies."""
    scratch = (os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()).split(",")
    for folder in scratch:
        yield from _room(folder, "scratch files", "point SPARK_LOCAL_DIRS and TMPDIR at a larger disk")
        yield from _runs_programs(folder)
    if not is_remote(lake):
        yield from _room(lake, "the lake", "free some space, or set LAKE to a larger disk")


def limits() -> Iterator[Finding]:
    """How many files the process may have open: a shuffle opens many."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft in (resource.RLIM_INFINITY,) or soft >= _FILES
    yield found(
        f"open files: {'no limit' if soft == resource.RLIM_INFINITY else soft}",
        enough,
        f"ulimit -n {_FILES}",
        warns=True,
    )


def _room(folder: str, said: str, remedy: str) -> Iterator[Finding]:
    there = next((place for place in (Path(folder), *Path(folder).parents) if place.exists()), Path("/"))
    free, inodes = shutil.disk_usage(there).free, os.statvfs(there)
    what = f"{size(free)} free for {said} ({folder})"
    if inodes.f_files and not inodes.f_favail:
        yield Finding(f"no file can be made for {said} ({folder}): the disk has no inode left", "bad", remedy)
    yield Finding(what, "bad" if free < _LITTLE else "warn" if free < _SOME else "ok", remedy if free < _SOME else "")


def _runs_programs(folder: str) -> Iterator[Finding]:
    """Compression and Arrow unpack a native library there."""
    there = Path(folder)
    if not there.is_dir() or not os.access(there, os.W_OK):
        yield Finding(
            f"{folder} for scratch files cannot be written", "bad", "point SPARK_LOCAL_DIRS and TMPDIR elsewhere"
        )
    elif os.statvfs(there).f_flag & os.ST_NOEXEC:
        remedy = "remount it with exec, or set TMPDIR and SPARK_SUBMIT_OPTS=-Djava.io.tmpdir=... to another folder"
        yield Finding(f"{folder} lets no program run (noexec): Spark's codecs are programs", "bad", remedy)
