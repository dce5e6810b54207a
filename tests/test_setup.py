"""What stands before the first job: set-up, its checks and repairs, spark-submit.sh, the class archive, the lock."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shop import seconds_of_programs

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv"
SETUP = "conf/spark/setup.sh"
SMALL_JAR = "org.roaringbitmap_shims-0.9.25.jar"


def run(root: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    for name in ("JAVA_HOME", "MASTER", "SPARK_SUBMIT_OPTS", "SPARK_DRIVER_MEMORY", "PYSPARK_PYTHON"):
        if name not in variables:
            environment.pop(name, None)
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


# set-up


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose environment is this one's, but for the JARs and a Python that refuses to run pip."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "conf", root / "conf")
    shutil.copy(ROOT / "pyproject.toml", root)
    pyspark = next(VENV.glob("lib/python3.*/site-packages/pyspark"))
    mirror = root / ".venv" / pyspark.relative_to(VENV)
    (mirror / "jars").mkdir(parents=True)
    for entry in pyspark.iterdir():
        if entry.name != "jars":
            (mirror / entry.name).symlink_to(entry)
    for jar in (pyspark / "jars").iterdir():
        (mirror / "jars" / jar.name).symlink_to(jar)
    refuse_pip = f'#!/bin/sh\ncase "$*" in *pip*) exit 1 ;; esac\nexec {VENV}/bin/python "$@"\n'
    for name in ("python", "python3"):
        program(root / ".venv/bin" / name, refuse_pip)
    for name in ("spark-submit", "spark-class", "load-spark-env.sh", "find-spark-home"):
        (root / ".venv/bin" / name).symlink_to(pyspark / "bin" / name)
    (root / ".venv/spark").mkdir()
    (root / ".venv/spark/packages").write_text(f"{root}/.venv {digest(root / 'conf/requirements.lock')}\n")
    (root / ".venv/spark/project").write_text(f"{digest(root / 'pyproject.toml')}\n")
    cache = tmp_path / "cache/lakehouse/jars"
    cache.mkdir(parents=True)
    for line in (root / "conf/spark/jars.txt").read_text().splitlines():
        group, artifact, version = line.split()[0].split(":")
        shutil.copy(pyspark / "jars" / f"{group}_{artifact}-{version}.jar", cache)
    made = set_up(root)
    assert made.returncode == 0, made
    return root


def set_up(root: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(root, SETUP, XDG_CACHE_HOME=str(root.parent / "cache"), LAKEHOUSE_ARCHIVE="0", **variables)


def jars(root: Path) -> Path:
    return next((root / ".venv").glob("lib/python3.*/site-packages/pyspark/jars"))


def damage(file: Path) -> None:
    content = file.read_bytes()
    file.unlink()  # it may be a link to the real one
    file.write_bytes(content[:500] + b"damaged" + content[507:])


def test_a_second_set_up_does_nothing_at_once(clone: Path) -> None:
    before = seconds_of_programs()
    again = set_up(clone)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert seconds_of_programs() - before < 2, "0.2 s, most of it checksums"


def test_a_damaged_jar_is_noticed_and_replaced_from_the_cache(clone: Path) -> None:
    good = digest(jars(clone) / SMALL_JAR)
    damage(jars(clone) / SMALL_JAR)
    repaired = set_up(clone)
    assert repaired.returncode == 0, repaired
    assert "fetch" not in repaired.stdout
    assert digest(jars(clone) / SMALL_JAR) == good


def test_a_jar_damaged_in_the_cache_too_is_fetched_again(clone: Path) -> None:
    good = digest(jars(clone) / SMALL_JAR)
    for folder in (jars(clone), clone.parent / "cache/lakehouse/jars"):
        damage(folder / SMALL_JAR)
    repaired = set_up(clone)
    assert repaired.returncode == 0, repaired
    assert "setup: JARs to fetch from Maven Central: 1\n" in repaired.stdout
    assert digest(jars(clone) / SMALL_JAR) == good


def test_a_jar_that_never_has_its_sha256_is_named(clone: Path) -> None:
    listed = clone / "conf/spark/jars.txt"
    right = digest(jars(clone) / SMALL_JAR)
    listed.write_text(listed.read_text().replace(right, "0" * 64))
    refused = set_up(clone)
    assert refused.returncode == 1
    assert refused.stdout.count("JARs to fetch from Maven Central: 1\n") == 3
    assert refused.stderr == f"setup: {SMALL_JAR}: not the sha256 of conf/spark/jars.txt, and fetched 3 times\n"


def test_a_jar_that_is_listed_no_more_leaves_the_class_path(clone: Path) -> None:
    listed = clone / "conf/spark/jars.txt"
    listed.write_text("".join(line for line in listed.read_text().splitlines(keepends=True) if "shims" not in line))
    assert set_up(clone).returncode == 0
    assert not (jars(clone) / SMALL_JAR).exists()
    assert (jars(clone) / "io.delta_delta-storage-4.4.0.jar").exists()


def test_what_a_killed_copy_left_is_finished(clone: Path) -> None:
    (jars(clone) / SMALL_JAR).rename(jars(clone) / f".{SMALL_JAR}.part")
    assert set_up(clone).returncode == 0
    assert (jars(clone) / SMALL_JAR).exists()
    assert not list(jars(clone).glob(".*.part"))


def test_two_set_ups_at_once_both_end_well(clone: Path) -> None:
    (jars(clone) / SMALL_JAR).unlink()
    variables = {**os.environ, "XDG_CACHE_HOME": str(clone.parent / "cache"), "LAKEHOUSE_ARCHIVE": "0"}
    both = [subprocess.Popen([clone / SETUP], env=variables, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (jars(clone) / SMALL_JAR).exists()


@pytest.mark.parametrize(
    ("version", "found"), [("25.0.1", "found Java 25 "), ("1.8.0_371", "found Java 8 "), ("11.0.2", "found Java 11 ")]
)
def test_a_java_that_spark_cannot_use_is_one_line_with_the_remedy(tmp_path: Path, version: str, found: str) -> None:
    program(tmp_path / "bin/java", f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    refused = run(ROOT, SETUP, JAVA_HOME=str(tmp_path))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1
    assert found in refused.stderr
    assert "apt-get install openjdk-17-jre-headless" in refused.stderr


def test_no_java_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    refused = run(ROOT, SETUP, PATH=str(tmp_path))
    assert refused.returncode == 2
    assert refused.stderr == "setup: found no Java, Spark needs 17 or 21: apt-get install openjdk-17-jre-headless\n"


# spark-submit.sh


@pytest.fixture
def submitted(tmp_path: Path) -> Path:
    """A project whose spark-submit says how it was called."""
    root = tmp_path / "project"
    shutil.copytree(ROOT / "lib/lakehouse", root / "lib/lakehouse")
    shutil.copy(ROOT / "spark-submit.sh", root)
    (root / ".venv/spark").mkdir(parents=True)
    (root / ".venv/lib/python3.11/site-packages/pyspark").mkdir(parents=True)
    (root / ".venv/spark/complete").touch()
    (root / ".venv/spark/jvm.options").write_text("-Xshare:auto -XX:+UseSerialGC -Dx=y\n")
    (root / ".venv/spark/jvm.short").write_text("-XX:TieredStopAtLevel=1\n")
    (root / ".venv/bin").mkdir()
    (root / ".venv/bin/python").symlink_to(VENV / "bin/python")
    say = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    program(root / ".venv/bin/spark-submit", f"#!/bin/sh\nexec {VENV}/bin/python -c '{say}' \"$@\"\n")
    return root


def submit(root: Path, *arguments: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    called = run(Path("/"), str(root / "spark-submit.sh"), *arguments, **variables)
    assert called.returncode == 0, called
    command, environment = json.loads(called.stdout)
    return command, environment


def test_without_an_environment_it_says_make_setup(submitted: Path) -> None:
    shutil.rmtree(submitted / ".venv")
    refused = run(Path("/"), str(submitted / "spark-submit.sh"), "x.py")
    assert refused.returncode == 2
    assert refused.stderr == f"spark-submit.sh: no environment in {submitted} yet: make setup\n"


def test_arguments_keep_their_place_on_both_sides_of_the_script(submitted: Path) -> None:
    before = ["--conf", "spark.x=a b", "--name=n", "-v", "--driver-memory", "3g"]
    after = ["--master", "yarn", "--py-files", "", "-x"]
    assert submit(submitted, *before, "x.py", *after)[0] == [*before, "x.py", *after]


def test_python_and_spark_are_the_environments(submitted: Path) -> None:
    _, environment = submit(
        submitted, "x.py", PYSPARK_PYTHON="/other", PYSPARK_DRIVER_PYTHON="jupyter", SPARK_HOME="/x"
    )
    python = str(submitted / ".venv/bin/python")
    assert (environment["PYSPARK_PYTHON"], environment["PYSPARK_DRIVER_PYTHON"]) == (python, python)
    assert environment["SPARK_HOME"] == str(submitted / ".venv/lib/python3.11/site-packages/pyspark")
    assert environment["PATH"].startswith(f"{submitted}/.venv/bin:")
    assert environment["SPARK_DRIVER_MEMORY"] == "2g"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--master", "spark://host:7077"],
        ["--master=spark://host:7077"],
        ["--conf", "spark.master=spark://host:7077"],
        ["-c", "spark.master=spark://host:7077"],
        ["--conf=spark.master=spark://host:7077", "--name", "local"],
    ],
)
def test_a_master_elsewhere_is_sent_the_package(submitted: Path, arguments: list[str]) -> None:
    command, environment = submit(submitted, *arguments, "x.py", PYSPARK_PYTHON="/there/python")
    package = submitted / ".venv/spark/lakehouse.zip"
    assert command == ["--py-files", str(package), *arguments, "x.py"]
    assert environment["PYSPARK_PYTHON"] == "/there/python"
    imported = run(
        Path("/"),
        str(VENV / "bin/python"),
        "-c",
        "import lakehouse; print(lakehouse.__file__)",
        PYTHONPATH=str(package),
    )
    assert imported.stdout.strip() == str(package / "lakehouse/__init__.py")


def test_a_master_in_the_environment_counts_and_files_of_ones_own_are_kept(submitted: Path) -> None:
    command, _ = submit(submitted, "--py-files", "a.py,b.zip", "x.py", MASTER="yarn")
    assert command == ["--py-files", f"a.py,b.zip,{submitted}/.venv/spark/lakehouse.zip", "x.py"]


@pytest.mark.parametrize("master", ["local", "local[*]", "local[2]"])
def test_a_local_master_is_sent_nothing(submitted: Path, master: str) -> None:
    assert submit(submitted, "--master", master, "x.py", "local")[0] == ["--master", master, "x.py", "local"]


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, "-Xshare:auto -XX:+UseSerialGC -Dx=y"),
        ({"LAKEHOUSE_SHORT_JOB": "1"}, "-Xshare:auto -XX:+UseSerialGC -Dx=y -XX:TieredStopAtLevel=1"),
        ({"SPARK_SUBMIT_OPTS": "-Dmine"}, "-Dmine"),
    ],
)
def test_the_jvm_gets_set_ups_flags_unless_the_user_has_some(
    submitted: Path, variables: dict[str, str], options: str
) -> None:
    assert submit(submitted, "x.py", **variables)[1]["SPARK_SUBMIT_OPTS"] == options


def test_a_collector_of_the_users_replaces_ours(submitted: Path) -> None:
    _, environment = submit(submitted, "--driver-java-options", "-XX:+UseG1GC", "x.py")
    assert environment["SPARK_SUBMIT_OPTS"] == "-Xshare:auto  -Dx=y"


# the class archive

LOADED_CLASSES = """
import os, sys
os.environ.get("PYSPARK_GATEWAY_PORT") or os.environ.update(SPARK_SUBMIT_OPTS=sys.argv[1])
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.range(3).count()
spark.stop()
"""


@pytest.mark.parametrize("start", ["python", "spark-submit.sh"])
def test_both_ways_of_starting_a_job_take_their_classes_from_the_archive(tmp_path: Path, start: str) -> None:
    program(tmp_path / "job.py", LOADED_CLASSES)
    options = f"{(VENV / 'spark/jvm.options').read_text().strip()} -Xlog:class+load:file={tmp_path}/classes"
    starter = str(VENV / "bin/python" if start == "python" else ROOT / start)
    ran = run(tmp_path, starter, str(tmp_path / "job.py"), options, SPARK_SUBMIT_OPTS=options)
    assert ran.returncode == 0, ran
    assert (tmp_path / "classes").read_text().count("shared objects file (top)") > 5000


def test_an_archive_that_does_not_fit_is_left_out_in_silence(tmp_path: Path) -> None:
    program(tmp_path / "job.py", LOADED_CLASSES)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/a").touch()  # a folder with a file on the class path makes the archive useless
    options = (VENV / "spark/jvm.options").read_text().strip()
    python = str(VENV / "bin/python")
    ran = run(tmp_path, python, str(tmp_path / "job.py"), options, SPARK_CONF_DIR=str(tmp_path / "conf"))
    assert (ran.returncode, ran.stdout) == (0, "")
    told = [line for line in ran.stderr.splitlines() if re.search(r"(?i)\bshared\b|archive|\[cds|\.jsa", line)]
    assert told == [], "Java says nothing of it; what else the machine makes Spark say is not this test's"


# the lock


def test_the_lock_pins_every_package_with_hashes_and_names_no_index() -> None:
    text = (ROOT / "conf/requirements.lock").read_text()
    requirements = text.replace("\\\n", " ").splitlines()
    assert len(requirements) > 50
    assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == []
    assert "://" not in text
    assert "index" not in text.replace("--hash", "")
