"""Random streams through `scd1`, `scd2`, `scd3` and `snapshot`: after each batch every target equals the reference.

All streams of a case share one table (`stream` is the first key) and its few runs. FUZZ_STREAMS sets how many streams
all cases have together, and adds the rarer cases; FUZZ_SEED draws others. A stream depends on seed, case and its number.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import change_data_reference as reference
from change_data_invariants import counted, deletes, violations
from change_data_reference import Options, Row, rank, ranks
from change_data_streams import KEYS, PAYLOAD, change_deliveries, options_of, schema, snapshot_deliveries
from conftest import balanced
from lakehouse import holding, row_places

SEED = os.environ.get("FUZZ_SEED", "1")
THOROUGH = "FUZZ_STREAMS" in os.environ
STREAMS = int(os.environ.get("FUZZ_STREAMS", "400"))

DELETES = {"sequence_by": ["seq"], "apply_as_deletes": "op = 'D'"}
DROPPED = {**DELETES, "except_column_list": ["op", "seq"]}


@pytest.fixture(autouse=True)
def plans(request, monkeypatch) -> None:
    """Half of the cases run in compiled plans, as large batches do, half by the ranges of their keys, as large tables do, and
    a fifth by MERGE, as tables with a change data feed do."""
    if len(request.node.name) % 2:
        monkeypatch.setattr(holding, "LITTLE", -1)
    if len(request.node.name) % 4 < 2:
        monkeypatch.setattr(row_places, "_LITTLE", -1)
    if len(request.node.name) % 5 == 0:
        monkeypatch.setattr(row_places, "can_be_taken_out", lambda _: False)


@dataclass(frozen=True)
class Case:
    """A sink's options, and what is peculiar to what arrives; `rare` cases are for the long runs."""

    name: str
    sink: str
    options: dict[str, Any]
    batches: int = 3
    nulls: float = 0.15
    truncates: int = 0
    missing: dict[int, set[str]] = field(default_factory=dict)
    arrives: dict[str, bool] = field(default_factory=dict)
    by_file: bool = False
    in_order: bool = False
    rare: bool = False

    @property
    def yaml(self) -> dict[str, Any]:
        return {"table": "silver.t", "keys": list(KEYS), **self.options}


CHANGES = [
    Case("all_columns_kept", "scd2", DELETES, rare=True),
    Case("operation_and_sequence_dropped", "scd2", DROPPED, batches=4),
    Case("some_tracked", "scd2", {**DROPPED, "track_history_column_list": ["name", "address"]}),
    Case("some_not_tracked", "scd2", {**DROPPED, "track_history_except_column_list": ["amount", "tags", "attrs", "big"]}, rare=True),
    Case("nulls_ignored", "scd2", {**DROPPED, "ignore_null_updates": True}, nulls=0.6, batches=4),
    Case("nulls_of_some_ignored", "scd2",
         {**DROPPED, "ignore_null_updates_column_list": ["name", "address", "tags"]}, nulls=0.6, rare=True),
    Case("nulls_of_all_but_some_ignored", "scd2",
         {**DROPPED, "ignore_null_updates_except_column_list": ["amount"], "track_history_column_list": ["address"]},
         nulls=0.6, rare=True),
    Case("composite_sequence", "scd2",
         {**DROPPED, "sequence_by": ["at", "turn"], "except_column_list": ["op", "at", "turn"]}),
    Case("composite_sequence_kept", "scd2", {**DELETES, "sequence_by": ["at", "turn"]}, rare=True),
    Case("previous_values", "scd2", {**DROPPED, "keep_previous": ["name", "amount"]}),
    Case("previous_values_untracked", "scd2",
         {**DROPPED, "keep_previous": ["name", "address"], "track_history_except_column_list": ["name"]}, rare=True),
    Case("few_columns_and_other_bounds", "scd2",
         {**DELETES, "column_list": ["name", "amount", "attrs"], "start_column": "valid_from", "end_column": "valid_to"},
         rare=True),
    Case("columns_come_and_go", "scd2", DROPPED, missing={0: {"name", "tags"}, 2: {"name", "active"}}),
    Case("columns_come_and_go_nulls_ignored", "scd2", {**DROPPED, "ignore_null_updates": True},
         missing={0: {"name"}, 2: {"name", "address"}}, rare=True),
    Case("in_order", "scd2", DROPPED, batches=5, in_order=True),
    Case("in_order_nulls_ignored", "scd2", {**DROPPED, "ignore_null_updates": True}, batches=5, nulls=0.6, in_order=True),
    Case("in_order_some_tracked", "scd2", {**DROPPED, "track_history_column_list": ["name", "address"]}, batches=5,
         in_order=True),
    Case("in_order_composite_sequence", "scd2",
         {**DROPPED, "sequence_by": ["at", "turn"], "except_column_list": ["op", "at", "turn"]}, batches=4, in_order=True),
    Case("in_order_columns_come_and_go", "scd2", DROPPED, batches=5, missing={0: {"name", "tags"}, 2: {"name", "active"}},
         in_order=True, rare=True),
    Case("in_order_all_columns_kept", "scd2", DELETES, batches=5, in_order=True, rare=True),
    Case("in_order_some_tracked_nulls_ignored", "scd2",
         {**DROPPED, "ignore_null_updates": True, "track_history_except_column_list": ["address", "qty"]}, nulls=0.6,
         batches=5, in_order=True, rare=True),
    Case("in_order", "scd1", DROPPED, batches=4, in_order=True),
    Case("in_order_columns_come_and_go", "scd1", DROPPED, batches=4, missing={0: {"name", "tags"}, 2: {"name", "active"}},
         in_order=True),
    Case("in_order_truncates", "scd1", {**DELETES, "apply_as_truncates": "op = 'T'"}, truncates=3, batches=5, in_order=True,
         rare=True),
    Case("all_columns_kept", "scd1", DELETES),
    Case("operation_and_sequence_dropped", "scd1", DROPPED, rare=True),
    Case("composite_sequence", "scd1",
         {**DROPPED, "sequence_by": ["at", "turn"], "except_column_list": ["op", "at", "turn"]}, rare=True),
    Case("nulls_ignored", "scd1", {**DROPPED, "ignore_null_updates": True}, nulls=0.6, rare=True),
    Case("truncates", "scd1", {**DELETES, "apply_as_truncates": "op = 'T'"}, truncates=3, batches=4),
    Case("truncates_nulls_ignored", "scd1",
         {**DROPPED, "apply_as_truncates": "op = 'T'", "ignore_null_updates": True}, truncates=3, nulls=0.6, rare=True),
    Case("previous_values", "scd3", {**DROPPED, "keep_previous": ["name", "amount"]}),
    Case("previous_values_nulls_ignored", "scd3",
         {**DROPPED, "keep_previous": ["name", "address"], "ignore_null_updates": True}, nulls=0.6, rare=True),
]  # fmt: skip
TYPE_2 = {"stored_as": 2, "version_column": "version"}
TIMED = {"stored_as": 2, "version_column": "loaded_at"}
FILES = {"stored_as": 2, "version_pattern": "_(-?[0-9]+)[.]parquet$", "version_type": "bigint"}
SNAPSHOTS = [
    Case("type_1", "snapshot", {"stored_as": 1, "version_column": "version"}, rare=True),
    Case("type_2", "snapshot", TYPE_2),
    Case("version_of_the_file", "snapshot", FILES, by_file=True, arrives={"empty": True}),
    Case("version_of_the_file_type_1", "snapshot", {**FILES, "stored_as": 1}, by_file=True, arrives={"empty": True},
         rare=True),
    Case("missing_keys_stay", "snapshot", {**TYPE_2, "hard_deletes": "ignore"}, rare=True),
    Case("some_tracked", "snapshot", {**TYPE_2, "track_history_column_list": ["name", "qty"]}, rare=True),
    Case("some_dropped", "snapshot", {**TYPE_2, "except_column_list": ["amount", "attrs"]}, rare=True),
    *[Case(f"timestamp_{hard}", "snapshot",
           {**TIMED, "strategy": "timestamp", "updated_at": "updated_at", "hard_deletes": hard},
           arrives={"timed": True, "stale": True}, rare=hard != "new_record")
      for hard in ("ignore", "invalidate", "new_record")],
    *[Case(f"check_{hard}", "snapshot",
           {**TIMED, "strategy": "check", "check_columns": ["name", "qty", "amount"], "hard_deletes": hard},
           arrives={"timed": True}, rare=hard != "invalidate")
      for hard in ("ignore", "invalidate", "new_record")],
    Case("check_all", "snapshot", {**TYPE_2, "strategy": "check", "check_columns": "all", "hard_deletes": "new_record"},
         rare=True),
    Case("check_with_its_own_time", "snapshot",
         {**TIMED, "strategy": "check", "check_columns": ["name", "qty"], "updated_at": "updated_at",
          "hard_deletes": "invalidate"}, arrives={"timed": True}, rare=True),
]  # fmt: skip


def shown(cases: Sequence[Case]) -> Any:
    chosen = [case for case in cases if THOROUGH or not case.rare]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: f"{case.sink}-{case.name}")


def streams() -> range:
    """The numbers of one case's streams: its share of all."""
    cases = [case for case in CHANGES + SNAPSHOTS if THOROUGH or not case.rare]
    return range(max(10, -(-STREAMS // len(cases))))


@shown(CHANGES)
def test_after_every_batch_the_target_is_what_the_reference_makes_of_all_events_so_far(project, case):
    options, sequence = options_of(case.yaml), case.options["sequence_by"]
    sent = change_deliveries(
        f"{SEED}/{case.sink}/{case.name}", streams(), sequence,
        batches=case.batches, nulls=case.nulls, truncates=case.truncates, missing=case.missing, in_order=case.in_order,
    )  # fmt: skip
    prepare(project, case)
    arrived: dict[int | None, list[tuple[int, Row]]] = defaultdict(list)
    known: set[str] = set()
    for number, batch in enumerate(sent.batches):
        for event in batch:
            arrived[None if event["op"] == "T" else event["stream"]].append((number, event))
        columns = {*KEYS, *PAYLOAD, *sequence, "op"} - sent.missing[number]
        known |= columns
        write(project, f"{number}.parquet", [{name: event[name] for name in columns} for event in batch], columns)
        rows = run(project, len(batch))
        require_known(rows, arrived)
        for stream in sorted(key for key in arrived if key is not None):
            came = sorted(arrived[stream] + arrived[None], key=lambda pair: pair[0])
            events = [{name: value for name, value in event.items() if name in known} for _, event in came]
            expected = getattr(reference, case.sink)(events, options)
            require_same(case, number, stream, came, expected, rows[stream])
            if case.sink == "scd2":
                broken = violations(rows[stream], options, deletes(events, options), reference.scd1(events, options))
                assert not broken, message(case, number, stream, came, expected, rows[stream], broken)
    if case.in_order and case.sink == "scd2":
        assert went_on(project) >= case.batches - 2, "no batch went on from the open rows alone"


@shown(SNAPSHOTS)
def test_after_every_run_the_target_is_what_the_reference_makes_of_all_snapshots_so_far(project, case):
    sent = snapshot_deliveries(f"{SEED}/snapshot/{case.name}", streams(), runs=case.batches, **case.arrives)
    options = options_of(case.yaml)
    own = {"stored_as", "strategy", "hard_deletes", "updated_at", "check_columns"}
    settings = {name: value for name, value in case.options.items() if name in own}
    prepare(project, case)
    for number, versions in enumerate(sent.runs):
        write_versions(project, case, number, versions)
        rows = run(project, sum(len(found) for _, found in versions))
        require_known(rows, streams())
        for stream in streams():
            snapshots = sent.arrived(number + 1, stream)
            expected = reference.snapshot(snapshots, options, **settings)
            came = [(version, row) for version, found in snapshots for row in found or [{"stream": stream}]]
            require_same(case, number, stream, came, expected, rows[stream])
            if case.options["stored_as"] == 2:
                broken = violations(rows[stream], options, *type_1_of(case, snapshots, options))
                assert not broken, message(case, number, stream, came, expected, rows[stream], broken)


def type_1_of(case: Case, snapshots: Sequence[tuple[Any, list[Row]]], options: Options) -> list[Any]:
    """Deletes and type 1 rows, for the strategy of which I4 and I5 speak."""
    hard = case.options.get("hard_deletes", "invalidate")
    if "strategy" in case.options:
        return []
    taken = list(reference.accepted(snapshots))
    events = reference.changes(taken, options, deletes=hard != "ignore")
    gone = {(ranks(event, options.keys), rank(event["__version"])) for event in events if event["__deleted"]}
    return [gone, reference.snapshot(snapshots, options, stored_as=1, hard_deletes=hard)]


def prepare(project, case: Case) -> None:
    source = json.dumps({"files": {"path": "data", "format": "parquet"}})
    project.job("fuzz", f"layer: silver\nsource: {source}\nsink: {json.dumps({case.sink: case.yaml})}\n")


def write(project, name: str, rows: Sequence[Row], columns: Iterable[str]) -> None:
    (project.root / "data").mkdir(exist_ok=True)
    table = pa.Table.from_pylist(list(rows), schema=schema(list(columns)))
    pq.write_table(table, project.root / "data" / name)


def write_versions(project, case: Case, number: int, versions: Sequence[tuple[Any, Sequence[Row]]]) -> None:
    """One file a version, or all in one with the version in a column."""
    columns = {*KEYS, *PAYLOAD, *(["updated_at"] if case.arrives.get("timed") else [])}
    if case.by_file:
        for version, rows in versions:
            write(project, f"{number}_{version}.parquet", rows, columns)
        return
    name = case.options["version_column"]
    rows = [{**row, name: version} for version, found in versions for row in found]
    write(project, f"{number}.parquet", rows, columns | {name})


def run(project, count: int) -> dict[int, list[Row]]:
    """The target's rows by stream, after the next run."""
    record = project.run("fuzz")
    assert balanced(record)
    assert record.rows_read == count
    found: dict[int, list[Row]] = defaultdict(list)
    for row in project.rows("silver.t"):
        found[row["stream"]].append(row)
    return found


def went_on(project) -> int:
    """How many commits to the target looked at open rows alone, as their MERGE says."""
    commits = DeltaTable(str(project.lake / "silver/t")).history()
    return sum("__END_AT" in str(commit["operationParameters"].get("predicate")) for commit in commits)


def require_known(rows: Iterable[int | None], streams: Iterable[int | None]) -> None:
    strange = {*rows} - ({*streams} - {None})
    assert not strange, f"rows of streams that never arrived: {strange}"


def require_same(
    case: Case, number: int, stream: int, came: list[tuple[Any, Row]], expected: list[Row], found: list[Row]
) -> None:
    names = [sorted({name for row in rows for name in row}) for rows in (expected, found)]
    same = names[0] == names[1] and counted(expected, names[0]) == counted(found, names[0])
    assert same, message(case, number, stream, came, expected, found, ["the target is not what the reference says"])


def message(
    case: Case, number: int, stream: int, came: list[tuple[Any, Row]], expected: list[Row], found: list[Row],
    why: Sequence[str],
) -> str:  # fmt: skip
    """What differs, with the events in their order of arrival; columns that never change are left out."""
    everything = [*(row for _, row in came), *expected, *found]
    columns = dict.fromkeys(name for row in everything for name in row)
    hidden = {
        name
        for name in columns
        if len({rank(row[name]) for row in everything if name in row}) == 1 and name not in KEYS
    }

    def text(row: Row) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in row.items() if name not in hidden)

    lines = [
        f"{case.sink}-{case.name}: stream {stream} after batch {number}: {'; '.join(why)}",
        f"sink: {json.dumps(case.yaml)}",
        "arrived (batch or version: row):", *(f"  {label}: {text(row)}" for label, row in came),
        "expected:", *(f"  {line}" for line in sorted(map(text, expected))),
        "found:", *(f"  {line}" for line in sorted(map(text, found))),
        f"the same everywhere: {', '.join(sorted(hidden))}" if expected and found else "",
        f"again: FUZZ_SEED={SEED} FUZZ_STREAMS={STREAMS} pytest {__file__} -k '{case.sink}-{case.name}'",
    ]  # fmt: skip
    return "\n".join(lines)
