"""A damaged checkpoint gives the right table or a refusal, never a wrong table: each file removed, cut, emptied, changed."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Project
from lakehouse import run as run_job
from lakehouse.errors import LakehouseError
from lakehouse.pipeline import progress

BRONZE = """
layer: bronze
source: {files: {path: landing, format: csv}}
sink: {append: {table: bronze.orders}}
"""
# appended, not merged: a row that is taken twice is there twice
SILVER = """
layer: silver
source: {delta: {table: bronze.orders}}
schema: "id bigint, amount double"
rules:
  - not_null: {column: id}
sink: {append: {table: silver.orders}}
"""
JOBS = ("bronze_orders", "silver_orders")
DAYS, IDS = (1, 2, 3), [10, 11, 20, 21, 30, 31]

IDENTITY = "stream/metadata"
ENTRIES = [f"stream/{kind}/{number}" for kind in ("offsets", "commits") for number in (0, 1)]
CHECKSUMS = [
    "stream/.metadata.crc",
    *[f"stream/{kind}/.{number}.crc" for kind in ("offsets", "commits") for number in (0, 1)],
]
FILES = {"bronze_orders": ["progress.json"], "silver_orders": ["progress.json", IDENTITY, *ENTRIES, *CHECKSUMS]}

WAYS = ("removed", "cut", "emptied", "flipped")
Case = tuple[str, str, tuple[str, ...]]  # the lake, what is done, to which files
CASES: list[Case] = [
    *[("bronze_orders", way, ("progress.json",)) for way in (*WAYS, "garbled")],
    ("bronze_orders", "removed", (".",)),
    *[("silver_orders", way, (file,)) for file in ("progress.json", IDENTITY, *ENTRIES) for way in WAYS],
    *[("silver_orders", "garbled", (file,)) for file in ("progress.json", IDENTITY, "stream/offsets/1")],
    *[("silver_orders", "cut", (file,)) for file in CHECKSUMS],
    ("silver_orders", "removed", tuple(CHECKSUMS)),
    *[("silver_orders", "removed", (folder,)) for folder in (".", "stream", "stream/offsets", "stream/commits")],
    ("silver_orders", "removed", ("progress.json", "stream/offsets/1", "stream/commits/1")),
    ("silver_orders", "removed", ("stream/offsets/1", "stream/commits/1")),
    ("silver_orders", "emptied", ("stream/offsets/1", "stream/commits/1")),
    ("silver_orders", "removed", ("stream/commits/1", "stream/commits/.1.crc")),
    *[(f"{job} died", way, ("intent.json",)) for job in JOBS for way in (*WAYS, "garbled")],
    *[(f"{job} died", way, ("progress.json",)) for job in JOBS for way in ("removed", "cut")],
    *[(f"{job} died", "removed", ("progress.json", "intent.json")) for job in JOBS],
    *[("silver_orders died", way, ("stream/offsets/2",)) for way in WAYS],
    ("silver_orders died", "removed", ("stream/offsets/2", "stream/offsets/.2.crc")),
    ("silver_orders died", "removed", ("stream/commits/1", "stream/commits/.1.crc")),
    *[(f"{job} died first", way, ("intent.json",)) for job in JOBS for way in ("removed", "cut")],
    *[("silver_orders died first", "removed", (file,)) for file in ("stream", IDENTITY, "stream/offsets")],
]
# Spark repeats a batch whose commit is gone, which the job's own progress then leaves alone; it reads neither an older
# commit nor a checksum that is not there.
HARMLESS: list[Case] = [
    ("silver_orders", "removed", tuple(CHECKSUMS)),
    ("silver_orders", "removed", ("stream/commits",)),
    ("silver_orders", "removed", ("stream/commits/0",)),
    ("silver_orders", "removed", ("stream/commits/1", "stream/commits/.1.crc")),
    ("silver_orders died", "removed", ("stream/commits/1", "stream/commits/.1.crc")),
]


def damage(file: Path, way: str) -> None:
    """`cut` takes the checksum away as well: a store without any must be seen through too."""
    if way == "removed":
        shutil.rmtree(file) if file.is_dir() else file.unlink()
        return
    whole = file.read_bytes()
    middle = len(whole) // 2
    if way == "cut":
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
    left = {
        "cut": whole[:middle],
        "emptied": b"",
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "garbled": whole[:middle] + b"\xff" + whole[middle + 1 :],
    }
    file.write_bytes(left[way])


@dataclass(frozen=True)
class Lakes:
    """Lakes over one landing folder: each job with a day to take, `<job>`; dead with that day in hand, `<job> died`; dead
    with its first day in hand and all others to take, `<job> died first`."""

    root: Path

    def land(self, day: int) -> None:
        Project(self.root).write(f"landing/{day}.csv", f"id,amount\n{day}0,1.5\n{day}1,1.5\n,3\n")

    def copy(self, lake: str, to: Path) -> Project:
        shutil.copytree(self.root / lake, to, dirs_exist_ok=True)
        return Project(to)

    def run(self, job: str, project: Project, **options: bool) -> LakehouseError | None:
        try:
            run_job(self.root / "conf" / f"{job}.yml", lake=str(project.lake), **options)
        except LakehouseError as error:
            return error
        return None

    def die_before_progress(self, job: str, lake: str, name: str) -> Project:
        """A copy of the lake in which the job wrote its target, and no more."""

        def fail(*_: object) -> None:
            raise OSError("out of power")

        project = self.copy(lake, self.root / name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(progress, "save", fail)
            assert "out of power" in str(self.run(job, project))
        assert (checkpoint(project, job) / "intent.json").exists()
        written = DAYS[:1] if name.endswith("first") else DAYS
        assert {int(row["id"]) // 10 for row in content(job, project)[0] if row["id"] is not None} == set(written)
        return project


@pytest.fixture(scope="module")
def lakes(tmp_path_factory, spark) -> Lakes:
    made = Lakes(tmp_path_factory.mktemp("checkpoints"))
    Project(made.root).job("bronze_orders", BRONZE)
    Project(made.root).job("silver_orders", SILVER)
    growing = Project(made.root / "growing")
    growing.lake.mkdir(parents=True)
    made.land(1)
    made.die_before_progress("bronze_orders", "growing", "bronze_orders died first")
    assert made.run("bronze_orders", growing) is None
    behind = made.die_before_progress("silver_orders", "growing", "silver_orders died first")
    assert made.run("silver_orders", growing) is None
    made.land(2)
    assert [made.run(job, growing) for job in JOBS] == [None, None]
    made.land(3)
    made.copy("growing", made.root / "bronze_orders")
    assert [made.run("bronze_orders", project) for project in (growing, behind)] == [None, None]
    made.copy("growing", made.root / "silver_orders")
    for job in JOBS:
        made.die_before_progress(job, job, f"{job} died")
    return made


def checkpoint(project: Project, job: str) -> Path:
    return project.lake / "_checkpoints" / job


def content(job: str, project: Project) -> list[list[dict]]:
    """The target and its quarantine, where there is one."""
    table = job.replace("_", ".")
    quarantine = [f"{table}__quarantine"] if job == "silver_orders" else []
    return [project.rows(name) for name in (table, *quarantine)]


def assert_right(job: str, project: Project) -> None:
    """Every good row once; every broken row once: in bronze with the others, of silver in the quarantine."""
    target, *quarantined = content(job, project)
    assert sorted(int(row["id"]) for row in target if row["id"] is not None) == IDS
    broken = [row for row in target if row["id"] is None] or quarantined[0]
    assert len(broken) == len(DAYS)
    assert all(float(row["amount"]) == 1.5 for row in target if row["id"] is not None)


def assert_refused(error: LakehouseError, job: str, project: Project, before: list[list[dict]]) -> None:
    """In one line that names the checkpoint and the remedy; nothing was written."""
    said = str(error)
    assert "\n" not in said
    assert str(checkpoint(project, job)) in said
    assert "restore" in said
    assert "--full-refresh" in said
    assert content(job, project) == before


def test_the_cases_name_every_file_of_a_checkpoint(lakes):
    for job, files in FILES.items():
        folder = checkpoint(Project(lakes.root / job), job)
        assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()) == sorted(files)
        damaged = set(itertools.chain.from_iterable(named for lake, _, named in CASES if lake == job))
        assert set(files) <= damaged


@pytest.mark.parametrize("lake", [job + state for job in JOBS for state in ("", " died", " died first")])
def test_an_undamaged_checkpoint_gives_the_right_table(lakes, lake, tmp_path):
    job, project = lake.split()[0], lakes.copy(lake, tmp_path)
    assert lakes.run(job, project) is None
    assert_right(job, project)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {', '.join(case[2])} {case[1]}")
def test_a_damaged_checkpoint_gives_the_right_table_or_a_refusal(lakes, case, tmp_path):
    lake, way, files = case
    job, project = lake.split()[0], lakes.copy(lake, tmp_path)
    before = content(job, project)
    for file in files:
        damage(checkpoint(project, job) / file, way)
    error = lakes.run(job, project)
    assert (error is None) == (case in HARMLESS), error
    if error is None:
        assert_right(job, project)
    else:
        assert_refused(error, job, project, before)


@pytest.mark.parametrize(
    ("lake", "file"),
    [
        ("bronze_orders", "progress.json"),
        ("bronze_orders died", "intent.json"),
        ("silver_orders", "stream/metadata"),
        ("silver_orders", "stream/offsets/0"),
        ("silver_orders died", "progress.json"),
    ],
)
def test_after_a_refusal_a_full_refresh_gives_the_right_table(lakes, lake, file, tmp_path):
    job, project = lake.split()[0], lakes.copy(lake, tmp_path)
    damage(checkpoint(project, job) / file, "emptied")
    assert lakes.run(job, project) is not None
    assert lakes.run(job, project, full_refresh=True) is None
    assert_right(job, project)


def test_an_older_checkpoint_put_back_is_a_refusal(lakes, tmp_path):
    project = lakes.copy("silver_orders", tmp_path)
    older = tmp_path / "older"
    shutil.copytree(checkpoint(project, "silver_orders"), older)
    assert lakes.run("silver_orders", project) is None
    before = content("silver_orders", project)
    shutil.rmtree(checkpoint(project, "silver_orders"))
    older.rename(checkpoint(project, "silver_orders"))
    error = lakes.run("silver_orders", project)
    assert error is not None
    assert_refused(error, "silver_orders", project, before)
