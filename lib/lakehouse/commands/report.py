"""What `lakehouse report` does: a run of the lake becomes one HTML file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lakehouse import api, runs
from lakehouse.config.project_files import find_job
from lakehouse.errors import ConfigError
from lakehouse.html_pages.figures import moment
from lakehouse.planning.plan import Plan
from lakehouse.storage import write_text
from lakehouse.tables import is_remote


def report(options: argparse.Namespace) -> int:
    """Writes a run, what it read and wrote, its rules and its broken rows as one HTML file; needs no Spark."""
    from lakehouse.run_report.document import document
    from lakehouse.run_report.reading import find_run, read_report

    layout = api.layout()
    record, of_job = find_run(layout, options.run_id)
    found = read_report(layout, record, of_job, _plan(record.job, options.env))
    page = document(found, layout.root, moment(runs.now()))
    if options.to == "-":
        sys.stdout.write(page)
        return 0
    place = options.to or f"{record.run_id}.html"
    try:
        write_text(place if is_remote(place) else str(Path(place).absolute()), page)
    except OSError as error:  # no folder can be made there
        raise ConfigError(f"--to {place}: {error.strerror}; name a file in a folder that can be written") from error
    print(f"{place}: {record.job}, {record.state}, {moment(record.started)}")
    return 0


def _plan(job: str, env: str | None) -> Plan | None:
    """The job as its YAML has it today; None where it is gone or wrong: the run is told all the same."""
    try:
        return api.planned([find_job(job, Path.cwd())], env)[0]
    except ConfigError:
        return None
