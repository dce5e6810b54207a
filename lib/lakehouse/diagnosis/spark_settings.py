"""What a shell says to Spark behind a job's back: settings' files, another Spark, a class archive that fits no more."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from lakehouse.diagnosis.finding import Finding, found
from lakehouse.session import jvm_options


def settings_files() -> Iterator[Finding]:
    """Folders on Spark's class path, and settings that every job would have."""
    import pyspark

    named = os.environ.get("SPARK_CONF_DIR")
    own = Path(pyspark.__file__).parent / "conf"
    folder = Path(named) if named else own
    said = f"SPARK_CONF_DIR={named}" if named else f"{own}"
    inside = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    remedy = "unset SPARK_CONF_DIR" if named else f"rm -r {own}"
    if "spark-defaults.conf" in inside:
        keys = _keys(folder / "spark-defaults.conf")
        why = f"{remedy}: every job would have {', '.join(keys) or 'them'}; put them under the job's `spark:`, or give --conf"
        yield Finding(f"{said} holds a spark-defaults.conf", "bad", why)
    elif inside:
        yield Finding(
            f"{said} holds files", "warn", f"{remedy}: with files on the class path the class archive is not used"
        )
    else:
        yield Finding("no settings of another Spark (SPARK_CONF_DIR, spark-defaults.conf)")


def submit() -> Iterator[Finding]:
    """The `spark-submit` that a shell would start, and the Python and the Spark that it would find."""
    import pyspark

    home, own = Path(pyspark.__file__).parent, Path(sys.prefix) / "bin"
    program, python = shutil.which("spark-submit"), shutil.which("python3")
    activate = f"source {own / 'activate'}, or use ./spark-submit.sh"
    if program is None:
        yield Finding("spark-submit is not on the PATH; ./spark-submit.sh finds its own")
    else:
        yield found(
            f"spark-submit is {program}",
            Path(program).parent.resolve() == own.resolve(),
            f"it is another Spark's: {activate}",
        )
        if Path(program).parent.resolve() == own.resolve():
            same = python is not None and Path(python).parent.resolve() == own.resolve()
            yield found(f"python3 is {python}", same, f"spark-submit finds its Spark through it: {activate}")
    other = os.environ.get("SPARK_HOME")
    if other and Path(other).resolve() != home.resolve():
        yield Finding(f"SPARK_HOME={other} is another Spark", "bad", "unset SPARK_HOME")


def archive() -> Iterator[Finding]:
    """The class archive: there, and as long as set-up left it. Java ends with a crash on one that was cut."""
    matched = re.search(r"SharedArchiveFile=([^\"\s]+)", jvm_options())
    file = Path(matched[1]) if matched else None
    if file is None or not file.exists():
        yield Finding("no class archive (jobs start sooner with it)", "warn", "make setup makes it")
        return
    noted = file.with_name("archive")
    size = noted.read_text(encoding="utf-8").split()[-1:] if noted.exists() else []
    whole = size == [str(file.stat().st_size)]
    remedy = f"rm {file}, then make setup: Java crashes on an archive that was cut"
    yield found(f"class archive {file} is {'whole' if whole else 'not as set-up left it'}", whole, remedy)


def _keys(file: Path) -> list[str]:
    """The settings that a file names; their values may be secrets."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [re.split(r"[\s=]+", line)[0] for line in lines if line and not line.startswith("#")]
