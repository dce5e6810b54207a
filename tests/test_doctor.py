"""`lakehouse doctor`: each trap is set on purpose, and found by its name."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pyspark
import pytest

from lakehouse.cli import command
from lakehouse.diagnosis import machine
from lakehouse.diagnosis.packages import jars, packages
from lakehouse.diagnosis.programs import java, pythons
from lakehouse.diagnosis.spark_settings import archive, settings_files, submit
from lakehouse.diagnosis.store import store
from servers import in_environment


def program(file: Path, said: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{said}'\n")
    file.chmod(0o755)
    return file


def bad(findings) -> dict[str, str]:
    return {finding.what: finding.remedy for finding in findings if finding.state == "bad"}


def warned(findings) -> dict[str, str]:
    return {finding.what: finding.remedy for finding in findings if finding.state == "warn"}


@pytest.fixture
def clean(monkeypatch, tmp_path):
    """An environment without what a user may have set."""
    for name in (
        "SPARK_CONF_DIR",
        "SPARK_HOME",
        "PYSPARK_PYTHON",
        "PYSPARK_DRIVER_PYTHON",
        "JDK_JAVA_OPTIONS",
        "JAVA_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def test_javas_and_pythons_that_do_not_fit_are_named(clean, monkeypatch):
    assert not bad(java())
    program(clean / "new/bin/java", 'openjdk version "25.0.1" 2025-10-21')
    monkeypatch.setenv("JAVA_HOME", str(clean / "new"))
    ((what, remedy),) = bad(java()).items()
    assert what.startswith("Java 25 (")
    assert "getSubject is not supported" in remedy
    program(clean / "poor/bin/java", 'openjdk version "17.0.1"')  # a Java without the modules that Spark asks for
    monkeypatch.setenv("JAVA_HOME", str(clean / "poor"))
    assert list(bad(java())) == ["Java lacks the module jdk.incubator.vector, which Spark 4.1 asks for"]
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-Dx=secret")
    assert list(warned(java())) == ["JDK_JAVA_OPTIONS is set"]
    assert not bad(pythons())
    monkeypatch.setenv("PYSPARK_PYTHON", str(program(clean / "python", "3.9")))
    assert "is Python 3.9" in next(iter(bad(pythons())))
    monkeypatch.setenv("PYSPARK_PYTHON", "/nowhere/python")
    assert "(it does not run)" in next(iter(bad(pythons())))


def test_packages_of_other_versions_are_named(clean, monkeypatch):
    assert not bad(packages())
    for name, number in {"pandas": "3.0.1", "delta_spark": "4.4.1", "pyspark": "4.2.0", "deltalake": "2.0.0"}.items():
        folder = clean / f"{name}-{number}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {number}\n")
    monkeypatch.syspath_prepend(str(clean))
    found = bad(packages())
    assert set(found) == {"pandas 3.0.1", "delta-spark 4.4.1", "pyspark 4.2.0", "deltalake 2.0.0"}
    assert "pip install 'pandas<3'" in found["pandas 3.0.1"]


def test_jars_missing_damaged_or_there_twice_are_named(clean, monkeypatch):
    assert not bad(jars())
    own, copy = Path(pyspark.__file__).parent / "jars", clean / "pyspark/jars"
    copy.mkdir(parents=True)
    for file in own.glob("*.jar"):
        (copy / file.name).symlink_to(file)
    monkeypatch.setattr(pyspark, "__file__", str(clean / "pyspark/__init__.py"))
    assert not bad(jars())
    (copy / "org.apache.hadoop_hadoop-aws-3.4.2.jar").unlink()
    delta = copy / "io.delta_delta-spark_4.1_2.13-4.4.0.jar"
    delta.unlink()
    delta.write_bytes(b"half of it")
    (copy / "delta-spark_4.1_2.13-4.4.1.jar").touch()
    assert list(bad(jars())) == [
        "JAR org.apache.hadoop_hadoop-aws-3.4.2.jar is missing",
        "JAR io.delta_delta-spark_4.1_2.13-4.4.0.jar is not what it should be (sha256)",
        "JAR delta-spark_4.1_2.13-4.4.1.jar is another version of one that is needed",
    ]


def test_what_a_shell_says_behind_a_jobs_back_is_named(clean, monkeypatch):
    assert not bad([*settings_files(), *submit()])
    folder = clean / "conf"
    folder.mkdir()
    (folder / "log4j2.properties").touch()
    monkeypatch.setenv("SPARK_CONF_DIR", str(folder))
    assert "the class archive is not used" in next(iter(warned(settings_files()).values()))
    (folder / "spark-defaults.conf").write_text("# mine\nspark.password  hunter2\nspark.sql.ansi.enabled=false\n")
    remedy = bad(settings_files())[f"SPARK_CONF_DIR={folder} holds a spark-defaults.conf"]
    assert "every job would have spark.password, spark.sql.ansi.enabled;" in remedy
    assert "hunter2" not in remedy
    monkeypatch.setenv("SPARK_HOME", str(clean))
    other = program(clean / "bin/spark-submit", "")
    monkeypatch.setenv("PATH", f"{other.parent}:{os.environ['PATH']}")
    assert list(bad(submit())) == [f"spark-submit is {other}", f"SPARK_HOME={clean} is another Spark"]
    monkeypatch.delenv("SPARK_HOME")
    own = clean / "venv/bin"
    own.mkdir(parents=True)
    (own / "spark-submit").symlink_to(other)
    monkeypatch.setattr(sys, "prefix", str(clean / "venv"))
    monkeypatch.setenv("PATH", f"{own}:/usr/bin:/bin")  # not activated: the system's python3 comes first
    (found,) = [finding for finding in submit() if not finding.ok]
    assert found.what.startswith("python3 is ")
    assert "spark-submit.sh" in found.remedy


def test_a_class_archive_that_was_cut_is_named(clean, monkeypatch):
    folder = clean / "spark"
    folder.mkdir()
    monkeypatch.setattr(sys, "prefix", str(clean))
    assert "make setup" in next(iter(warned(archive()).values()))
    (folder / "jvm.options").write_text(f'"-XX:SharedArchiveFile={folder}/lakehouse.jsa" -Xshare:auto')
    (folder / "lakehouse.jsa").write_bytes(b"x" * 100)
    (folder / "archive").write_text("/usr/bin/java 17 digest 1 100\n")
    assert not bad(archive())
    os.truncate(folder / "lakehouse.jsa", 50)
    assert "Java crashes on an archive that was cut" in next(iter(bad(archive()).values()))


def test_disks_and_clocks_are_held_against_what_a_run_needs(clean, monkeypatch):
    lake = str(clean / "lake")
    assert not bad([*machine.disks(lake), *machine.limits(), *store(lake)])
    assert list((clean / "lake").iterdir()) == []  # what was tried is gone
    monkeypatch.setattr(machine, "_LITTLE", 2**70)
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{clean},/nowhere/at/all")
    found = bad(machine.disks(lake))
    assert [what.split(" for ")[-1].split(" (")[0] for what in found if "free" in what] == [
        "scratch files",
        "scratch files",
        "the lake",
    ]
    assert "/nowhere/at/all for scratch files cannot be written" in found
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 100)
    ((what, remedy),) = bad(store(lake)).items()
    assert what == "this machine's clock is 100 s ahead of the lake's"
    assert "time server" in remedy
    (clean / "file").touch()
    assert "set LAKE to a folder" in next(iter(bad(store(str(clean / "file/lake"))).values()))


def test_a_store_without_credentials_or_out_of_reach_is_named(clean, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert "AWS_PROFILE" in bad(store("s3a://bucket/lake"))["lake s3a://bucket/lake: no credentials"]
    away = {
        "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }  # fmt: skip
    with in_environment(away):
        ((what, remedy),) = bad(store("s3a://bucket/lake")).items()
    assert "bucket bucket at http://127.0.0.1:9 is out of reach" in what
    assert "AWS_ENDPOINT_URL" in remedy
    assert "hunter2" not in what + remedy


def test_the_command_ends_with_one_where_something_is_bad_and_speaks_json(clean, monkeypatch, capsys):
    monkeypatch.chdir(clean)
    monkeypatch.setenv("LAKE", "/proc/nowhere")
    assert command(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert [item["state"] for item in found["findings"] if item["what"].startswith("lake /proc/nowhere")] == ["bad"]
    assert command(["doctor"]) == 1
    assert "BAD  lake /proc/nowhere" in capsys.readouterr().out
    monkeypatch.setenv("LAKE", str(clean / "lake"))
    assert command(["doctor"]) == 0
