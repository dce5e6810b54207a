"""The notebooks run from top to bottom on the example shop, and are committed with what they show."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from shop import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
_MOST_BYTES = 200_000


def outputs(notebook: nbformat.NotebookNode) -> list[dict]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def kinds(notebook: nbformat.NotebookNode) -> set[str]:
    return {kind for output in outputs(notebook) for kind in output.get("data", {})}


@pytest.fixture(scope="module")
def lake(demo, tmp_path_factory) -> str:
    """A copy of the demo's lake: a notebook mends rows of it."""
    copy = tmp_path_factory.mktemp("notebooks") / "lake"
    shutil.copytree(demo[0], copy)
    return str(copy)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_from_top_to_bottom(file, lake, monkeypatch):
    monkeypatch.setenv("LAKE", lake)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.source = re.sub(r"^(!.*)$", r"\1\nassert _exit_code == 0", cell.source, flags=re.MULTILINE)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert kinds(notebook) == kinds(nbformat.read(file, as_version=4)), "it shows what is committed"


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_what_a_notebook_shows_is_committed_and_small(file):
    notebook = nbformat.read(file, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run from top to bottom"
    assert "image/png" in kinds(notebook)
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert file.stat().st_size < _MOST_BYTES
    assert "/tmp/" not in file.read_text()
    assert "/home/" not in file.read_text()


def test_there_are_four_and_each_is_named_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert [file.stem for file in NOTEBOOKS] == ["1_explore", "2_quality", "3_change_data", "4_streaming"]
    assert [file.name for file in NOTEBOOKS if file.name not in readme] == []
