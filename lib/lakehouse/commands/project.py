"""What `lakehouse init` and `lakehouse new` do: write the first files of a project, or of a job."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lakehouse import api
from lakehouse.config.project_files import conf_folder, own_conf
from lakehouse.config.yaml_files import shown
from lakehouse.errors import ConfigError
from lakehouse.new_files.job_files import SCHEMAS, job_files
from lakehouse.new_files.project_files import DATA, project_files
from lakehouse.new_files.samples import Sample, file_sample, table_sample
from lakehouse.new_files.writing import write_new
from lakehouse.planning.job_schema import schemas
from lakehouse.planning.planner import plan_job
from lakehouse.tables import is_table_name

_LAYERS = ("bronze", "silver", "gold")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def init(options: argparse.Namespace) -> int:
    """Makes a project in a new or empty folder: two jobs over a little data, which run and pass their tests."""
    root = Path(options.folder).absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ConfigError(f"{options.folder} is there already and not empty; name a new folder")
    written = write_new(root, project_files(root.name))
    sample = file_sample(str(Path(DATA).parent), root)
    table = Sample("bronze.orders", sample.types, sample.rows)
    jobs = {**job_files("bronze_orders", "bronze", sample), **job_files("silver_orders", "silver", table)}
    written += write_new(root, {**jobs, **_schema_files()})
    _say(written, f"cd {options.folder} && lakehouse run --all && lakehouse test")
    return 0


def new(options: argparse.Namespace) -> int:
    """Writes a job that reads a table or files, its contract from what they hold, its script and its test."""
    name, layer = options.name, _layer(options.name, options.layer)
    root = _root()
    sample = _sample(options.source, root)
    files = job_files(name, layer, sample)
    missing = {path: text for path, text in _schema_files().items() if not (root / path).exists()}
    written = write_new(root, {**files, **missing})
    plan_job(root / "conf" / f"{name}.yml", lake=api.lake_root(root / "conf" / f"{name}.yml"))
    _say(written, f"lakehouse test {name} && lakehouse run {name}")
    return 0


def _layer(name: str, asked: str | None) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"'{name}' is no job's name; it is letters, digits and underscores, such as silver_orders")
    first = name.partition("_")[0]
    if asked is None and first not in _LAYERS:
        raise ConfigError(f"the layer of '{name}' is not in its name; call it silver_{name}, or say --layer silver")
    return asked or first


def _root() -> Path:
    """The project's root; raises ConfigError outside of one."""
    conf = conf_folder(Path.cwd())
    if conf == own_conf() and not Path.cwd().is_relative_to(conf.parent):
        raise ConfigError(f"there is no project in {Path.cwd()} or above it; `lakehouse init my-lake` makes one")
    return conf.parent


def _sample(source: str, root: Path) -> Sample:
    """What there is of a table `layer.name`, or else of files: their path as the shell has it."""
    if is_table_name(source) and source.partition(".")[0] in _LAYERS and not Path(source).exists():
        return table_sample(api.layout(), source)
    place = Path(source).absolute()
    below = place.relative_to(root) if place.is_relative_to(root) else place
    return file_sample(source if "://" in source else str(below), root)


def _schema_files() -> Mapping[str, str]:
    return {f"{SCHEMAS}/{kind}.json": json.dumps(schema, indent=1) + "\n" for kind, schema in schemas().items()}


def _say(written: Sequence[Path], following: str) -> None:
    for path in written:
        print(shown(path))
    print(f"next: {following}")
