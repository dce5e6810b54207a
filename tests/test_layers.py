"""The picture of the house as a test: who may import whom, what is exported, how large things may be."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lakehouse
from lakehouse import registry
from lakehouse.planning.planner import plan_job

ROOT = Path(__file__).parents[1]
LIB = ROOT / "lib" / "lakehouse"

# A unit (a module, or a package as a whole) imports from lower layers alone.
LAYERS = {
    -1: "redaction",
    0: "errors holding html_pages log measures sample_data sql_text tables",
    1: "column_types frames interrupts observations outages refusals registry spark_errors storage terminal",
    2: "commits config copying csv_files ending event_time history intervals key_ranges lease parquet_times quality raw_rows row_copies rules runs session table_checks table_layout text_files",
    3: "typed_files batch_log cdc_formats conform databases diagnosis expectations kafka lake landing profiling rule_results table_log transforms upserts",
    4: "new_files planning row_places sources targets",
    5: "change_data contracts quarantine reports",
    6: "batches quarantine_decisions sinks",
    7: "personal pipeline run_report suites",
    8: "api",
    9: "display testing",
    10: "commands",
    11: "cli",
    12: "__init__",
}
LAYER = {unit: layer for layer, units in LAYERS.items() for unit in units.split()}
SPARK_FREE = (
    "api cli commands.jobs config.jobs planning.graph planning.job_schema planning.planner registry reports runs session "
    "sql_text storage tables"
)
ONLY_IMPORTERS = {
    "delta": {"lake"},
    "boto3": {"storage"},
    "botocore": {"storage"},
    "great_expectations": {"expectations"},
}


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for file in sorted(LIB.rglob("*.py")):
        yield file.relative_to(LIB).parts[0].removesuffix(".py"), file, ast.parse(file.read_text())


def imported_units(tree: ast.Module) -> set[str]:
    """Every unit of the product that a module imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module == "lakehouse":
            names = [alias.name if alias.name in LAYER else "__init__" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lakehouse."):
            names = [node.module.split(".")[1]]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lakehouse.")]
            names += ["__init__" for alias in node.names if alias.name == "lakehouse"]
        found.update(names)
    return found


def imported_packages(tree: ast.Module) -> set[str]:
    nodes = list(ast.walk(tree))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in names}


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd="/")


def test_every_module_has_its_layer():
    assert {unit for unit, _, _ in modules()} == set(LAYER)


@pytest.mark.parametrize("unit", sorted(LAYER))
def test_a_module_imports_only_from_lower_layers(unit):
    wrong = [
        f"{file.relative_to(LIB)} (layer {LAYER[unit]}) imports {other} (layer {LAYER[other]})"
        for owner, file, tree in modules()
        if owner == unit
        for other in sorted(imported_units(tree) - {unit})
        if LAYER[other] >= LAYER[unit]
    ]
    assert not wrong


def test_a_function_of_one_word_imports_no_other_word():
    """A source, rule, transform or sink is one file: what two share lies in a lower layer."""
    wrong = []
    for unit, file, tree in modules():
        if unit in ("sources", "rules", "transforms", "sinks"):
            own = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
            wrong += [f"{file.name}: {name}" for name in own if name.startswith(f"lakehouse.{unit}.")]
    assert not wrong


def test_delta_and_boto3_have_one_importer_each():
    found: dict[str, set[str]] = {name: set() for name in ONLY_IMPORTERS}
    for unit, _, tree in modules():
        for name in imported_packages(tree) & set(found):
            found[name].add(unit)
    assert found == ONLY_IMPORTERS


def test_session_is_the_only_maker_of_a_session():
    makers = {unit for unit, file, _ in modules() if "SparkSession.builder" in file.read_text()}
    assert makers == {"session"}


def test_the_exported_names_are_few_sorted_and_there():
    assert lakehouse.__all__ == sorted(lakehouse.__all__)
    assert len(lakehouse.__all__) <= 15
    assert set(lakehouse.__all__) >= {
        "get_spark",
        "run",
        "read_table",
        "rule",
        "set_rule",
        "transform",
        "source",
        "sink",
        "main",
    }
    for name in lakehouse.__all__:
        assert getattr(lakehouse, name).__doc__, name


def test_no_module_and_no_test_file_gives_two_functions_one_name():
    for file in [*LIB.rglob("*.py"), *Path(__file__).parent.rglob("*.py")]:
        names = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
        assert [name for name in set(names) if names.count(name) > 1] == [], file


def test_importing_starts_nothing_prints_nothing_and_waits_for_no_spark():
    done = python(
        "import sys, threading, lakehouse\n"
        "assert threading.active_count() == 1\n"
        "assert not {'pyspark', 'pyarrow', 'delta', 'boto3', 'deltalake'} & set(sys.modules), sorted(sys.modules)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_a_plan_needs_is_imported_without_spark():
    names = ", ".join(f"lakehouse.{unit}" for unit in SPARK_FREE.split())
    done = python(f"import sys, {names}\nassert 'pyspark' not in sys.modules")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "folder", [ROOT, ROOT / "examples" / "retail", ROOT / "examples" / "streams"], ids=["shop", "retail", "streams"]
)
def test_every_script_has_a_job_that_plans_and_every_job_its_script(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ONLINE_RETAIL_DIR", str(tmp_path))
    scripts = {file.stem: file for file in (folder / "jobs").glob("*.py")}
    jobs = {file.stem: file for file in (folder / "conf").glob("*.yml")}
    assert scripts.keys() == jobs.keys()
    assert scripts
    for name, file in jobs.items():
        assert plan_job(file, lake=str(tmp_path)).name == name
        assert len(scripts[name].read_text().splitlines()) <= 15, f"{name}.py is no place for logic"


def test_planning_needs_no_spark_session():
    done = python(
        "from pathlib import Path\nfrom lakehouse.planning.planner import plan_job\n"
        f"for file in Path({str(ROOT / 'conf')!r}).glob('*.yml'): plan_job(file, lake='/nowhere')\n"
        "from pyspark import SparkContext\nassert SparkContext._gateway is None"
    )
    assert (done.returncode, done.stderr) == (0, "")


def words() -> list[registry.Registered]:
    return [entry for kind in registry.KINDS for entry in registry.known(kind)]


@pytest.mark.parametrize("entry", words(), ids=lambda entry: f"{entry.kind} {entry.name}")
def test_every_word_has_a_sentence_typed_options_and_a_file_of_its_own(entry):
    first = entry.summary
    assert first.endswith("."), first
    assert 10 < len(first) <= 140, first
    assert Path(inspect.getfile(entry.function)).stem == entry.name.rstrip("_")
    for name in entry.options.model_fields:
        assert not name.removeprefix("option_").startswith("_")


def test_the_words_of_the_spec_are_there():
    found = {kind: {entry.name for entry in registry.known(kind)} for kind in registry.KINDS}
    assert found["source"] >= {"files", "delta", "jdbc", "sql", "rows"}
    assert found["rule"] >= {"not_null", "accepted_values", "in_range", "matches", "length", "expr", "not_in_future"}
    assert found["transform"] >= {
        "select",
        "rename",
        "drop",
        "cast",
        "derive",
        "filter",
        "trim",
        "fill_nulls",
        "keep_latest",
        "deduplicate",
        "join",
        "lookup",
        "union",
        "explode",
        "flatten",
        "aggregate",
        "surrogate_key",
        "sql",
    }
    assert found["rule"] >= {
        "email", "uuid", "iso_date", "url", "phone", "one_of_columns_set", "columns_equal", "columns_ordered", "digits",
        "starts_with", "not_blank", "no_outer_blanks", "valid_json", "json_has", "sum_of_columns",
    }  # fmt: skip
    assert found["set_rule"] >= {
        "unique", "foreign_key", "outliers", "reconcile", "row_count", "aggregate", "freshness", "completeness",
        "distinct_count", "drift",
    }  # fmt: skip
    assert found["sink"] >= {"append", "overwrite", "merge", "files", "jdbc"}


def test_a_module_says_in_a_sentence_what_it_owns():
    silent = [str(file.relative_to(LIB)) for _, file, tree in modules() if not ast.get_docstring(tree)]
    assert not silent


def test_files_are_short():
    long = {str(file.relative_to(LIB)) for _, file, _ in modules() if len(file.read_text().splitlines()) > 300}
    assert not long


def body_lines(function: ast.FunctionDef) -> int:
    """From the first statement after the docstring to the last line."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    long = {
        f"{file.relative_to(LIB)}:{node.name}"
        for _, file, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and body_lines(node) > 25
    }
    assert not long
