"""The example shop as a program of its own, and its tables as the deltalake package sees them."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from lakehouse import storage

ROOT = Path(__file__).parent.parent
LAKEHOUSE = [sys.executable, "-c", "from lakehouse.cli import console; console()"]
SCALE = 0.02
# What differs from run to run by nature.
OF_THE_RUN = {"_ingested_at", "_run_id", "run_id", "first_seen"}


def program(lake: str, *arguments: str, cwd: Path = ROOT, **more: str) -> subprocess.Popen:
    environment = {**os.environ, "LAKE": lake, "SHOP_SCALE": str(SCALE), **more}
    environment.pop("PYSPARK_GATEWAY_PORT", None)
    return subprocess.Popen([*LAKEHOUSE, *arguments], cwd=cwd, env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip


def finished(process: subprocess.Popen, timeout: float = 900) -> str:
    with process:
        said, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, said
    return said


def seconds_of_programs() -> float:
    """What the programs that this one has waited for have cost the processor so far: a busy machine changes nothing of it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tables(lake: str, options: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Every table's rows as text, sorted, without what differs by nature; the lake's own place is cut out."""
    found = {}
    for layer in ("bronze", "silver", "gold"):
        for name in storage.folders(f"{lake}/{layer}"):
            opened = DeltaTable(f"{lake}/{layer}/{name}", storage_options=options)
            rows = pa.table(QueryBuilder().register("t", opened).execute("SELECT * FROM t").read_all()).to_pylist()
            texts = (str({key: value for key, value in row.items() if key not in OF_THE_RUN}) for row in rows)
            # a quarantined bronze row quotes bronze's own columns, and its id depends on where the lake lies
            cut = (re.sub(r'"_(ingested_at|run_id)":"[^"]*"|\'id\': \'[0-9a-f]{32}\'', "", text) for text in texts)
            found[f"{layer}.{name}"] = sorted(text.replace(lake, "LAKE") for text in cut)
    return found
