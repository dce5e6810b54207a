"""Whether a contract keeps what its earlier versions promised, and what it takes to break that honestly: a new major version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse.config.contract import Contract, contract_problems
from lakehouse.config.jobs import load_mapping
from lakehouse.config.yaml_files import Source
from lakehouse.contracts.affected_jobs import Affected, readers, users
from lakehouse.contracts.differences import BOTH, NOBODY, PRODUCERS, READERS, Difference, Party, differences
from lakehouse.contracts.earlier_versions import Earlier, earlier_versions
from lakehouse.contracts.versions import Version, version_of
from lakehouse.errors import ConfigError, Problem, counted
from lakehouse.planning.plan import Plan

_PROMISED = {"backward": PRODUCERS, "forward": READERS, "full": BOTH, "none": NOBODY}


@dataclass(frozen=True)
class Finding:
    """A difference at its place, the jobs that it breaks, and whether that is a break of what was promised."""

    place: Problem
    breaks: tuple[Party, ...]
    jobs: tuple[Affected, ...]
    counts: bool

    def __str__(self) -> str:
        """The difference in one line."""
        whom = f"breaks {' and '.join(self.breaks)}" if self.breaks else "breaks nobody"
        allowed = " (allowed)" if self.breaks and not self.counts else ""
        jobs = f": {', '.join(map(str, self.jobs))}" if self.jobs else ""
        return f"{self.place}; {whom}{allowed}{jobs}"


@dataclass(frozen=True)
class Verdict:
    """A contract against one earlier version of it; `against` is None where it has none."""

    contract: str
    version: str
    compatibility: str
    file: str
    against: str | None = None
    earlier_version: str | None = None
    findings: tuple[Finding, ...] = ()
    announced: bool = False
    refusal: Problem | None = None
    """Why it is refused: a break that no major version announces, or a version that goes back."""

    @property
    def silent(self) -> bool:
        """True where something differs under the same version."""
        return bool(self.findings) and self.version == self.earlier_version

    @property
    def counted(self) -> int:
        """How many differences break what was promised."""
        return sum(finding.counts for finding in self.findings)


@dataclass(frozen=True)
class Checked:
    """A contract against its earlier versions, and what the user should know beside."""

    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]


def check(file: Path, against: str, plans: Sequence[Plan]) -> Checked:
    """Holds a contract's file against an earlier version of it, or against all of them where its compatibility says so.

    Raises ConfigError where the file, or the version it is held against, is no contract.
    """
    contract, source = load_mapping(Contract, file)
    problems = [source.problem(path, message) for path, message in contract_problems(contract)]
    if problems:
        raise ConfigError(sorted(problems))
    version = _version(contract, source)
    every = contract.compatibility.endswith("_transitive")
    found = earlier_versions(file, against, every=every)
    name, said = file.stem, (contract, source)
    verdicts = [_verdict(name, said, version, earlier, plans) for earlier in found.versions]
    notes = [f"{name}: {note}" for note in found.notes]
    if isinstance(contract.version, float):
        message = f"version {contract.version} is a number to YAML, which reads 1.10 as 1.1; put it in quotes"
        notes.append(str(source.problem(("version",), message)))
    new = Verdict(name, str(contract.version), contract.compatibility, source.file)
    return Checked(tuple(verdicts or [new]), tuple(notes))


def _verdict(
    name: str, said: tuple[Contract, Source], version: Version, earlier: Earlier, plans: Sequence[Plan]
) -> Verdict:
    contract, source = said
    promised = _promised(contract) | _promised(earlier.contract)
    found = [(item, *_hit(item, name, plans)) for item in differences(earlier.contract, contract)]
    findings = tuple(
        Finding((earlier.source if item.gone else source).problem(item.path, item.message), tuple(sorted(breaks)), jobs,
                bool(breaks & promised) or bool(promised and item.missing and jobs))
        for item, breaks, jobs in found
    )  # fmt: skip
    verdict = Verdict(
        name,
        str(contract.version),
        contract.compatibility,
        source.file,
        earlier.label,
        str(earlier.contract.version),
        findings,
    )
    before = _version(earlier.contract, earlier.source)
    promise = " and ".join(dict.fromkeys((earlier.contract.compatibility, contract.compatibility)))
    said_wrong = _wrong_version(verdict, version, before, promise)
    refusal = source.problem(("version",), said_wrong) if said_wrong else None
    return replace(verdict, announced=bool(verdict.counted) and version.major > before.major, refusal=refusal)


def _promised(contract: Contract) -> frozenset[Party]:
    """Whom a version promises not to break; a break needs the promise of the earlier version or of the later one."""
    return _PROMISED[contract.compatibility.removesuffix("_transitive")]


def _hit(item: Difference, name: str, plans: Sequence[Plan]) -> tuple[frozenset[Party], tuple[Affected, ...]]:
    """Whom a difference breaks here: a job that mentions a missing column breaks, whether the column was required or not."""
    mention = readers(plans, name, item.columns) if item.columns and (item.missing or "readers" in item.breaks) else []
    breaks = item.breaks | READERS if item.missing and mention else item.breaks
    under = users(plans, name) if "producers" in breaks or ("readers" in breaks and not item.columns) else []
    jobs = {job.job: job for job in (*under, *mention)}
    return breaks, tuple(jobs.values())


def _wrong_version(verdict: Verdict, version: Version, before: Version, promise: str) -> str | None:
    """What is wrong with the new version's number."""
    numbers = f"{verdict.earlier_version} -> {verdict.version}"
    if version < before:
        return f"the version goes back: {numbers} (against {verdict.against})"
    if verdict.counted and version.major <= before.major:
        breaks = counted(verdict.counted, "difference breaks", "differences break")
        return (
            f"{breaks} what {promise} promises (against {verdict.against}, {numbers}); "
            f"take it back, or announce it by version {before.major + 1}.0.0"
        )
    return None


def _version(contract: Contract, source: Source) -> Version:
    try:
        return version_of(contract.version)
    except ValueError as error:
        raise ConfigError(source.problem(("version",), str(error))) from error
