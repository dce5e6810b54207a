"""What the command on Great Expectations does: suites out of jobs, rules out of suites, Data Docs out of results."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from lakehouse import api
from lakehouse.config.project_files import find_job
from lakehouse.config.suite import load_suite
from lakehouse.errors import ConfigError, Problem
from lakehouse.storage import write_text


def expectations(options: argparse.Namespace) -> int:
    """Exports a job's rules, imports a suite's, or builds Data Docs."""
    actions = {"export": _export, "import": _import, "docs": _docs}
    if options.action != "docs" and not options.name:
        what = "a job" if options.action == "export" else "a suite's file"
        raise ConfigError(f"expectations {options.action} needs {what}: lakehouse expectations {options.action} NAME")
    return actions[options.action](options)


def _export(options: argparse.Namespace) -> int:
    """Prints or writes the suite of a job's rules; names those that it leaves out. Needs no Spark."""
    from lakehouse.suites.exporting import exported

    plan = api.planned([find_job(options.name, Path.cwd())], options.env)[0]
    done = exported(plan)
    _tell(done.left_out)
    text = json.dumps(done.suite.as_json, indent=2, ensure_ascii=False) + "\n"
    if options.to is None:
        print(text, end="")
        return 0
    write_text(options.to, text)
    print(
        f"{options.to}: {len(done.suite.expectations)} expectations of {plan.name}, {len(done.left_out)} rules left out"
    )
    return 0


def _import(options: argparse.Namespace) -> int:
    """Prints a suite's expectations as rules, or adds them to a job's file; names those that it leaves out."""
    from lakehouse.suites.importing import imported
    from lakehouse.suites.yaml_rules import rules_text, with_rules

    done = imported(load_suite(Path(options.name)))
    if options.job is None:
        print("rules:" + ("\n" + rules_text(done.rules) if done.rules else " []\n"), end="")
        _tell(done.left_out)
        return 0
    file = find_job(options.job, Path.cwd())
    text, added = with_rules(file, done.rules)
    _tell(done.left_out)
    if added:
        write_text(str(file), text)
    known = len(done.rules) - added
    print(f"{file}: {added} rules added, {known} there already, {len(done.left_out)} expectations left out")
    return 0


def _docs(options: argparse.Namespace) -> int:
    """Builds Data Docs as a site of files from the results that runs have kept."""
    from lakehouse.expectations import build_docs

    place, results = build_docs(api.layout(), Path(options.to or "data_docs"))
    print(f"{place}: {results} results")
    return 0


def _tell(left_out: Iterable[Problem]) -> None:
    for problem in left_out:
        print(problem, file=sys.stderr)
