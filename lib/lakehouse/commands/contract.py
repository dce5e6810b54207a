"""What `lakehouse contract` does: check against earlier versions, export and import, freshness."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from lakehouse import api, runs
from lakehouse.commands.contract_reports import status_table, verdict_text
from lakehouse.config.contract import Contract, contract_problems
from lakehouse.config.jobs import load_mapping, of_document
from lakehouse.config.project_files import conf_folder, job_files
from lakehouse.config.variables import escaped
from lakehouse.config.yaml_files import read_yaml, shown, source_of
from lakehouse.config.yaml_text import parse, yaml_text
from lakehouse.contracts.compatibility import Checked, check
from lakehouse.contracts.freshness import freshness
from lakehouse.contracts.json_schema import row_schema
from lakehouse.contracts.odcs_export import odcs_document
from lakehouse.contracts.odcs_import import imported
from lakehouse.errors import ConfigError, DataError, did_you_mean
from lakehouse.planning.plan import Plan
from lakehouse.planning.planner import plan_job


def contract_check(options: argparse.Namespace) -> int:
    """Lists how contracts differ from earlier versions of them; 2 where one breaks what it promises."""
    conf = _conf()
    files = _files(conf, options.names)
    if Path(options.against).is_file() and len(files) > 1:
        raise ConfigError(
            f"--against {options.against} is one file; name the contract that it is an earlier version of"
        )
    plans, notes = _plans(conf)
    checked = [check(file, options.against, plans) for file in files]
    _say_notes([*notes, *(note for item in checked for note in item.notes)])
    print(json.dumps(_as_json(checked), indent=2) if options.json else _as_text(checked))
    refusals = [verdict.refusal for item in checked for verdict in item.verdicts if verdict.refusal]
    if not options.json:
        _say_notes(map(str, refusals))
    return ConfigError.exit_code if refusals else 0


def contract_status(options: argparse.Namespace) -> int:
    """Says for each table under a contract how fresh it is; 3 where one is older than promised. Needs no Spark."""
    conf = _conf()
    names = {file.stem for file in _files(conf, options.names)}
    plans, notes = _plans(conf)
    _say_notes(notes)
    plans = [plan for plan in plans if plan.job.config.contract in names]
    found = [item for plan in plans for item in freshness(plan, runs.now())]
    if options.json:
        print(json.dumps([asdict(item) for item in found], default=str, indent=2))
    else:
        print(status_table(found) if found else "no job of this project is under a contract")
        _say_notes(str(item) for item in found if not item.holds)
    return 0 if all(item.holds for item in found) else DataError.exit_code


def contract_export(options: argparse.Namespace) -> int:
    """Prints a contract in another tool's words; what those cannot say is named on standard error."""
    (file,) = _files(_conf(), [options.name])
    contract, _ = load_mapping(Contract, file)
    if options.format == "odcs":
        print(yaml_text(odcs_document(contract, file.stem)), end="")
        return 0
    schema, unsaid = row_schema(contract)
    print(json.dumps(schema, indent=2))
    _say_notes(f"{file.stem}: not said: {text}" for text in unsaid)
    return 0


def contract_import(options: argparse.Namespace) -> int:
    """Writes conf/contracts/<name>.yml from another tool's document; what has no place in it is named on standard error."""
    document = read_yaml(Path(options.file))
    for one in imported(document.value, source_of(document), options.name):
        text = yaml_text(escaped(one.contract))
        file = _conf() / "contracts" / f"{one.name}.yml"
        contract, source = of_document(Contract, parse(text, f"{options.file} as {shown(file)}"))
        if file.exists():
            raise ConfigError(f"{shown(file)} is there already; take it away, or import under another --name")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        _say_notes(map(str, one.left_out))
        _say_notes(str(source.problem(path, message)) for path, message in contract_problems(contract))
        print(f"{shown(file)}: {len(contract.fields)} fields")
    return 0


def _as_text(checked: Sequence[Checked]) -> str:
    return "\n".join(verdict_text(verdict) for item in checked for verdict in item.verdicts)


def _as_json(checked: Sequence[Checked]) -> dict[str, object]:
    verdicts = [verdict for item in checked for verdict in item.verdicts]
    return {
        "compatible": not any(verdict.refusal for verdict in verdicts),
        "contracts": [asdict(item) for item in verdicts],
    }


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)


def _conf() -> Path:
    """The nearest `conf/` with contracts or jobs."""
    here = Path.cwd()
    found = next((place / "conf" for place in (here, *here.parents) if (place / "conf" / "contracts").is_dir()), None)
    return found or conf_folder(here)


def _files(conf: Path, names: Sequence[str]) -> list[Path]:
    """The files of the contracts named, or of all; raises ConfigError where there is none of a name."""
    known = {file.stem: file for file in sorted((conf / "contracts").glob("*.yml"))}
    missing = [name for name in names if name not in known]
    if missing:
        raise ConfigError(
            f"there is no contract '{missing[0]}' in {conf / 'contracts'}.{did_you_mean(missing[0], known)}"
        )
    if not known:
        raise ConfigError(f"there is no contract in {conf / 'contracts'}")
    return [known[name] for name in names] or list(known.values())


def _plans(conf: Path) -> tuple[list[Plan], list[str]]:
    """The project's jobs, and a note for each that cannot be looked at."""
    plans, notes = [], []
    for file in job_files(conf):
        try:
            plans.append(plan_job(file, lake=api.lake_root(file)))
        except ConfigError as error:
            notes.append(f"{file.stem} is not looked at: {str(error).splitlines()[0]}")
    return plans, notes
