"""A small job from nothing: `lakehouse run` and `./spark-submit.sh`, against a plain script on Spark's own settings."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from measuring import ROOT, Cost, Figure, Size, command_cost, main, medians

BIN = ROOT / ".venv" / "bin"
SPARK = ROOT / ".venv" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "pyspark"
JOB = """layer: silver
source:
  files: {path: landing, format: csv}
schema: "order_id bigint, customer_id int, amount decimal(12,2), ordered_at timestamp"
rules:
  - not_null: {column: order_id}
  - not_null: {column: ordered_at}
  - in_range: {column: amount, min: 0}
sink:
  merge: {table: silver.orders, keys: [order_id], sequence_by: [ordered_at]}
"""
SCRIPT = "from lakehouse import main\n\nif __name__ == '__main__':\n    raise SystemExit(main(__file__))\n"
# Both sides start as a user's shell does: neither inherits what another Spark or an activated environment has set.
SHELL: dict[str, str | None] = dict.fromkeys(
    (
        "SPARK_SUBMIT_OPTS",
        "SPARK_DRIVER_MEMORY",
        "SPARK_CONF_DIR",
        "MASTER",
        "LAKE",
        "PYSPARK_SUBMIT_ARGS",
        "LAKEHOUSE_SHORT_JOB",
    )
)


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """The second day of a job, 1,000 rows: both ways to start it, then what of it is the product's own start."""
    project = _project(folder)
    yml, script = str(project / "conf" / "orders.yml"), str(project / "jobs" / "orders.py")
    by_command = _day(project, [str(BIN / "lakehouse"), "run", yml])
    by_submit = _day(project, [str(ROOT / "spark-submit.sh"), script])
    plain = [
        str(BIN / "spark-submit"),
        str(ROOT / "benchmarks" / "plain_job.py"),
        str(project / "landing/2.csv"),
        str(project / "lake"),
    ]
    by_hand = _day(project, plain, SPARK_HOME=str(SPARK), PYSPARK_PYTHON=str(BIN / "python"))
    medians([by_command], 1)  # the system's own caches
    command, submit, hand = medians([by_command, by_submit, by_hand], size.pairs)
    yield Figure("cold (lakehouse run / plain)", command, hand, cpu_limit=0.4, wall_limit=0.5)
    yield Figure("cold (spark-submit.sh / plain)", submit, hand, cpu_limit=0.4, wall_limit=0.5)
    _restore(project)
    planned = [str(BIN / "lakehouse"), "plan", "--no-spark", yml]
    start, python = medians(
        [lambda: command_cost(planned, **SHELL), lambda: command_cost([str(BIN / "python"), "-c", ""], **SHELL)],
        size.pairs,
    )
    own = Cost(start.cpu - python.cpu, start.wall - python.wall)
    yield Figure("cold (own start: imports, YAML, plan / plain)", own, hand, cpu_limit=0.05, wall_limit=0.05)
    yield Figure("cold (own start / lakehouse run)", own, command)


def _project(folder: Path) -> Path:
    """A project whose job has run on its first day; its lake is kept for every turn to begin with."""
    project = folder / "project"
    for path, text in (("conf/orders.yml", JOB), ("jobs/orders.py", SCRIPT), ("landing/1.csv", _rows(0))):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    command_cost([str(BIN / "lakehouse"), "run", str(project / "conf/orders.yml")], **SHELL)
    (project / "lake").rename(folder / "lake")
    (project / "landing/2.csv").write_text(_rows(500))
    return project


def _rows(first: int) -> str:
    lines = [f"{number},{number % 90},{number % 70 - (number % 100 == 0)}.50,2026-01-0{1 + first // 500} 00:00:{number % 60:02}"
             for number in range(first, first + 1000)]  # fmt: skip
    return "\n".join(["order_id,customer_id,amount,ordered_at", *lines, "x,1,1,2026-01-01 00:00:00"]) + "\n"


def _restore(project: Path) -> None:
    shutil.rmtree(project / "lake", ignore_errors=True)
    shutil.copytree(project.parent / "lake", project / "lake")


def _day(project: Path, command: list[str], **environment: str | None) -> Callable[[], Cost]:
    def once() -> Cost:
        _restore(project)
        return command_cost(command, **SHELL, **environment)

    return once


if __name__ == "__main__":
    main("cold", figures)
