"""Great Expectations itself: a suite judged on a frame, its results kept, and Data Docs of them. Nobody else imports it."""

from __future__ import annotations

import importlib.util
import json
import logging
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.config.suite import Expectation, Suite
from lakehouse.errors import ConfigError, Problem, did_you_mean
from lakehouse.storage import folders, list_files, read_text
from lakehouse.tables import Layout

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MISSING = "Great Expectations is not installed: pip install '.[expectations]' (`make setup` does it)"
_ONE_AT_A_TIME = threading.Lock()  # Great Expectations keeps the project in hand in a global of its own
_VIEW = "tmp_view"  # what it calls the batch in queries
_VALUES = ("partial_unexpected_list", "partial_unexpected_counts", "partial_unexpected_index_list", "unexpected_list",
           "unexpected_index_list", "observed_value", "details")  # fmt: skip


@dataclass(frozen=True)
class Unmet:
    """An expectation that does not hold: `said` tells which and of how many rows, never a value."""

    expectation: Expectation
    said: str


@dataclass(frozen=True)
class Judged:
    """What a suite says of a frame: how many expectations there were, which do not hold, and all of it as JSON."""

    asked: int
    unmet: tuple[Unmet, ...]
    results: dict[str, Any]


def is_installed() -> bool:
    """True where the extra is there; imports nothing."""
    return importlib.util.find_spec("great_expectations") is not None


def suite_problems(suite: Suite, columns: Collection[str]) -> list[Problem]:
    """What Great Expectations would not take of a suite, and the columns of it that the frame does not have."""
    problems = [problem for item in suite.expectations for problem in _problems(suite, item, columns)]
    return problems if is_installed() else [suite.problem(0, MISSING)]


def judge(rows: DataFrame, suite: Suite, personal: Collection[str] = (), *, samples: int = 20) -> Judged:
    """The suite's verdict on the rows, which are read several times: hand in a frame that is held.

    The results hold `samples` of the unexpected values, but none of an expectation that reads a `personal` column.
    """
    with _quiet():
        from great_expectations import ExpectationSuite

        context, asked = _context({}), {"result_format": "SUMMARY", "partial_unexpected_count": samples}
        source = context.data_sources.add_spark("lakehouse", persist=False)
        # its own choice is the first session of the process, which does not see this frame's views and settings
        source.get_execution_engine().spark = rows.sparkSession
        asset = source.add_dataframe_asset(suite.name)
        batch = asset.add_batch_definition_whole_dataframe("batch").get_batch({"dataframe": rows})
        found = batch.validate(ExpectationSuite(**suite.as_json), result_format=asked)
        rows.sparkSession.catalog.dropTempView(_VIEW)
    results = [_without_values(item.to_json_dict(), personal) for item in found.results]
    said = {**found.to_json_dict(), "results": results}
    unmet = [_unmet(item) for item in results if not item["success"]]
    return Judged(len(results), tuple(unmet), said)


def build_docs(layout: Layout, to: Path) -> tuple[str, int]:
    """Data Docs as a site of files from all results kept in a lake: where its first page is, and of how many results.

    Raises ConfigError where there are none, or Great Expectations is not installed.
    """
    if not is_installed():
        raise ConfigError(MISSING)
    kept = [file.path for job in folders(layout.expectations()) for file in list_files(layout.expectations(job))]
    if not kept:
        raise ConfigError(f"no results in {layout.expectations()} yet: a job with 'expectations:' leaves them there")
    folder = to.absolute()
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    with _quiet():
        context = _context({"lakehouse": site})
        for path in kept:
            _add_result(context, json.loads(read_text(path) or "{}"))
        context.build_data_docs(["lakehouse"])
    return str(folder / "index.html"), len(kept)


def kept_result(judged: Judged, suite: Suite, job: str, run_id: str, batch: int, at: datetime) -> str:
    """What is kept of a verdict, as the JSON text that Data Docs are built from."""
    told = {"job": job, "run_id": run_id, "batch": batch, "at": at.isoformat(), "suite": suite.as_json}
    return json.dumps({**told, "result": judged.results}, indent=1, default=str)


def _context(sites: Mapping[str, Any]) -> Any:
    """A project in memory with these sites of Data Docs: no file, no statistics sent, no progress bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites=dict(sites), analytics_enabled=False, progress_bars=ProgressBarsConfig(globally=False),
    )  # fmt: skip
    return gx.get_context(mode="ephemeral", project_config=config)


@contextmanager
def _quiet() -> Iterator[None]:
    """One caller at a time; what Great Expectations logs is not for the user: it is in the results."""
    with _ONE_AT_A_TIME:
        logger = logging.getLogger("great_expectations")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield


def _problems(suite: Suite, item: Expectation, columns: Collection[str]) -> Iterator[Problem]:
    for name in item.columns:
        if name not in columns:
            yield suite.problem(item.line, f"{item.said}: no column '{name}'.{did_you_mean(name, columns)}")
    query = item.kwargs.get("unexpected_rows_query")
    if isinstance(query, str) and "{batch}" not in query:
        yield suite.problem(item.line, f"{item.type}: its query does not read {{batch}}, the rows about to be written")
    if is_installed():
        with _quiet():
            said = _refused(item)
        if said is not None:
            yield suite.problem(item.line, f"{item.type}: {said}")


def _refused(item: Expectation) -> str | None:
    """Why Great Expectations does not take an expectation; a suite would leave some of these out without a word."""
    if (
        isinstance(item.kwargs.get("unexpected_rows_query"), str)
        and "{batch}" not in item.kwargs["unexpected_rows_query"]
    ):
        return None  # said already, and it would print its own opinion
    from great_expectations.exceptions import exceptions
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        ExpectationConfiguration(**item.as_json()).to_domain_obj()
    except (exceptions.GreatExpectationsError, ValueError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return "; ".join(lines[1:3] or lines[:1]) or type(error).__name__
    return None


def _unmet(result: Mapping[str, Any]) -> Unmet:
    config, found = result["expectation_config"], result.get("result") or {}
    item = Expectation(config["type"], config["kwargs"], severity=config.get("severity") or "critical")
    if "unexpected_count" in found:
        return Unmet(item, f"{item.said} ({found['unexpected_count']} of {found['element_count']} rows)")
    raised = "exception_message" in json.dumps(result.get("exception_info")) and not found
    return Unmet(item, f"{item.said} (cannot be judged: the results say why)" if raised else item.said)


def _without_values(result: dict[str, Any], personal: Collection[str]) -> dict[str, Any]:
    """A result without traces of the program, and without values where it speaks of a personal column."""
    said = json.dumps(result["expectation_config"]["kwargs"])
    hides = any(json.dumps(name)[1:-1] in said for name in personal)
    found = {key: value for key, value in result.get("result", {}).items() if not (hides and key in _VALUES)}
    return {**result, "result": found, "exception_info": _without_traces(result.get("exception_info"), hides)}


def _without_traces(info: Any, hides: bool) -> Any:
    if not isinstance(info, dict):
        return info
    if "raised_exception" not in info:
        return {key: _without_traces(value, hides) for key, value in info.items()}
    message = info.get("exception_message")
    told = "***" if hides and message else str(message).split("\n")[0] if message else None
    return {**info, "exception_traceback": None, "exception_message": told}


def _add_result(context: Any, kept: Mapping[str, Any]) -> None:
    """Puts a kept result, and the suite that it was, into a project."""
    from great_expectations import ExpectationSuite
    from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    result = expectationSuiteValidationResultSchema.load(kept["result"])
    name = str(kept["suite"]["name"])
    run = RunIdentifier(run_name=kept["run_id"], run_time=datetime.fromisoformat(kept["at"]))
    identity = ValidationResultIdentifier(ExpectationSuiteIdentifier(name), run, f"{kept['job']}-{kept['batch']}")
    context.validation_results_store.set(identity, result)
    context.suites.add_or_update(ExpectationSuite(**kept["suite"]))
