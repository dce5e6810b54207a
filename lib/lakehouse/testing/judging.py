"""What a test expects held against what was found: each difference at the line of the expectation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakehouse.config.job_tests import BrokenRow, Expect, JobTest
from lakehouse.config.yaml_files import Source
from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.testing.differences import difference
from lakehouse.testing.running import Found
from lakehouse.testing.values import plain

_OF_THE_RUN = {"_ingested_at", "_run_id", "_timestamp"}  # what differs from run to run by nature
_COUNTED = ("rows_read", "rows_valid", "rows_quarantined", "rows_dropped", "rows_late", "rows_open")


def failures(test: JobTest, place: tuple[str | int, ...], source: Source, found: Found) -> list[str]:
    """A text for each part of the expectation that does not hold."""
    expect = test.expect
    if expect is None:
        said = "says nothing of what it expects; write 'expect', or let --record write what is found"
        return [str(source.problem(place, f"'{test.name}' {said}"))]
    place = (*place, "expect")
    return [str(source.problem((*place, *below), said)) for below, said in _differences(expect, found)]


def _differences(expect: Expect, found: Found) -> Iterator[tuple[tuple[str, ...], str]]:
    if expect.error is not None and found.error is None:
        yield ("error",), f"the job succeeded; it was to fail with '{expect.error}'"
    elif expect.error is not None and expect.error not in str(found.error):
        yield ("error",), f"the job failed otherwise\nexpected  {expect.error}\nfound     {found.error}"
    for table, rows in expect.rows.items():
        _require_written(table, found)
        said = difference(table, rows, found.rows(table))
        if said is not None:
            yield ("rows", table), said
    if expect.quarantine is not None:
        said = difference(found.plan.quarantine, *_broken(expect.quarantine, found.quarantine()))
        if said is not None:
            yield ("quarantine",), said
    counts = found.counts()
    for name, count in expect.counts.items():
        if counts[name] != count:
            yield ("counts", name), f"{name}: expected {count}, found {counts[name]}"


def _require_written(table: str, found: Found) -> None:
    plan = found.plan
    known = [*plan.outputs, plan.quarantine, plan.late]
    if table not in known:
        raise ConfigError(f"{plan.name} writes no table '{table}'.{did_you_mean(table, known)}")


def _broken(
    expected: Sequence[BrokenRow], found: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Both sides as flat rows: the columns that an expected row names, and the reasons."""
    columns = dict.fromkeys(name for item in expected for name in item.row)
    named = columns or dict.fromkeys(name for item in found for name in item["row"])
    wanted = [
        {**{name: item.row.get(name) for name in columns}, "(reasons)": sorted(item.reasons)} for item in expected
    ]
    there = [
        {**{name: item["row"].get(name) for name in named}, "(reasons)": sorted(item["reasons"])} for item in found
    ]
    return wanted, there


def expectation_of(test: JobTest, found: Found) -> dict[str, Any]:
    """What would hold, as YAML has it: the parts and columns that the test names already, or else all of them."""
    if found.error is not None:
        return {"error": found.error.split("\n")[0]}
    expect = test.expect or Expect.model_validate({})
    recorded: dict[str, Any] = {}
    every = not expect.model_fields_set - {"error"}
    if every or "rows" in expect.model_fields_set:
        tables = expect.rows or {name: [] for name in found.plan.outputs}
        recorded["rows"] = {name: _columns(found.rows(name), rows) for name, rows in tables.items()}
    broken = found.quarantine()
    if expect.quarantine is not None or (every and broken):
        recorded["quarantine"] = _broken_as_named(broken, expect)
    counts = found.counts()
    names: list[str] = list(expect.counts) or [name for name in _COUNTED if every and counts[name]]
    return {**recorded, "counts": {name: counts[name] for name in names}} if names else recorded


def _columns(found: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the columns that are expected, or all but those of the run itself."""
    every = [name for name in (found[0] if found else ()) if name not in _OF_THE_RUN]
    named = list(dict.fromkeys(name for row in expected for name in row if name in every)) or every
    return [{name: plain(row[name]) for name in named} for row in found]


def _broken_as_named(broken: Sequence[Mapping[str, Any]], expect: Expect) -> list[dict[str, Any]]:
    named = dict.fromkeys(name for item in expect.quarantine or () for name in item.row)
    return [
        {
            "row": {
                name: value
                for name, value in item["row"].items()
                if (name in named if named else name not in _OF_THE_RUN)
            },
            "reasons": item["reasons"],
        }
        for item in broken
    ]
