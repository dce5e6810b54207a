"""What the commands on contracts print."""

from __future__ import annotations

from lakehouse.contracts.compatibility import Verdict


def verdict_text(verdict: Verdict) -> str:
    """Every difference in a line of its own, and what they come to."""
    if verdict.against is None:
        return f"{verdict.contract} {verdict.version}: new, there is no earlier version"
    numbers = f"{verdict.earlier_version} -> {verdict.version} ({verdict.compatibility}) against {verdict.against}"
    lines = [str(finding) for finding in verdict.findings]
    return "\n".join([*lines, f"{verdict.contract} {numbers}: {_summary(verdict)}"])


def _summary(verdict: Verdict) -> str:
    if not verdict.findings:
        return "nothing differs"
    differences = f"{len(verdict.findings)} difference{'' if len(verdict.findings) == 1 else 's'}"
    if not verdict.counted:
        return f"{differences}, compatible" + ("; raise the version" if verdict.silent else "")
    breaks = f"{verdict.counted} break{'s' if verdict.counted == 1 else ''} the promise"
    return f"{differences}, {breaks}, " + ("announced by a major version" if verdict.announced else "not announced")
