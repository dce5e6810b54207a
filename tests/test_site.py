"""The site builds without a warning, and what it takes from the code is what the code says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.errors import ConfigError
from lakehouse.planning.planner import plan_job
from shop import ROOT

DOCS = ROOT / "docs"
sys.path.append(str(DOCS))

import messages  # noqa: E402  (docs/ is no package)
import pages  # noqa: E402

FENCE = re.compile(
    r"(?P<before>^[^\n]*\n)^```(?P<kind>[\w{}-]*)(?P<rest>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)
# What says nothing of its own: the texts come from elsewhere in the code, and are found there.
WITHOUT_TEXT = {
    "api", "cli", "config.yaml_text", "contracts.compatibility", "databases.target_columns", "pipeline.micro_batches",
    "planning.planner", "planning.shared_tables", "quarantine_decisions",
}  # fmt: skip
# Symptoms that other programs print, or that are none of words.
_OTHERS = (
    "found no Java",
    "/bin/spark-class",
    "make setup",
    "DELTA_CREATE_TABLE",
    "_rescued_data",
    "spark.jars",
    "deltalake",
)


def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-d", tmp_path / "trees", DOCS, tmp_path / "site"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    built = {file.stem for file in (tmp_path / "site").glob("*.html")}
    assert {file.stem for file in DOCS.glob("*.md")} <= built


def test_the_reference_is_what_the_code_says():
    assert (DOCS / "reference.md").read_text() == pages.reference(), "run `make docs` and commit what it writes"


def test_every_message_is_on_the_page():
    page = (DOCS / "troubleshooting.md").read_text()
    missing = [message.text for message in messages.messages() if pages.shown(message.text) not in page]
    assert not missing, "run `make docs` and commit what it writes"
    assert page == pages.troubleshooting(page), "run `make docs` and commit what it writes"


def test_no_raise_hides_what_it_says():
    silent = set()
    for file in sorted(messages.LIB.rglob("*.py")):
        name = ".".join(part for part in file.relative_to(messages.LIB).with_suffix("").parts if part != "__init__")
        here = messages.module(name) if name else None
        for node in ast.walk(here.tree) if here else ():
            if (
                isinstance(node, ast.Raise)
                and isinstance(node.exc, ast.Call)
                and not list(messages.said_at(node, here))
            ):
                silent.add(name)
    assert silent <= WITHOUT_TEXT


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("layer: silver\nsource:\n  rows: {schema: id int, rows: []}\n", "a job has either 'sink' or 'sinks'"),
        ("layer: silver\nlayer: gold\n", "'…' is here twice; the first is on line …"),
        ("layer: silver\nsource:\n  delta: {table: a.b}\nrules:\n  - in_rang: {column: x}\nsink:\n  append: {table: a.c}\n", "there is no … '…'.…"),
    ],
)  # fmt: skip
def test_what_is_printed_is_a_message_of_the_page(text, template, tmp_path):
    file = tmp_path / "conf" / "job.yml"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        plan_job(file, lake=str(tmp_path))
    pattern = re.escape(template).replace("…", ".*")
    assert [problem for problem in raised.value.problems if re.fullmatch(pattern, problem.message)], str(raised.value)
    assert template in {message.text for message in messages.messages()}


def test_each_symptom_is_one_that_the_product_prints():
    page = (DOCS / "troubleshooting.md").read_text().partition("## Every message")[0]
    known = {message.text for message in messages.messages()}
    symptoms = re.findall(r"^\| (``.*?``|`[^`]*`) \|", page, re.MULTILINE)
    stripped = [symptom.strip("` ").strip() for symptom in symptoms]
    wrong = [text for text in stripped if text not in known and not text.startswith(_OTHERS)]
    assert not wrong
    assert len(stripped) >= 40


def pages_of_docs() -> list[Path]:
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def sections(text: str) -> list[str]:
    """As tests/test_docs.py cuts a page."""
    return re.split(r"^#+ (?!conf/|jobs/)", text, flags=re.MULTILINE)


@pytest.mark.parametrize("file", pages_of_docs(), ids=lambda file: file.stem)
def test_every_block_is_run_or_says_why_not(file):
    """tests/test_docs.py runs whole sections that have a job in them, tests/test_readme.py the README."""
    silent = []
    for section in sections(file.read_text()):
        runs = file.stem == "README" or "```yaml" in section
        for block in FENCE.finditer(section):
            is_code = block["kind"] not in ("text", "{toctree}")
            says_why = re.match(r"<!-- not run: .{10,} -->", block["before"])
            if is_code and not runs and not says_why:
                silent.append(block["text"][:60])
    assert not silent


def test_the_comparison_says_when_it_was_made():
    text = (DOCS / "comparison.md").read_text()
    assert "2026-11" in text
    for name in (
        "lakehouse-engine",
        "sdp-meta",
        "Spark Declarative Pipelines",
        "Starlake",
        "dbt-spark",
        "Hudi Streamer",
    ):
        assert name in text


def test_what_the_readme_shows_beside_its_examples_plans(tmp_path, monkeypatch):
    """Its first three YAML blocks are run by tests/test_readme.py."""
    for name in ("SHOP_DB", "SHOP_DB_PASSWORD"):
        monkeypatch.setenv(name, "jdbc:postgresql://host:5432/shop" if name == "SHOP_DB" else "x")
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[3:]
    for number, block in enumerate(blocks):
        file = tmp_path / "conf" / f"job_{number}.yml"
        file.parent.mkdir(exist_ok=True)
        rest = {"layer": "layer: bronze\n", "sink": "sink:\n  append: {table: bronze.shown}\n"}
        file.write_text(block + "".join(text for key, text in rest.items() if f"{key}:" not in block))
        assert plan_job(file, lake=str(tmp_path)).sinks
    assert blocks
