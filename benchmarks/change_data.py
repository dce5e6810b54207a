"""10,000 events into a history of 100,000 keys and of a million, into longer histories, and against mack's type 2 upsert."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from delta.tables import DeltaTable
from mack import type_2_scd_upsert
from measuring import Cost, Figure, Size, cost, files_read, jobs_run, main, medians, queries_run
from orders import SCHEMA, job, orders
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse import get_spark, run

KEYS, EVENTS = 1_000_000, 10_000
FILE_KEYS = 50_000  # of the first load, which is one batch
JOBS_OF_CHANGES, JOBS_OF_NOTHING = 20, 10
SCANS = 6  # of one batch: the log, the target, and the target by each step of a MERGE
VALUES = [part.split()[0] for part in SCHEMA.split(", ") if part.split()[0] not in ("order_id", "ordered_at")]


@dataclass(frozen=True)
class Batch:
    """What one batch took: Spark jobs, commits to the target, to the log of events and to the run log, files read."""

    jobs: int
    target: int
    log: int
    runs: int
    files: int
    there: int

    def __str__(self) -> str:
        return f"jobs {self.jobs}, commits {self.target}+{self.log}+{self.runs}, files {self.files} of {self.there}"

    def is_sound(self, *, changes: bool) -> bool:
        """As few jobs as promised, one commit where something changes, none where nothing does."""
        return self.jobs <= (JOBS_OF_CHANGES if changes else JOBS_OF_NOTHING) and self.target == int(changes)


class Feed:
    """Events of keys that are there: neighbours, from another place each time, or keys spread evenly over all."""

    def __init__(self, spark: SparkSession, folder: Path, keys: int, events: int, *, spread: bool) -> None:
        self.spark, self.folder, self.keys, self.events = spark, folder, keys, events
        self.landing, self.turn, self.spread = folder / "landing", 0, spread
        self.landing.mkdir(parents=True)

    def arrive(self) -> Path:
        """The next file: each of its keys once, later than all before, with other values."""
        self.turn += 1
        step = self.keys // self.events if self.spread else 1
        first = self.turn % step if self.spread else 7 * self.turn * self.events % self.keys
        file = self.landing / f"{self.turn:04}"
        self.rows(first, first + step * self.events, step, parts=1).write.parquet(str(file))
        return file

    def again(self) -> None:
        """The last file under a new name."""
        self.spark.read.parquet(str(self.landing / f"{self.turn:04}")).write.parquet(
            str(self.landing / f"{self.turn}r")
        )

    def rows(self, first: int, last: int, step: int = 1, parts: int = 1, turns: range | None = None) -> DataFrame:
        """An event of each of these keys at this turn, or at each of these."""
        turn = F.explode(F.array(*map(F.lit, turns))) if turns else F.lit(self.turn)
        rows = orders(self.spark, first, last, step=step, parts=parts).withColumn("turn", turn)
        at, quantity = (
            F.timestamp_seconds(1735689600 + F.col("turn")),
            F.expr("cast((order_id + turn) % 99 + 1 as int)"),
        )
        return rows.withColumns({"ordered_at": at, "quantity": quantity}).drop("turn")

    def first_load(self, versions: int = 1) -> DataFrame:
        """What is there before the first turn."""
        return self.rows(0, self.keys, parts=max(self.keys // FILE_KEYS, 2), turns=range(1 - versions, 1))


class History(Feed):
    """A job with the sink scd2, its target, and the log of events beside it."""

    def __init__(
        self, spark: SparkSession, folder: Path, keys: int, events: int, *, spread: bool, versions: int = 1
    ) -> None:
        super().__init__(
            spark, folder / f"{'spread' if spread else 'clustered'}{keys}x{versions}", keys, events, spread=spread
        )
        sink = "scd2: {table: silver.orders, keys: [order_id], sequence_by: [ordered_at], except_column_list: [ordered_at]}"
        self.file = job(self.folder, "changes", f"files: {{path: {self.landing}, format: parquet}}", sink)
        self.first_load(versions).write.parquet(str(self.landing / "0000"))
        self.run()

    def run(self) -> None:
        """Takes what is new."""
        run(self.file, lake=str(self.folder / "lake"))

    def merged(self) -> Cost:
        """What one run of the job takes."""
        self.arrive()
        return cost(self.run)

    def counted(self) -> Batch:
        """A run of the job by what it did."""
        there = sum(map(self.files, ("lake/silver/orders", "lake/_state/silver/orders")))
        jobs, query, before = jobs_run(self.spark), queries_run(self.spark), self._versions()
        self.run()
        commits = [after - earlier for earlier, after in zip(before, self._versions(), strict=True)]
        return Batch(jobs_run(self.spark) - jobs, *commits, files_read(self.spark, query), there)

    def files(self, table: str) -> int:
        """How many files a table has."""
        return len(self.spark.read.format("delta").load(str(self.folder / table)).inputFiles())

    def metrics(self) -> dict[str, int]:
        """What the last commit to the target says of itself."""
        last = max((self.folder / "lake/silver/orders/_delta_log").glob("*.json"))
        actions = [json.loads(line) for line in last.read_text().splitlines()]
        info = next(action["commitInfo"] for action in actions if "commitInfo" in action)
        return {name: int(value) for name, value in info["operationMetrics"].items() if str(value).isdigit()}

    def _versions(self) -> list[int]:
        tables = ("lake/silver/orders", "lake/_state/silver/orders", "lake/_runs")
        return [int(max((self.folder / table / "_delta_log").glob("*.json")).stem) for table in tables]


class Mack(Feed):
    """The same events by mack, into a table of its own that has the same rows in order of their keys."""

    def __init__(self, spark: SparkSession, folder: Path, keys: int, events: int, *, spread: bool) -> None:
        super().__init__(
            spark, folder / f"mack{'spread' if spread else 'clustered'}{keys}", keys, events, spread=spread
        )
        self.place = str(self.folder / "table")
        rows = _effective(self.first_load()).selectExpr("*", "true is_current", "cast(null as timestamp) end_time")
        rows.write.format("delta").option("delta.enableDeletionVectors", "true").save(self.place)

    def merged(self) -> Cost:
        """What reading the file and one upsert take."""
        file = self.arrive()
        return cost(lambda: self.upsert(file))

    def upsert(self, file: Path) -> None:
        """Takes one file."""
        updates = _effective(self.spark.read.parquet(str(file)))
        type_2_scd_upsert(DeltaTable.forPath(self.spark, self.place), updates, "order_id", VALUES)


def _effective(rows: DataFrame) -> DataFrame:
    return rows.withColumnRenamed("ordered_at", "effective_time")


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """Neighbouring keys, keys spread evenly, and longer histories."""
    spark = get_spark("bench change data")
    for spread in (False, True):
        yield from _by_keys(spark, folder, size, spread=spread)
    yield _by_length(spark, folder, size)


def _by_keys(spark: SparkSession, folder: Path, size: Size, *, spread: bool) -> Iterator[Figure]:
    """Into ten times as many keys, then against mack on the larger and the smaller table."""
    keys, events = [size.rows(KEYS), size.rows(KEYS // 10)], size.rows(EVENTS)
    tables = [History(spark, folder, number, events, spread=spread) for number in keys]
    others = [Mack(spark, folder, number, events, spread=spread) for number in keys]
    large, small, mack_large, mack_small = _taken([table.merged for table in (*tables, *others)], size)
    said, sound = _said(tables, held=not spread)
    name, limit = "spread" if spread else "clustered", None if spread else 1.3
    yield Figure(f"scd2 ({name}, {keys[0]:,} / {keys[1]:,} keys)", large, small, limit, limit, said, sound)
    limit = 1.6 if spread else 1.0
    yield Figure(f"scd2 / mack ({name}, {keys[0]:,} keys)", large, mack_large, limit, limit)
    yield Figure(f"scd2 / mack ({name}, {keys[1]:,} keys)", small, mack_small, limit, limit)


def _by_length(spark: SparkSession, folder: Path, size: Size) -> Figure:
    """Into ten times as many versions of each key."""
    keys = size.rows(KEYS // 10)
    tables = [History(spark, folder, keys, size.rows(EVENTS), spread=False, versions=number) for number in (30, 3)]
    long, short = _taken([table.merged for table in tables], size)
    said, sound = _said(tables, held=True)
    return Figure("scd2 (clustered, 30 / 3 versions a key)", long, short, 1.5, 1.5, said, sound)


def _taken(sides: list[Callable[[], Cost]], size: Size) -> list[Cost]:
    medians(sides, 3)  # warms all
    return medians(sides, size.pairs)


def _said(tables: list[History], *, held: bool) -> tuple[str, bool]:
    """A batch of changes and the same one again, in figures; and whether they are as they should be."""
    changes, nothing = [], []
    for table in tables:
        table.arrive()
        changes.append(table.counted())
        table.again()
        nothing.append(table.counted())
    copied = [table.metrics().get("numTargetRowsCopied", 0) for table in tables]
    sound = [batch.is_sound(changes=True) for batch in changes] + [batch.is_sound(changes=False) for batch in nothing]
    if held:  # the larger table has more files: no more of them are read, but where a range ends within one
        sound += [not any(copied), changes[0].files <= changes[1].files + SCANS]
    said = f"a batch: {' / '.join(map(str, changes))}; again: {' / '.join(map(str, nothing))}"
    return f"{said}; rows copied {copied[0]} / {copied[1]}", all(sound)


if __name__ == "__main__":
    main("change_data", figures)
