"""What `lakehouse quality` does; needs no Spark."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from lakehouse import api, rule_results
from lakehouse.commands.quality_reports import anomalies, anomalies_text, coverage, quality_text, scores, trends
from lakehouse.config.project_files import conf_folder, job_files
from lakehouse.errors import ConfigError, did_you_mean


def quality(options: argparse.Namespace) -> int:
    """Shows what a table's rules said in its last runs, or the rules that were not as usual."""
    layout = api.layout()
    if options.table is None and not options.anomalies:
        raise ConfigError("name a table, or ask for --anomalies; `lakehouse list` shows the jobs and what they write")
    rows = rule_results.read(layout, options.table)
    if options.table is not None and not rows:
        known = sorted({row["table"] for row in rule_results.read(layout)})
        raise ConfigError(f"no run of {options.table} is in {layout.quality} yet.{did_you_mean(options.table, known)}")
    if options.anomalies:
        found = anomalies(rows)
        print(json.dumps([asdict(item) for item in found]) if options.json else anomalies_text(found))
        return 0
    covered = _covered(sorted({row["job"] for row in rows}))
    if options.json:
        told = {
            "table": options.table,
            "rules": trends(rows, options.limit),
            "scores": scores(rows),
            "coverage": covered,
        }
        print(json.dumps(told, default=str))
    else:
        print(quality_text(options.table, rows, options.limit, covered))
    return 0


def _covered(jobs: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The critical columns of these jobs, as far as their YAML is here, with the rules that cover them."""
    try:
        files = [file for file in job_files(conf_folder(Path.cwd())) if file.stem in jobs]
    except ConfigError:  # the lake is looked at from elsewhere
        return {}
    found: dict[str, list[str]] = {}
    for plan in api.planned(files, None) if files else ():
        for column, rules in coverage(plan).items():
            found[column] = [*found.get(column, []), *rules]
    return found
