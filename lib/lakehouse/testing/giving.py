"""What a test gives, put where its job finds it: rows in tables, files in folders, events in topics, batch by batch."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.config.job_tests import Given, JobTest, TypedRows, Way
from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.planning.plan import Plan
from lakehouse.tables import resolved
from lakehouse.testing.given_events import send
from lakehouse.testing.given_files import put_file
from lakehouse.testing.given_rows import ddl_of
from lakehouse.testing.lakes import Lake


@dataclass(frozen=True)
class Ground:
    """Where the batches of a test are put: `types` of the columns by table, `topics` of the test's own by the job's names."""

    plan: Plan
    lake: Lake
    types: Mapping[str, str]
    topics: Mapping[str, str]

    def put(self, given: Given) -> None:
        """Puts a batch where the job finds it: rows of its incremental source are added, all other tables hold the batch
        alone. Raises ConfigError for what the job does not read.
        """
        self._require_read(given)
        for table, rows in given.rows.items():
            listed, schema = (rows.rows, rows.schema_) if isinstance(rows, TypedRows) else (rows, self.types[table])
            options = {"delta.enableChangeDataFeed": "true"} if self.plan.source.option("changes") else {}
            mode = "append" if _is_taken(self.plan, table) else "overwrite"
            self.lake.write(table, listed, schema, mode=mode, options=options)
        for name, content in given.files.items():
            put_file(_folder(self.plan), name, content)
        send(given.events, self.plan, self.topics, self.lake.spark)

    def _require_read(self, given: Given) -> None:
        plan = self.plan
        strange = next((name for name in given.rows if name not in plan.inputs), None)
        if strange is not None:
            raise ConfigError(f"{plan.name} reads no table '{strange}'.{did_you_mean(strange, plan.inputs)}")
        if given.files and plan.source.name != "files":
            raise ConfigError(f"{plan.name} reads no files, but {plan.source.name}; give it 'rows' or 'events'")


def types_of(batches: Sequence[Given]) -> dict[str, str]:
    """The columns of each table whose rows do not say them, as the rows of all batches together look like."""
    listed: dict[str, list[Any]] = {}
    for given in batches:
        for table, rows in given.rows.items():
            if not isinstance(rows, TypedRows):
                listed.setdefault(table, []).extend(rows)
    return {table: ddl_of(rows) for table, rows in listed.items()}


def _folder(plan: Plan) -> Path:
    """The folder that the source reads: of a glob the part before it."""
    place = Path(resolved(str(plan.source.option("path")), plan.job.root))
    fixed = [part for part in (place, *place.parents) if not set("*?[{") & set(str(part))]
    return fixed[0].parent if fixed[0] == place and place.suffix else fixed[0]


def _is_taken(plan: Plan, table: str) -> bool:
    """True for the table of which each run takes what is new."""
    return plan.read == "incremental" and plan.source.option("table") == table


def in_order(test: JobTest, way: Way, plan: Plan) -> list[Given]:
    """The batches; shuffled, each brings what is new with another one, and its rows in another order.

    A source that is read in full says with each batch how things stand: that order stays.
    """
    if way != "shuffle":
        return test.batches
    order = random.Random(test.name)  # noqa: S311 # the same order each time
    taken = [_taken(given, plan) for given in test.batches]
    mixed = order.sample(taken, len(taken)) if plan.read == "incremental" else taken
    if mixed == taken and plan.read == "incremental":
        mixed.reverse()
    batches = zip(test.batches, taken, mixed, strict=True)
    return [_shuffled(given, own, new, order) for given, own, new in batches]


def _shuffled(given: Given, own: dict[str, Any], new: dict[str, Any], order: random.Random) -> Given:
    """A batch with what another one brings in place of its own, and rows and events in another order."""
    rows = {**{name: item for name, item in given.rows.items() if name not in own["rows"]}, **new["rows"]}
    mixed = {name: _mixed(item, order) for name, item in rows.items()}
    files = {name: _mixed(item, order) for name, item in new["files"].items()}
    return given.model_copy(update={"rows": mixed, "files": files, "events": _mixed(new["events"], order)})


def _taken(given: Given, plan: Plan) -> dict[str, Any]:
    """What a run takes of a batch as new."""
    rows = {name: item for name, item in given.rows.items() if _is_taken(plan, name)}
    return {"rows": rows, "files": given.files, "events": given.events}


def _mixed(content: Any, order: random.Random) -> Any:
    """Rows in another order; text stays."""
    if isinstance(content, TypedRows):
        return content.model_copy(update={"rows": _mixed(content.rows, order)})
    return (
        order.sample(content, len(content))
        if isinstance(content, Sequence) and not isinstance(content, str)
        else content
    )
