"""One test of a job: what is given is put there, the job is run, and what came of it is held against what was expected."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import api, runs
from lakehouse.config.job_tests import CrashAt, Given, JobTest, TypedRows, Way
from lakehouse.errors import ConfigError, Interrupted, LakehouseError, did_you_mean
from lakehouse.lease import held
from lakehouse.planning.plan import Plan
from lakehouse.planning.planner import plan_job
from lakehouse.tables import resolved
from lakehouse.testing.differences import Different
from lakehouse.testing.faults import crash_at
from lakehouse.testing.given_files import put_file
from lakehouse.testing.given_rows import ddl_of
from lakehouse.testing.lakes import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Found:
    """What is there after the last run: its error if it failed, and where to look for the rest."""

    plan: Plan
    lake: Lake
    error: str | None

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table's rows; paths in them are those below the project's root."""
        return [_everywhere(row, self.plan.job.root) for row in self.lake.rows(table)]

    def quarantine(self) -> list[dict[str, Any]]:
        """The broken rows: `row` as it came, and the names of the rules as `reasons`."""
        return [
            {"row": json.loads(item["row"]), "reasons": sorted({reason["rule"] for reason in item["reasons"]})}
            for item in self.rows(self.plan.quarantine)
        ]

    def counts(self) -> dict[str, int]:
        """The counts of all runs together."""
        records = runs.read(self.lake.layout, self.plan.name)
        return {name: runs.total(records, name) for name in runs.COUNTS}


def place_for(project: Path, folder: Path) -> None:
    """Makes a folder a project of the same jobs, contracts and scripts, with no data and no lake."""
    for name in ("conf", "jobs"):
        if (project / name).is_dir():
            (folder / name).symlink_to(project / name, target_is_directory=True)


def run_test(test: JobTest, way: Way, job: Path, env: str | None, spark: SparkSession) -> Found:
    """Runs the job of a placed project (see `place_for`) as a test says; raises Different where a run failed unexpectedly,
    or a fault did not hit, ConfigError where what is given does not fit the job.
    """
    root = job.parents[1]
    lake = Lake(root / "lake", spark)
    plan = plan_job(job, lake=str(lake.root), env=env)
    batches, types = list(_in_order(test, way, plan)), _types(test.batches)
    hits, error = 0, None
    for number, given in enumerate(batches):
        _put(given, plan, lake, types)
        if isinstance(way, CrashAt):
            hits += _dies(plan, way, spark)
        for _ in range(2 if way == "rerun" else 1):
            error = _run(plan, spark)
            if error is not None and (number + 1 < len(batches) or test.expect is None or test.expect.error is None):
                raise Different(f"{plan.name} failed: {_without(root, error)}")
    if isinstance(way, CrashAt) and not hits:
        raise Different(f"{plan.name} never came to '{way.crash_at}': a fault that does not hit proves nothing")
    return Found(plan, lake, None if error is None else _without(root, error))


def _run(plan: Plan, spark: SparkSession) -> str | None:
    """Runs the job until nothing new is there; the message of its failure."""
    from lakehouse.pipeline.run import run_plan

    try:
        with held(plan.layout, api.lease_names([plan])):
            run_plan(plan, spark, api.ending_of(plan, once=True))
    except Interrupted:
        raise
    except LakehouseError as error:
        return str(error)
    return None


def _dies(plan: Plan, way: CrashAt, spark: SparkSession) -> int:
    with crash_at(way.crash_at, plan.name) as fault:
        try:
            _run(plan, spark)
        except Interrupted:
            if not fault.hit:
                raise
    return int(fault.hit)


def _types(batches: Sequence[Given]) -> dict[str, str]:
    """The columns of each table whose rows do not say them, as the rows of all batches together look like."""
    listed: dict[str, list[Any]] = {}
    for given in batches:
        for table, rows in given.rows.items():
            if not isinstance(rows, TypedRows):
                listed.setdefault(table, []).extend(rows)
    return {table: ddl_of(rows) for table, rows in listed.items()}


def _put(given: Given, plan: Plan, lake: Lake, types: Mapping[str, str]) -> None:
    """Puts a batch where the job finds it: rows of its incremental source are added, all other tables hold the batch alone."""
    strange = next((name for name in given.rows if name not in plan.inputs), None)
    if strange is not None:
        raise ConfigError(f"{plan.name} reads no table '{strange}'.{did_you_mean(strange, plan.inputs)}")
    for table, rows in given.rows.items():
        listed, schema = (rows.rows, rows.schema_) if isinstance(rows, TypedRows) else (rows, types[table])
        options = {"delta.enableChangeDataFeed": "true"} if plan.source.option("changes") else {}
        lake.write(table, listed, schema, mode="append" if _is_taken(plan, table) else "overwrite", options=options)
    folder = _folder(plan) if plan.source.name == "files" else None
    if given.files and folder is None:
        raise ConfigError(f"{plan.name} reads no files, but {plan.source.name}; give it 'rows'")
    for name, content in given.files.items():
        if folder is not None:
            put_file(folder, name, content)


def _folder(plan: Plan) -> Path:
    """The folder that the source reads: of a glob the part before it."""
    place = Path(resolved(str(plan.source.option("path")), plan.job.root))
    fixed = [part for part in (place, *place.parents) if not set("*?[{") & set(str(part))]
    return fixed[0].parent if fixed[0] == place and place.suffix else fixed[0]


def _is_taken(plan: Plan, table: str) -> bool:
    """True for the table of which each run takes what is new."""
    return plan.read == "incremental" and plan.source.option("table") == table


def _in_order(test: JobTest, way: Way, plan: Plan) -> Iterator[Given]:
    """The batches; shuffled, each brings another one's new rows and files, and its rows in another order."""
    if way != "shuffle":
        yield from test.batches
        return
    order = random.Random(test.name)  # noqa: S311 # the same order each time
    taken = [_taken(given, plan) for given in test.batches]
    order.shuffle(taken)
    if taken == [_taken(given, plan) for given in test.batches]:
        taken.reverse()
    for given, (rows, files) in zip(test.batches, taken, strict=True):
        kept = {name: item for name, item in given.rows.items() if not _is_taken(plan, name)}
        mixed = {name: _mixed(item, order) for name, item in {**kept, **rows}.items()}
        new = files if plan.read == "incremental" else given.files
        yield given.model_copy(
            update={"rows": mixed, "files": {name: _mixed(item, order) for name, item in new.items()}}
        )


def _taken(given: Given, plan: Plan) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a run takes of a batch as new."""
    return {name: item for name, item in given.rows.items() if _is_taken(plan, name)}, given.files


def _mixed(content: Any, order: random.Random) -> Any:
    """Rows in another order; text stays."""
    if isinstance(content, TypedRows):
        return content.model_copy(update={"rows": _mixed(content.rows, order)})
    return (
        order.sample(content, len(content))
        if isinstance(content, Sequence) and not isinstance(content, str)
        else content
    )


def _without(root: Path, text: str) -> str:
    """A message as it would be in the project itself."""
    return text.replace(f"{root}/", "")


def _everywhere(value: Any, root: Path) -> Any:
    """The same for each text in a value."""
    if isinstance(value, dict):
        return {name: _everywhere(item, root) for name, item in value.items()}
    if isinstance(value, list):
        return [_everywhere(item, root) for item in value]
    return _without(root, value) if isinstance(value, str) else value
