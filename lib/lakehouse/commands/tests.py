"""What `lakehouse test` does: hands the YAML tests of jobs to pytest."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lakehouse.config.project_files import conf_folder, find_job
from lakehouse.config.yaml_files import shown
from lakehouse.errors import ConfigError, did_you_mean


def test(options: argparse.Namespace) -> int:
    """Runs the tests of the jobs named, or of all; pytest's exit code: 0 all hold, 1 one does not."""
    try:
        import pytest
    except ImportError as error:
        raise ConfigError("the tests are run by pytest, which is not there; pip install pytest") from error
    root = conf_folder(Path.cwd()).parent
    files = _files(root / "tests" / "jobs", options.jobs)
    recording = ["--record"] if options.record else []
    return int(
        pytest.main([*map(str, files), f"--rootdir={root}", "--no-header", "-p", "pytest_lakehouse", *recording])
    )


def _files(folder: Path, jobs: Sequence[str]) -> list[Path]:
    """The files of tests; raises ConfigError where there is none of a job."""
    known = {file.stem: file for file in sorted(folder.glob("*.yml"))}
    names = [find_job(job, folder).stem for job in jobs]
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        raise ConfigError(f"there is no test {shown(folder / f'{missing}.yml')}.{did_you_mean(missing, known)}")
    if not known:
        raise ConfigError(f"there are no tests in {shown(folder)}; `lakehouse new` writes one beside a job")
    return [known[name] for name in names] or list(known.values())
