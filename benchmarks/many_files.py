"""Many small files in bounded batches: against Spark's own file stream, and what is kept of them as they grow in number."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from measuring import Cost, Figure, Size, cost, main, medians
from pyspark.sql import SparkSession

from lakehouse import get_spark, run
from lakehouse.landing.looks import batches, look_at
from lakehouse.landing.taken import from_row
from lakehouse.pipeline import ledger, progress
from lakehouse.pipeline.progress import Progress

FILES, MOST = 20_000, 1_000
KEPT, FEWER, A_BATCH = 100_000, 10_000, 100
JOB = """layer: bronze
source:
  files: {{path: landing, format: json, max_files_per_trigger: {most}}}
sink:
  append: {{table: bronze.events{turn}}}
"""


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """A run over small JSON files; then only the looks and the ledger, of ten times the files."""
    spark = get_spark("benchmark many_files")
    files = size.rows(FILES)
    _land(folder / "landing", files)
    ours, theirs = medians([_job(folder), _bare(spark, folder)], size.pairs)
    name = f"many_files ({files:,} files in batches of {MOST:,} / bare stream)"
    yield Figure(name, ours, theirs, said=f"{files / ours.wall:,.0f} files/s")
    many, few = size.rows(KEPT), size.rows(FEWER)
    _land(folder / "many", many)
    _land(folder / "few", few)
    long, short = _kept(folder, "many"), _kept(folder, "few")
    per = Cost(long.cpu * few / many, long.wall * few / many)
    name = f"many_files (listing and ledger, batches of {A_BATCH}: a file of {many:,} / a file of {few:,})"
    yield Figure(name, per, short, cpu_limit=2, said=f"{long.wall:.1f} s for {many:,} files")


def _land(folder: Path, files: int) -> None:
    folder.mkdir()
    for number in range(files):
        (folder / f"{number:06}.json").write_text(f'{{"id": {number}, "kind": "placed", "amount": {number / 100}}}\n')


def _job(folder: Path) -> Callable[[], Cost]:
    turns = itertools.count()

    def once() -> Cost:
        turn = next(turns)
        job = folder / "conf" / f"bronze_events{turn}.yml"
        job.parent.mkdir(exist_ok=True)
        job.write_text(JOB.format(most=MOST, turn=turn))
        return cost(lambda: run(job, lake=str(folder / "lake")))

    return once


def _bare(spark: SparkSession, folder: Path) -> Callable[[], Cost]:
    """The least that Spark itself does: no schema is inferred, nothing is counted."""
    turns = itertools.count()

    def stream() -> None:
        place = f"{folder}/bare/{next(turns)}"
        reader = spark.readStream.schema("id string, kind string, amount string").option("maxFilesPerTrigger", MOST)
        writer = reader.json(f"{folder}/landing").writeStream.format("delta").trigger(availableNow=True)
        writer.option("checkpointLocation", f"{place}/checkpoint").start(f"{place}/table").awaitTermination()

    return lambda: cost(stream)


def _kept(folder: Path, name: str) -> Cost:
    """One look, and the progress saved after each batch as a run saves it."""

    def keep() -> None:
        state, place = Progress("id"), f"{folder}/checkpoint/{name}"
        for number, pin in enumerate(batches(look_at(f"{folder}/{name}", {}).new, A_BATCH, None)):
            before = state
            state = replace(ledger.with_taken(place, state, dict(map(from_row, pin["files"]))), batch=number)
            progress.save(place, state)
            ledger.drop_old_parts(place, state, before)

    return cost(keep)


if __name__ == "__main__":
    main("many_files", figures)
