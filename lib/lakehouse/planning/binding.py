"""A job's words bound to the functions they name; what is no word, or no option of it, is a problem at its line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from lakehouse import registry
from lakehouse.cdc_formats import KEYS_UNKNOWN, with_defaults
from lakehouse.config.contract import Contract, contract_problems, field_rules
from lakehouse.config.jobs import Job, load_mapping
from lakehouse.config.suite import Suite, load_suite
from lakehouse.config.validation import checked_options
from lakehouse.config.yaml_files import Source
from lakehouse.config.yaml_text import Path as KeyPath
from lakehouse.errors import ConfigError, Problem, did_you_mean
from lakehouse.planning.plan import BatchRuleSettings, RuleSettings, RuleStep, SinkStep, Step, TableSettings, measures


@dataclass
class Binder:
    """Binds a job's words to functions, and collects what is wrong."""

    job: Job
    module: str | None
    problems: list[Problem] = field(default_factory=list)

    def step(self, kind: registry.Kind, word: dict[str, dict[str, Any]], path: KeyPath, source: Source | None = None,
             extra: type[BaseModel] | None = None) -> Step | None:  # fmt: skip
        """The word as a step; None, with the problems noted, where it is none. `extra` takes the common options."""
        source = source or self.job.source
        name, given = next(iter(word.items()))
        entry = registry.find_rule(name, self.module) if kind == "rule" else registry.find(kind, name, self.module)
        if entry is None:
            kinds: list[registry.Kind] = ["rule", "set_rule"] if kind == "rule" else [kind]
            names = [found.name for one in kinds for found in registry.known(one, self.module)]
            self.problems.append(
                source.problem((*path, name), f"there is no {kind} '{name}'.{did_you_mean(name, names)}")
            )
            return None
        common = {info.alias or key for key, info in extra.model_fields.items()} if extra else set()
        own_names = {str(info.alias) for info in entry.options.model_fields.values()}
        known = {*common, *own_names}
        what = entry.said
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

    def rules(self, contract: Contract | None, source: Source) -> tuple[RuleStep, ...]:
        """The rules of the contract, whose lines are in `source`, before the job's own."""
        rules = [
            self._rule({name: options}, ("fields", index), source)
            for index, name, options in (field_rules(contract) if contract else ())
        ]
        of_contract = contract.rules if contract else []
        rules += [self._rule(word, ("rules", index), source) for index, word in enumerate(of_contract)]
        listed = self._listed("rules", self.job.config.rules)
        rules += [self._rule(word, path, self.job.source) for path, word in listed]
        return tuple(rule for rule in rules if rule is not None)

    def transforms(self, contract: Contract | None, source: Source) -> tuple[Step, ...]:
        """The job's transforms; what the contract wants masked is masked before the first of them sees it."""
        masked = [
            self.step("transform", {"mask": {"columns": {field.name: field.mask}}}, ("fields", index, "mask"), source)
            for index, field in enumerate(contract.fields if contract else ()) if field.mask is not None
        ]  # fmt: skip
        return (
            *(step for step in masked if step is not None),
            *self.steps("transform", self.job.config.transforms, "transforms"),
        )

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

    def suite(self) -> Suite | None:
        """The Great Expectations suite that runs are to ask; None where there is none, or it is asked by hand alone."""
        said = self.job.config.expectations
        if said is None or not said.checkpoint:
            return None
        try:
            return load_suite(self.job.root / said.suite)
        except ConfigError as error:
            where = self.job.source.problem(("expectations", "suite"), "")
            self.problems += [replace(where, message=f"expectations: {problem}") for problem in error.problems]
            return None

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
        if entry is not None:
            given = self._with_format(entry, given, (*path, name))
        step = self.step("sink", {name: given}, path, extra=TableSettings if is_table else None)
        settings, found = checked_options(
            TableSettings, given if is_table else {}, self.job.source, (*path, name), f"sink '{name}'"
        )
        self.problems += found
        return SinkStep(step, where, settings) if step is not None and settings is not None else None

    def _with_format(self, entry: registry.Registered, given: dict[str, Any], path: KeyPath) -> dict[str, Any]:
        """The sink's options with what the source's `cdc_format` says of them."""
        source = next(iter(self.job.config.source.values()))
        fields = {str(info.alias): info for info in entry.options.model_fields.values()}
        keys = fields.get("keys")
        if source.get("cdc_format") and keys is not None and keys.is_required() and "keys" not in given:
            said = f"sink '{entry.name}': {KEYS_UNKNOWN.format(source['cdc_format'])}"
            self.problems.append(self.job.source.problem(path, said))
        return with_defaults(given, set(fields), source)

    def _rule(self, word: dict[str, dict[str, Any]], path: KeyPath, source: Source) -> RuleStep | None:
        name, given = next(iter(word.items()))
        step = self.step("rule", word, path, source, extra=RuleSettings)
        known = BatchRuleSettings if step is not None and measures(step) else RuleSettings
        settings, found = checked_options(known, given, source, (*path, name), f"rule '{name}'")
        self.problems += found
        return RuleStep(step, settings) if step is not None and settings is not None else None

    def contract(self) -> tuple[Contract | None, Source]:
        """The contract and where its keys stand; None, with the job's own lines, where there is none to be had."""
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
