"""What the commands on contracts print."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.contracts.compatibility import Verdict
from lakehouse.contracts.freshness import Freshness, age_text
from lakehouse.errors import counted
from lakehouse.reports import table


def verdict_text(verdict: Verdict) -> str:
    """Every difference in a line of its own, and what they come to."""
    if verdict.against is None:
        return f"{verdict.contract} {verdict.version}: new, there is no earlier version"
    numbers = f"{verdict.earlier_version} -> {verdict.version} ({verdict.compatibility}) against {verdict.against}"
    lines = [str(finding) for finding in verdict.findings]
    return "\n".join([*lines, f"{verdict.contract} {numbers}: {_summary(verdict)}"])


def status_table(found: Sequence[Freshness]) -> str:
    """A row a table under a contract."""
    rows = [
        [item.contract, item.version, item.table, item.written_by or "-", item.owner or "-", item.promised or "-",
         item.measured_by if item.promised else "-", age_text(item.age) if item.age is not None else "-", item.state]
        for item in found
    ]  # fmt: skip
    return table(
        ["contract", "version", "table", "written by", "owner", "promised", "measured by", "age", "state"], rows
    )


def _summary(verdict: Verdict) -> str:
    if not verdict.findings:
        return "nothing differs"
    differences = counted(len(verdict.findings), "difference")
    if not verdict.counted:
        return f"{differences}, compatible" + ("; raise the version" if verdict.silent else "")
    breaks = f"{verdict.counted} break{'s' if verdict.counted == 1 else ''} the promise"
    return f"{differences}, {breaks}, " + ("announced by a major version" if verdict.announced else "not announced")
