"""Tests of a job as YAML: what `tests/jobs/<job>.yml` may say, and its problems each at its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from lakehouse.config.job_config import Strict
from lakehouse.config.validation import checked_options
from lakehouse.config.yaml_files import Source, read_yaml, source_of
from lakehouse.errors import ConfigError
from lakehouse.refusals import TABLE_NAME

Row = dict[str, Any] | list[Any]
TableName = Annotated[str, Field(pattern=TABLE_NAME)]
Count = Literal[
    "rows_read", "rows_valid", "rows_quarantined", "rows_dropped", "rows_late", "rows_open", "rows_warned",
    "rows_to_sink", "rows_inserted", "rows_updated", "rows_deleted", "rows_unchanged", "rows_unrouted",
]  # fmt: skip
CrashPoint = Literal["begin", "write", "quarantine", "progress", "record"]


class TypedRows(Strict):
    """Rows whose columns have the types that `schema` says."""

    schema_: str = Field(alias="schema", description="Spark DDL of all columns: `id bigint, at timestamp`.")
    rows: list[Row] = Field(
        description="Each a mapping, where a column left out is NULL, or a list in the schema's order."
    )


class Event(Strict):
    """A message of a topic."""

    topic: str | None = Field(None, description="One of the job's topics; the first, where it is left out.")
    key: str | None = None
    value: str | dict[str, Any] | None = Field(None, description="A text as it stands, or a mapping, sent as JSON.")
    headers: dict[str, str] = Field(default_factory=dict)


class Given(Strict):
    """What is there before a run: rows of tables, files or events of the job's source."""

    rows: dict[TableName, list[dict[str, Any]] | TypedRows] = Field(
        default_factory=dict,
        description="By table. The table that the job takes incrementally gets them in addition; any other holds just these.",
    )
    files: dict[str, str | list[dict[str, Any]]] = Field(
        default_factory=dict,
        description="By name, in the folder of the job's source: a file's text, or rows, written as the name's ending says.",
    )
    events: list[Event] = Field(
        default_factory=list, description="In topics of the test's own, on the brokers that the job's source names."
    )


class CrashAt(Strict):
    """The run dies at a step of its path; the next one finishes it."""

    crash_at: CrashPoint = Field(
        description="Right behind: `begin` (the batch is noted), `write` (targets), `quarantine`, `progress` (what was taken "
        "is saved), `record` (all but the run's record)."
    )


Way = Literal["run", "rerun", "shuffle"] | CrashAt


class BrokenRow(Strict):
    """A row of the quarantine."""

    row: dict[str, Any] = Field(
        default_factory=dict, description="Columns of the row as it came; those left out may be anything."
    )
    reasons: list[str] = Field(description="The names of all rules that it broke.")


class Expect(Strict):
    """What must be so afterwards, however the job was run."""

    rows: dict[TableName, list[dict[str, Any]]] = Field(
        default_factory=dict,
        description="By table all of its rows, in any order; columns that no row names may be anything.",
    )
    quarantine: list[BrokenRow] | None = Field(None, description="All rows of the job's quarantine, in any order.")
    counts: dict[Count, int] = Field(
        default_factory=dict, description="Counts of the run record, all runs of the test together."
    )
    error: str | None = Field(None, description="The last run fails, and its message holds this text.")


class JobTest(Strict):
    """One test: what is given, how the job is run, what is expected."""

    name: str = Field(description="The sentence that the test proves.")
    given: Given | list[Given] = Field(
        default_factory=Given, description="What is there; in a list each item is a batch, and the job runs after each."
    )
    when: Way | list[Way] = Field(
        "run",
        description="How the job is run: `run` once a batch, `rerun` twice a batch, `shuffle` rows and batches in another "
        "order, or `crash_at`. Of a list each is a test of its own, with the same expectation.",
    )
    expect: Expect | None = Field(None, description="What must be so afterwards; `--record` writes what is.")

    @property
    def batches(self) -> list[Given]:
        """What is given, batch by batch."""
        return self.given if isinstance(self.given, list) else [self.given]

    @property
    def ways(self) -> list[Way]:
        """Each way in which the job is run."""
        return self.when if isinstance(self.when, list) else [self.when]


class JobTests(Strict):
    """The tests of one job."""

    job: str | None = Field(None, description="The job, where it is not the one that the file is named for.")
    env: str | None = Field(None, description="The overlay conf/env/<env>.yml that the job runs under.")
    tests: list[JobTest] = Field(min_length=1)


@dataclass(frozen=True)
class JobTestFile:
    """A file of tests, and where each of its keys stands."""

    file: Path
    job: str
    env: str | None
    tests: Sequence[JobTest]
    source: Source


def load_job_tests(file: Path) -> JobTestFile:
    """The tests of a YAML file; nothing in it is replaced. Raises ConfigError with every problem in it."""
    document = read_yaml(file)
    source = source_of(document)
    found, problems = checked_options(JobTests, {} if document.value is None else document.value, source)
    tests = found.tests if found else []
    for index, test in enumerate(tests):
        if test.name in [other.name for other in tests[:index]]:
            problems.append(source.problem(("tests", index, "name"), f"there is a test '{test.name}' already"))
        if test.ways == []:
            problems.append(source.problem(("tests", index, "when"), "'when' must not be empty"))
    if found is None or problems:
        raise ConfigError(sorted(set(problems)))
    return JobTestFile(file, found.job or file.stem, found.env, tests, source)


def way_name(way: Way) -> str:
    """A way to run as a test's name has it: `shuffle`, `crash_at write`."""
    return way if isinstance(way, str) else f"crash_at {way.crash_at}"
