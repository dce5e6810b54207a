"""A job that can run, as values: its steps bound to functions, its rules, its targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse import registry
from lakehouse.config.contract import Contract, fingerprint
from lakehouse.config.job_config import Watermark
from lakehouse.config.jobs import Job
from lakehouse.config.suite import Suite
from lakehouse.config.yaml_files import Source
from lakehouse.config.yaml_text import Path as KeyPath
from lakehouse.errors import Problem
from lakehouse.redaction import without_secrets
from lakehouse.registry import Dimension, Registered
from lakehouse.tables import Layout, late_table, quarantine_table

OnFail = Literal["quarantine", "drop", "warn", "fail"]
KEEP_EVENTS = ("scd1", "scd2", "scd3", "snapshot")
"""The sinks that remember what their table is made from."""


class RuleSettings(BaseModel):
    """What every rule takes beside its own options."""

    model_config = ConfigDict(extra="ignore", strict=True)

    on_fail: OnFail = "quarantine"
    name: str | None = None
    where: registry.Sql | None = Field(None, description="Applies the rule to the rows for which this SQL is true.")
    dimension: Dimension | None = None


class BatchRuleSettings(RuleSettings):
    """The same, of a rule that speaks of the whole batch and can name no rows."""

    on_fail: Literal["warn", "fail"] = "fail"


class TableSettings(BaseModel):
    """What every sink that writes a Delta table takes beside its own options."""

    model_config = ConfigDict(extra="ignore", strict=True)

    partition_by: registry.Columns = Field(default_factory=list)
    cluster_by: registry.Columns = Field(default_factory=list)
    table_properties: dict[str, str] = Field(default_factory=dict)
    comment: str | None = None
    schema_evolution: Literal["add_new_columns", "none"] | None = None
    type_widening: bool = False
    constraints: dict[str, str] | Literal["contract"] = Field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A registered function with the options a job gave it, and where they stand."""

    entry: Registered
    given: dict[str, Any] = field(repr=False)
    options: BaseModel = field(repr=False)
    path: KeyPath
    source: Source = field(repr=False)

    @property
    def name(self) -> str:
        """Its word in the YAML."""
        return self.entry.name

    def option(self, name: str, default: Any = None) -> Any:
        """One of its options, as the YAML calls it."""
        return registry.call_options(self.entry, self.options).get(name, default)

    @property
    def incremental(self) -> str | None:
        """How a source can be read incrementally, by its options; None where it cannot."""
        trait = self.entry.traits.get("incremental")
        return trait(**registry.call_options(self.entry, self.options)) if callable(trait) else trait

    @property
    def shown(self) -> dict[str, Any]:
        """The options it was given, without secrets."""
        hidden = self.entry.traits.get("secret", ())
        return {
            name: "***" if name in hidden else without_secrets({name: value})[name]
            for name, value in self.given.items()
        }

    def call(self, *args: Any, now: Any = None, **given: Any) -> Any:
        """What the function answers; `now()` in its SQL is the run's start. A ValueError of its own is a ConfigError here.

        Where `now` is a column, `now()` is left to Spark: in a stream's own query that is the micro-batch's time.
        """
        model = self.entry.options.model_validate(self.given, context={"now": now})
        wanted = {name: value for name, value in {"now": now, **given}.items() if name in self.entry.given}
        return self.entry.function(*args, **registry.call_options(self.entry, model), **wanted)

    def problem(self, message: str) -> Problem:
        """A problem of this step, at its line."""
        return self.source.problem(self.path, f"{self.entry.said}: {message}")


def keeps_state(step: Step) -> bool:
    """True for a transform whose result needs rows of earlier batches; some are so by their options."""
    trait = step.entry.traits.get("state", False)
    return bool(trait(registry.call_options(step.entry, step.options)) if callable(trait) else trait)


def measures(step: Step) -> bool:
    """True for a rule with one verdict for the whole batch; some are so by their options."""
    trait = step.entry.traits.get("measures", False)
    return bool(trait(registry.call_options(step.entry, step.options)) if callable(trait) else trait)


@dataclass(frozen=True)
class RuleStep:
    """A rule with its settings."""

    step: Step
    settings: RuleSettings

    @property
    def columns(self) -> list[str]:
        """The columns that it speaks of: those of its `column` or `columns`; none of a rule in SQL."""
        named = self.step.option("column") or self.step.option("columns") or []
        return [named] if isinstance(named, str) else list(named)

    @property
    def name(self) -> str:
        """Its name in reasons: as given, else the rule and its columns."""
        columns = ", ".join(self.columns)
        return self.settings.name or (f"{self.step.name}({columns})" if columns else self.step.name)

    @property
    def measures(self) -> bool:
        """True for a set rule with one verdict for the whole batch."""
        return measures(self.step)

    @property
    def flags(self) -> bool:
        """True for a set rule that names the rows which break it."""
        return self.step.entry.kind == "set_rule" and not self.measures

    @property
    def dimension(self) -> str:
        """What kind of quality it is about: as given, else the rule's own, else validity."""
        return str(self.settings.dimension or self.step.entry.traits.get("dimension", "validity"))


@dataclass(frozen=True)
class SinkStep:
    """A target: the sink, the rows it takes, and the settings of its table."""

    step: Step
    where: str | None
    settings: TableSettings

    @property
    def target(self) -> str:
        """The table's name, or the place of a sink that is no table."""
        named = (self.step.option(name) for name in ("table", "path", "topic", "dbtable"))
        return str(next(filter(None, named), self.step.name))


@dataclass(frozen=True)
class Plan:
    """A job that can run: all of its steps bound."""

    job: Job
    layout: Layout
    source: Step
    read: Literal["incremental", "full"]
    rules: tuple[RuleStep, ...]
    transforms: tuple[Step, ...]
    sinks: tuple[SinkStep, ...]
    contract: Contract | None
    fingerprint: str
    suite: Suite | None = None

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.name

    @property
    def inputs(self) -> list[str]:
        """Every table that the job reads, its source first."""
        table = self.source.option("table")
        tables = [table] if self.source.name == "delta" and table else []
        return list(dict.fromkeys([*tables, *self.looked_up]))

    @property
    def looked_up(self) -> list[str]:
        """The tables beside the source: those under `inputs`, and those that rules name."""
        asked = [rule.step.option("table") for rule in self.rules if "tables" in rule.step.entry.given]
        return list(dict.fromkeys([*self.job.config.inputs, *filter(None, asked)]))

    @property
    def rule_names(self) -> list[str]:
        """The name of each rule in the results: its own, with a number where an earlier rule has the same."""
        names = [rule.name for rule in self.rules]
        turns = [names[:place].count(name) for place, name in enumerate(names)]
        return [name if turn == 0 else f"{name} #{turn + 1}" for name, turn in zip(names, turns, strict=True)]

    @property
    def outputs(self) -> list[str]:
        """Every table that the job writes, but its quarantine."""
        return [sink.target for sink in self.sinks if sink.step.option("table")]

    @property
    def quarantine(self) -> str:
        """The table of its broken rows."""
        config = self.job.config
        return quarantine_table(config.quarantine, config.layer, self.name, self.outputs)

    @property
    def contract_identity(self) -> dict[str, Any]:
        """The contract's name (that of its file), version and fingerprint; empty where the job has none."""
        if self.contract is None:
            return {}
        version = str(self.contract.version)
        return {
            "contract": str(self.job.config.contract),
            "contract_version": version,
            "contract_fingerprint": fingerprint(self.contract),
        }

    @property
    def interval(self) -> float | None:
        """Seconds between two looks for new input, for a job that goes on until it is stopped; None for one that ends."""
        stream = self.job.config.stream
        if stream is None or stream.trigger.strip() == "available_now":
            return None
        return registry.length_of(stream.trigger).total_seconds()

    @property
    def streams(self) -> bool:
        """True where Spark's own streaming keeps what was taken."""
        return self.read == "incremental" and self.source.incremental == "stream"

    @property
    def state(self) -> Step | None:
        """The transform whose state Spark's own streaming keeps; None where nothing streams."""
        return next((step for step in self.transforms if keeps_state(step)), None) if self.streams else None

    @property
    def watermarks(self) -> dict[str, Watermark]:
        """The watermark of each input that has one, the source's under ''."""
        stream = self.job.config.stream
        given = (stream.watermark if stream is not None else None) or {}
        if "column" in given:
            return {"": Watermark.model_validate(given)}
        source = self.source.option("table")
        return {"" if name == source else name: Watermark.model_validate(item) for name, item in given.items()}

    @property
    def late(self) -> str:
        """The table of the rows that came after their window had closed."""
        return late_table(self.job.config.layer, self.name, self.outputs)

    @property
    def merges_late(self) -> bool:
        """True where such rows are added to their finished window instead."""
        return self.job.config.stream is not None and self.job.config.stream.late == "merge"

    @property
    def asides(self) -> list[str]:
        """The tables beside the outputs: the quarantine, and that of late rows where there can be any."""
        return [self.quarantine, *([self.late] if self.state is not None and not self.merges_late else [])]
