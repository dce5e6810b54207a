"""From config to Plan: every name, option and reference checked, before Spark starts and before data is touched."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse import registry
from lakehouse.config import Job, Source, checked_options, load_job, load_mapping, shown
from lakehouse.contract import Contract, contract_problems, field_rules
from lakehouse.errors import ConfigError, Problem, did_you_mean
from lakehouse.registry import Registered
from lakehouse.tables import Layout, quarantine_table
from lakehouse.yaml_text import Path as KeyPath

OnFail = Literal["quarantine", "drop", "warn", "fail"]
Dimension = Literal["completeness", "accuracy", "consistency", "timeliness", "validity", "uniqueness"]


class RuleSettings(BaseModel):
    """What every rule takes beside its own options."""

    model_config = ConfigDict(extra="ignore", strict=True)

    on_fail: OnFail = "quarantine"
    name: str | None = None
    where: registry.Sql | None = Field(None, description="Applies the rule to the rows for which this SQL is true.")
    dimension: Dimension | None = None


class TableSettings(BaseModel):
    """What every sink that writes a Delta table takes beside its own options."""

    model_config = ConfigDict(extra="ignore", strict=True)

    partition_by: registry.Columns = Field(default_factory=list)
    cluster_by: registry.Columns = Field(default_factory=list)
    table_properties: dict[str, str] = Field(default_factory=dict)
    comment: str | None = None
    schema_evolution: Literal["add_new_columns", "none"] | None = None
    type_widening: bool = False
    constraints: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A registered function with the options a job gave it, and where they stand."""

    entry: Registered
    given: dict[str, Any] = field(repr=False)
    options: BaseModel
    path: KeyPath
    source: Source = field(repr=False)

    @property
    def name(self) -> str:
        """Its word in the YAML."""
        return self.entry.name

    def option(self, name: str, default: Any = None) -> Any:
        """One of its options, as the YAML calls it."""
        return registry.call_options(self.entry, self.options).get(name, default)

    def call(self, *args: Any, now: datetime | None = None, **given: Any) -> Any:
        """What the function answers; `now()` in its SQL is the run's start. A ValueError of its own is a ConfigError here."""
        model = self.entry.options.model_validate(self.given, context={"now": now})
        wanted = {name: value for name, value in {"now": now, **given}.items() if name in self.entry.given}
        return self.entry.function(*args, **registry.call_options(self.entry, model), **wanted)

    def problem(self, message: str) -> Problem:
        """A problem of this step, at its line."""
        return self.source.problem(self.path, f"{self.entry.kind.replace('_', ' ')} '{self.name}': {message}")


@dataclass(frozen=True)
class RuleStep:
    """A rule with its settings."""

    step: Step
    settings: RuleSettings

    @property
    def name(self) -> str:
        """Its name in reasons: as given, else the rule and its column."""
        column = self.step.option("column")
        return self.settings.name or (f"{self.step.name}({column})" if column else self.step.name)


@dataclass(frozen=True)
class SinkStep:
    """A target: the sink, the rows it takes, and the settings of its table."""

    step: Step
    where: str | None
    settings: TableSettings

    @property
    def target(self) -> str:
        """The table's name, or the place of a sink that is no table."""
        return str(self.step.option("table") or self.step.option("path") or self.step.name)


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

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.name

    @property
    def inputs(self) -> list[str]:
        """Every table that the job reads, its source first."""
        table = self.source.option("table")
        tables = [table] if self.source.name == "delta" and table else []
        return list(dict.fromkeys([*tables, *self.job.config.inputs]))

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
    def streams(self) -> bool:
        """True where Spark's own streaming keeps what was taken."""
        return self.read == "incremental" and self.source.entry.traits.get("incremental") == "stream"


def find_job(name: str, folder: Path) -> Path:
    """The YAML of a job named on the command line: a path to a file, or a name in the nearest `conf/`."""
    if name.endswith((".yml", ".yaml")):
        return Path(name)
    conf = conf_folder(folder)
    file = conf / f"{name}.yml"
    if not file.exists():
        jobs = [found.stem for found in job_files(conf)]
        raise ConfigError(f"no job '{name}' in {conf}.{did_you_mean(name, jobs)}")
    return file


def conf_folder(folder: Path) -> Path:
    """The nearest `conf/` at or above a folder, else the one beside the product's own code."""
    for place in (folder, *folder.parents):
        if (place / "conf").is_dir() and job_files(place / "conf"):
            return place / "conf"
    own = Path(__file__).parents[2] / "conf"
    if own.is_dir():
        return own
    raise ConfigError(f"no folder conf/ with jobs in {folder} or above it")


def job_files(conf: Path) -> list[Path]:
    """The jobs' YAML files of a `conf/`, by name."""
    return sorted(conf.glob("*.yml"))


def plan_job(file: Path, *, lake: str, env: str | None = None) -> Plan:
    """The plan of one YAML file; raises ConfigError with every problem that can be seen without Spark."""
    job = load_job(file, env=env, lake=lake)
    binder = _Binder(job, _import_script(job), list(job.problems))
    config = job.config
    source = binder.step("source", config.source, ("source",)) if ("source",) not in job.refused else None
    contract, rules = binder.contract_and_rules()
    transforms = binder.steps("transform", config.transforms, "transforms")
    sinks = binder.sinks()
    read = _read_mode(config.read, source, config.layer)
    if not binder.problems and source is not None:
        plan = Plan(
            job, Layout(lake), source, read, rules, transforms, sinks, contract, _fingerprint(job, contract, lake)
        )
        binder.problems += _plan_problems(plan)
        if not binder.problems:
            return plan
    raise ConfigError(sorted(set(binder.problems)))


@dataclass
class _Binder:
    """Binds a job's words to functions, and collects what is wrong."""

    job: Job
    module: str | None
    problems: list[Problem] = field(default_factory=list)

    def step(self, kind: registry.Kind, word: dict[str, dict[str, Any]], path: KeyPath, source: Source | None = None,
             extra: type[BaseModel] | None = None) -> Step | None:  # fmt: skip
        """The word as a step; None, with the problems noted, where it is none. `extra` takes the common options."""
        source = source or self.job.source
        name, given = next(iter(word.items()))
        entry = registry.find(kind, name, self.module)
        if entry is None:
            names = [found.name for found in registry.known(kind, self.module)]
            self.problems.append(
                source.problem(
                    (*path, name), f"there is no {kind.replace('_', ' ')} '{name}'.{did_you_mean(name, names)}"
                )
            )
            return None
        common = {info.alias or key for key, info in extra.model_fields.items()} if extra else set()
        own_names = {str(info.alias) for info in entry.options.model_fields.values()}
        known = {*common, *own_names}
        what = f"{kind.replace('_', ' ')} '{name}'"
        self.problems += [
            source.problem((*path, name, key), f"{what} has no option '{key}'.{did_you_mean(key, known)}")
            for key in given if key not in known
        ]  # fmt: skip
        own = {key: value for key, value in given.items() if key in own_names}
        options, found = checked_options(entry.options, own, source, (*path, name), what)
        self.problems += found
        if options is None:
            return None
        return Step(entry, options.model_dump(by_alias=True, exclude_unset=True), options, (*path, name), source)

    def steps(self, kind: registry.Kind, words: list[dict[str, dict[str, Any]]], key: str) -> tuple[Step, ...]:
        """A list of words as steps."""
        bound = [self.step(kind, word, path) for path, word in self._listed(key, words)]
        return tuple(step for step in bound if step is not None)

    def _listed(self, key: str, words: list[dict[str, dict[str, Any]]]) -> list[tuple[KeyPath, dict[str, Any]]]:
        places = [((key, index), word) for index, word in enumerate(words)]
        return [(path, word) for path, word in places if path not in self.job.refused]

    def contract_and_rules(self) -> tuple[Contract | None, tuple[RuleStep, ...]]:
        """The contract, and its fields' rules before the job's own."""
        contract, source = self._contract()
        rules = [
            self._rule({name: options}, ("fields", index), source)
            for index, name, options in (field_rules(contract) if contract else ())
        ]
        listed = self._listed("rules", self.job.config.rules)
        rules += [self._rule(word, path, self.job.source) for path, word in listed]
        return contract, tuple(rule for rule in rules if rule is not None)

    def sinks(self) -> tuple[SinkStep, ...]:
        """The sink, or the sinks."""
        config = self.job.config
        if self.job.refused & {("sink",), ("sinks",)}:
            return ()
        if (config.sink is None) == (config.sinks is None):
            self.problems.append(self.job.source.problem(("sink",), "a job has either 'sink' or 'sinks'"))
            return ()
        if config.sink is not None:
            found = [self._sink(config.sink, None, ("sink",))]
        else:
            found = [self._routed(item, ("sinks", index)) for index, item in enumerate(config.sinks or [])]
        return tuple(sink for sink in found if sink is not None)

    def _routed(self, item: dict[str, Any], path: KeyPath) -> SinkStep | None:
        where = item.get("where")
        word = {key: options or {} for key, options in item.items() if key != "where"}
        if len(word) != 1 or not isinstance(next(iter(word.values())), dict) or not isinstance(where, str | None):
            self.problems.append(
                self.job.source.problem(path, "each of 'sinks' is one sink with its options, and 'where' at most")
            )
            return None
        return self._sink(word, where, path)

    def _sink(self, word: dict[str, dict[str, Any]], where: str | None, path: KeyPath) -> SinkStep | None:
        name, given = next(iter(word.items()))
        entry = registry.find("sink", name, self.module)
        is_table = entry is not None and not entry.traits.get("external", False)
        step = self.step("sink", word, path, extra=TableSettings if is_table else None)
        settings, found = checked_options(
            TableSettings, given if is_table else {}, self.job.source, (*path, name), f"sink '{name}'"
        )
        self.problems += found
        return SinkStep(step, where, settings) if step is not None and settings is not None else None

    def _rule(self, word: dict[str, dict[str, Any]], path: KeyPath, source: Source) -> RuleStep | None:
        name, given = next(iter(word.items()))
        step = self.step("rule", word, path, source, extra=RuleSettings)
        settings, found = checked_options(RuleSettings, given, source, (*path, name), f"rule '{name}'")
        self.problems += found
        return RuleStep(step, settings) if step is not None and settings is not None else None

    def _contract(self) -> tuple[Contract | None, Source]:
        config, source = self.job.config, self.job.source
        if config.contract is None:
            return None, source
        if config.schema_ is not None:
            self.problems.append(source.problem(("contract",), "a job has either 'contract' or 'schema'"))
        file = self.job.root / "conf" / "contracts" / f"{config.contract}.yml"
        if not file.exists():
            names = [found.stem for found in file.parent.glob("*.yml")]
            self.problems.append(
                source.problem(
                    ("contract",), f"there is no contract {file.name}.{did_you_mean(config.contract, names)}"
                )
            )
            return None, source
        try:
            contract, where = load_mapping(Contract, file)
        except ConfigError as error:
            self.problems += error.problems
            return None, source
        self.problems += [where.problem(path, message) for path, message in contract_problems(contract)]
        return contract, where


def _read_mode(asked: str | None, source: Step | None, layer: str) -> Literal["incremental", "full"]:
    incremental = source is not None and source.entry.traits.get("incremental") is not None
    if asked is not None:
        return "incremental" if asked == "incremental" else "full"
    if source is not None and source.name == "delta" and layer == "gold":
        return "full"
    return "incremental" if incremental else "full"


def _plan_problems(plan: Plan) -> Iterator[Problem]:
    """What is wrong between the parts of a job."""
    config, source = plan.job.config, plan.job.source
    if plan.source.name == "delta" and (plan.source.option("table") is None) == (plan.source.option("path") is None):
        yield plan.source.problem("needs either 'table' or 'path'")
    if config.read == "incremental" and plan.source.entry.traits.get("incremental") is None:
        yield source.problem(
            ("read",), f"source '{plan.source.name}' can only be read in full; take 'read: incremental' out"
        )
    for step in plan.transforms:
        if "tables" in step.entry.given:
            yield from _undeclared(plan, step)
    yield from _not_built(plan)
    yield from _sink_problems(plan)


def _not_built(plan: Plan) -> Iterator[Problem]:
    """Words that are known and not built yet: refused, never ignored."""
    config, source = plan.job.config, plan.job.source
    if config.stream is not None and config.stream.trigger != "available_now":
        yield source.problem(("stream", "trigger"), "only available_now runs yet; a continuous trigger is not built")
    if config.stream is not None and config.stream.watermark is not None:
        yield source.problem(("stream", "watermark"), "watermarks are not built yet; take it out")
    if config.stream is not None and config.stream.max_batches is not None:
        yield source.problem(("stream", "max_batches"), "max_batches is not built yet; take it out")
    if config.stream is not None and config.stream.late != "keep":
        yield source.problem(("stream", "late"), "late: merge is not built yet; take it out")
    if config.expectations is not None:
        yield source.problem(("expectations",), "Great Expectations suites are not built yet; take it out")


def _sink_problems(plan: Plan) -> Iterator[Problem]:
    source, targets = plan.job.source, [sink.target for sink in plan.sinks]
    for index, sink in enumerate(plan.sinks):
        deletes = sink.step.option("when_missing") == "delete"
        if plan.read == "incremental" and (deletes or sink.step.name == "overwrite"):
            what = "when_missing: delete" if deletes else "overwrite"
            yield sink.step.problem(f"{what} needs all rows each time; set read: full")
        if sink.target in targets[:index]:
            yield source.problem(("sinks", index), f"'{sink.target}' is written twice; give one sink the other's rows")
        if sink.target in plan.inputs:
            yield source.problem(sink.step.path, f"'{sink.target}' is both input and target")


def _undeclared(plan: Plan, step: Step) -> Iterator[Problem]:
    for option in ("with_", "table", "tables_"):
        named = step.option(option) or []
        for name in [named] if isinstance(named, str) else named:
            if name not in plan.job.config.inputs:
                yield step.problem(f"'{name}' is not among the job's inputs; add it:  inputs: [{name}]")


def _fingerprint(job: Job, contract: Contract | None, lake: str) -> str:
    """A digest of what the job does: its config and contract, not where its lake lies."""
    content = {
        "config": job.config.model_dump(mode="json"),
        "contract": contract.model_dump(mode="json") if contract else None,
    }
    text = json.dumps(content, sort_keys=True).replace(lake, "${LAKE}")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _import_script(job: Job) -> str | None:
    """Imports `jobs/<stem>.py` where it exists, so that the functions it registers are known; the module's name."""
    file = job.root / "jobs" / f"{job.name}.py"
    if not file.exists():
        return None
    name = f"lakehouse_job_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{job.name}"
    if name in sys.modules:
        return name
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        problem = Problem(shown(file), _line_of(error, file), f"cannot be imported: {type(error).__name__}: {error}")
        raise ConfigError([*job.problems, problem]) from error
    return name


def _line_of(error: BaseException, file: Path) -> int:
    line, trace = getattr(error, "lineno", None) or 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
