"""A job's own script, imported for the functions that it registers."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

from lakehouse.config.jobs import Job
from lakehouse.config.yaml_files import shown
from lakehouse.errors import ConfigError, Problem


def import_script(job: Job) -> str | None:
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
