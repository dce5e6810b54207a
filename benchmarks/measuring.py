"""How a figure is taken: CPU and wall of this process with all below it, interleaved pairs, medians, and their print."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a piece of work took, in seconds; CPU is that of this process, the driver's JVM and every other child."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Size:
    """How much is measured: pairs, and data; `rows(n)` is n, or a tenth of it where the run is to be quick."""

    pairs: int
    quick: bool

    def rows(self, number: int) -> int:
        """The number of rows to make."""
        return number // 10 if self.quick else number


@dataclass(frozen=True)
class Figure:
    """A ratio of two costs, each the median of its side of the pairs; a limit of None is not held against it."""

    name: str
    ours: Cost
    theirs: Cost
    cpu_limit: float | None = None
    wall_limit: float | None = None
    said: str = ""  # counters, and whatever else explains it
    sound: bool = True  # what the counters say is as it should be

    @property
    def cpu(self) -> float:
        """Our CPU in theirs."""
        return self.ours.cpu / self.theirs.cpu

    @property
    def wall(self) -> float:
        """Our wall time in theirs."""
        return self.ours.wall / self.theirs.wall

    @property
    def holds(self) -> bool:
        """True where the limits are kept."""
        within = [
            ratio <= limit for ratio, limit in ((self.cpu, self.cpu_limit), (self.wall, self.wall_limit)) if limit
        ]
        return all(within) and self.sound

    def __str__(self) -> str:
        limits = [f"{limit:g}x {what}" for limit, what in ((self.cpu_limit, "CPU"), (self.wall_limit, "wall")) if limit]
        parts = [
            f"{self.name}: {self.cpu:.2f}x CPU ({self.ours.cpu:.2f} s / {self.theirs.cpu:.2f} s)",
            f"{self.wall:.2f}x wall ({self.ours.wall:.2f} s / {self.theirs.wall:.2f} s)",
        ]
        verdict = f"; limit {' and '.join(limits)}  {'ok' if self.holds else 'MISSED'}" if limits else ""
        return ", ".join(parts) + (f"; {self.said}" if self.said else "") + verdict


def cost(work: Callable[[], Any]) -> Cost:
    """What a call takes, in this process and below it; children must outlive the call or be waited for."""
    cpu, wall = _cpu(), time.perf_counter()
    work()
    return Cost(_cpu() - cpu, time.perf_counter() - wall)


def command_cost(command: Sequence[str], **environment: str | None) -> Cost:
    """What a program takes until it and all that it started have ended (None takes a variable away).

    Raises RuntimeError with the end of its output where it fails.
    """
    _adopt_orphans()
    variables = {key: value for key, value in {**os.environ, **environment}.items() if value is not None}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wall = time.perf_counter() - started
    while _waited():
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exits with {done.returncode}:\n{done.stdout[-2000:]}")
    return Cost(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall)


def medians(sides: Sequence[Callable[[], Cost]], number: int) -> list[Cost]:
    """The median cost of each side over so many rounds; the order turns, so that no side is always the first."""
    taken: list[list[Cost]] = [[] for _ in sides]
    for turn in range(number):
        order = range(len(sides)) if turn % 2 == 0 else reversed(range(len(sides)))
        for side in order:
            taken[side].append(sides[side]())
    return [
        Cost(statistics.median(one.cpu for one in costs), statistics.median(one.wall for one in costs))
        for costs in taken
    ]


def main(name: str, figures: Callable[[Path, Size], Iterable[Figure]]) -> None:
    """Runs one file's figures: each is printed once it is there, all are in results/<name>.json at the end."""
    parser = argparse.ArgumentParser(description=f"The figures of {name}.")
    parser.add_argument("--quick", action="store_true", help="3 pairs and a tenth of the rows")
    parser.add_argument("--pairs", type=int, help="pairs a figure (7)")
    options = parser.parse_args()
    size = Size(options.pairs or (3 if options.quick else 7), options.quick)
    found = []
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        os.environ.pop("LAKE", None)
        for figure in figures(Path(folder), size):
            print(figure, flush=True)
            found.append(figure)
    RESULTS.mkdir(exist_ok=True)
    taken = [{**asdict(one), "cpu": one.cpu, "wall": one.wall, "holds": one.holds} for one in found]
    told = {"pairs": size.pairs, "quick": size.quick, "machine": machine(), "figures": taken}
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    load = os.getloadavg()[0]
    return {
        "cores": os.cpu_count(),
        "load": round(load, 1),
        "python": sys.version.split()[0],
        "at": time.strftime("%FT%TZ", time.gmtime()),
    }


def jobs_run(spark: Any) -> int:
    """How many Spark jobs the application has run."""
    return int(spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs())


def queries_run(spark: Any) -> int:
    """The number of the last query that the application has run."""
    done = spark._jsparkSession.sharedState().statusStore().executionsList()
    return int(done.last().executionId()) if done.nonEmpty() else -1


def files_read(spark: Any, since: int) -> int:
    """How many Parquet files the scans of all later queries have read, as Spark's own metrics tell it."""
    store, total = spark._jsparkSession.sharedState().statusStore(), 0
    for query in _items(store.executionsList()):
        if query.executionId() <= since:
            continue
        values = store.executionMetrics(query.executionId())
        for node in _items(store.planGraph(query.executionId()).allNodes()):
            for metric in _items(node.metrics()) if node.name().startswith("Scan parquet") else ():
                if metric.name() == "number of files read" and values.contains(metric.accumulatorId()):
                    total += int(values.apply(metric.accumulatorId()).replace(",", ""))
    return total


def _items(found: Any) -> list[Any]:
    """The items of a Scala sequence."""
    return [found.apply(index) for index in range(found.size())]


def _cpu() -> float:
    """CPU seconds of this process and of all below it, the ended ones included."""
    parents, times = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(folder.name)], times[int(folder.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(times[pid] for pid in ours) / _TICK


def _adopt_orphans() -> None:
    """A driver that ends leaves its JVM to end by itself: its time counts only if it becomes our child."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _waited() -> bool:
    try:
        os.wait()
    except ChildProcessError:
        return False
    return True
