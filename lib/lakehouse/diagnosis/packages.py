"""Python packages and JARs: the versions that fit together, whole, and none twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lakehouse.config.project_files import own_conf
from lakehouse.diagnosis.finding import Finding, found

_EXACT = {"pyspark": "4.1.3", "delta-spark": "4.4.0"}  # the JARs fit these two and no others
_LEAST = {"deltalake": (1, 6), "boto3": (1, 44), "pydantic": (2,), "numpy": (2, 4), "pyarrow": (26,)}
_BELOW = {"deltalake": 2, "pandas": 3}
_WHY = {"pandas": "pyspark 4.1 warns on pandas 3: pip install 'pandas<3'"}
_JARS = {
    "io.delta_delta-spark_4.1_2.13-4.4.0.jar": None, "org.apache.hadoop_hadoop-aws-3.4.2.jar": None,
    "org.apache.spark_spark-sql-kafka-0-10_2.13-4.1.3.jar": None,
}  # fmt: skip
_NUMBERED = re.compile(r"(?P<artifact>.+?)-(?P<version>\d[\w.]*)\.jar")


def packages() -> Iterator[Finding]:
    """The Python packages: there, and of versions that were tried together."""
    for name, wanted in _EXACT.items():
        there = _version(name)
        yield found(f"{name} {there or 'is missing'}", there == wanted, f"{wanted} is needed: make setup")
    for name in dict.fromkeys((*_LEAST, *_BELOW)):
        there = _version(name)
        if there is None:
            if name in _LEAST:
                yield Finding(f"{name} is missing", "bad", "it is needed: make setup")
            continue
        numbers = tuple(map(int, re.findall(r"\d+", there)[:2]))
        fits = numbers >= _LEAST.get(name, ()) and numbers[0] < _BELOW.get(name, numbers[0] + 1)
        yield found(f"{name} {there}", fits, _WHY.get(name, "another version is needed: make setup"))


def jars() -> Iterator[Finding]:
    """The JARs in pyspark's own folder against the list of set-up: missing, damaged, or another version beside them."""
    import pyspark

    folder, wanted = Path(pyspark.__file__).parent / "jars", _wanted()
    missing = [name for name in wanted if not (folder / name).exists()]
    wrong = [
        name for name, digest in wanted.items() if name not in missing and digest and _digest(folder / name) != digest
    ]
    twice = sorted(_others(folder, wanted))
    bad = [f"{name} is missing" for name in missing] + [f"{name} is not what it should be (sha256)" for name in wrong]
    for said in bad:
        yield Finding(f"JAR {said}", "bad", "make setup fetches it")
    for name in twice:
        yield Finding(f"JAR {name} is another version of one that is needed", "bad", f"rm {folder / name}")
    if not (bad or twice):
        yield Finding(f"{len(wanted)} JARs in {folder}, whole and each once")


def _wanted() -> Mapping[str, str | None]:
    """Each JAR's file with its sha256, as set-up names it; the main ones alone where the project's list is not at hand."""
    file = own_conf() / "spark" / "jars.txt"
    if not file.exists():
        return _JARS
    pairs = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    return {_file(pair[0]): pair[1] for pair in pairs if len(pair) == 2}


def _file(coordinate: str) -> str:
    group, artifact, number = coordinate.split(":")
    return f"{group}_{artifact}-{number}.jar"


def _others(folder: Path, wanted: Mapping[str, str | None]) -> Iterator[str]:
    """The files of a folder that are a JAR of the list in another version, with or without its group before it."""
    known = {_artifact(name) for name in wanted}
    bare = {name.split("_", 1)[1] for name in known}
    for file in folder.glob("*.jar"):
        if file.name not in wanted and _artifact(file.name) in known | bare:
            yield file.name


def _artifact(name: str) -> str:
    matched = _NUMBERED.fullmatch(name)
    return matched["artifact"] if matched else name


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
