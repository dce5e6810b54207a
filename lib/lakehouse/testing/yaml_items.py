"""YAML tests as pytest sees them: a file is collected, each test of it an item for each way in which the job is run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.config.job_tests import JobTest, JobTestFile, Way, load_job_tests, way_name
from lakehouse.config.project_files import find_job, project_root
from lakehouse.config.yaml_files import shown
from lakehouse.errors import LakehouseError
from lakehouse.session import get_spark
from lakehouse.testing.differences import Different
from lakehouse.testing.judging import expectation_of, failures
from lakehouse.testing.recording import record
from lakehouse.testing.running import Found, place_for, run_test


class JobTestsInYaml(pytest.File):
    """`tests/jobs/<job>.yml`."""

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each test and way; `--record` takes one way, what it finds holds for all."""
        tests = load_job_tests(self.path)
        recording = self.config.getoption("--record")
        for index, test in enumerate(tests.tests):
            for way in test.ways[:1] if recording else test.ways:
                name = test.name if len(test.ways) == 1 else f"{test.name} [{way_name(way)}]"
                yield JobTestItem.from_parent(self, name=name, tests=tests, index=index, way=way)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What is wrong with the file, a line a problem."""
        return str(excinfo.value) if isinstance(excinfo.value, LakehouseError) else super().repr_failure(excinfo)


class JobTestItem(pytest.Item):
    """One test of a job, run in one way."""

    def __init__(self, *, tests: JobTestFile, index: int, way: Way, **more: Any) -> None:
        super().__init__(**more)
        self.tests, self.index, self.way = tests, index, way

    @property
    def test(self) -> JobTest:
        """What the YAML says."""
        return self.tests.tests[self.index]

    def runtest(self) -> None:
        """Runs the job in a lake of its own, and raises Different with all that is not as expected."""
        job = find_job(self.tests.job, self.path.parent)
        with tempfile.TemporaryDirectory(prefix="lakehouse-test-") as folder:
            place_for(project_root(job), Path(folder))
            found = run_test(self.test, self.way, Path(folder) / "conf" / job.name, self.tests.env, get_spark("tests"))
            self._judge(found)

    def _judge(self, found: Found) -> None:
        said = failures(self.test, ("tests", self.index), self.tests.source, found)
        if said and self.config.getoption("--record"):
            record(self.path, self.index, expectation_of(self.test, found))
            reporter = self.config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"recorded {shown(self.path)}: {self.test.name}")
        elif said:
            raise Different("\n\n".join(said))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The differences alone, or what the job said: no trace, which would show the product's own code."""
        if isinstance(excinfo.value, Different | LakehouseError):
            place = f"{self.tests.source.problem(('tests', self.index), self.test.name)}"
            said = str(excinfo.value)
            return said if said.startswith(shown(self.path)) else f"{place}: {said}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the test stands."""
        line = self.tests.source.problem(("tests", self.index), "").line
        return self.path, line - 1, self.name
