"""Where a project's files lie: its root, its `conf/`, and the YAML file of each job."""

from __future__ import annotations

from pathlib import Path

from lakehouse.errors import ConfigError, did_you_mean


def project_root(file: Path) -> Path:
    """The parent of the nearest `conf/` above the YAML file, else the file's own folder."""
    for folder in file.absolute().parents:
        if folder.name == "conf":
            return folder.parent
    return file.absolute().parent


def find_job(name: str, folder: Path) -> Path:
    """The YAML of a job named on the command line: a path to a file, or a name in the nearest `conf/`."""
    if name.endswith((".yml", ".yaml")):
        return Path(name)
    for place in (folder, *folder.parents):
        misnamed = place / "conf" / f"{name}.yaml"
        if misnamed.exists() and not misnamed.with_suffix(".yml").exists():
            raise ConfigError(f"{misnamed}: the file of a job in conf/ ends in .yml; rename it, or run it by its path")
        if job_files(place / "conf"):
            break
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
    if own_conf().is_dir():
        return own_conf()
    raise ConfigError(f"no folder conf/ with jobs in {folder} or above it")


def own_conf() -> Path:
    """The `conf/` beside the product's own code: the example shop's."""
    return Path(__file__).parents[3] / "conf"


def job_files(conf: Path) -> list[Path]:
    """The jobs' YAML files of a `conf/`, by name."""
    return sorted(conf.glob("*.yml"))
