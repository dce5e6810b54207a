"""From config to Plan: every name, option and reference checked, before Spark starts and before data is touched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from lakehouse.config.contract import Contract
from lakehouse.config.jobs import Job, load_job
from lakehouse.config.suite import Suite
from lakehouse.errors import ConfigError
from lakehouse.planning.binding import Binder
from lakehouse.planning.job_script import import_script
from lakehouse.planning.plan import Plan, Step
from lakehouse.planning.plan_checks import plan_problems
from lakehouse.redaction import without_secrets
from lakehouse.tables import Layout


def plan_job(file: Path, *, lake: str, env: str | None = None) -> Plan:
    """The plan of one YAML file; raises ConfigError with every problem that can be seen without Spark."""
    job = load_job(file, env=env, lake=lake)
    binder = Binder(job, import_script(job), list(job.problems))
    config = job.config
    source = binder.step("source", config.source, ("source",)) if ("source",) not in job.refused else None
    contract, lines = binder.contract()
    rules, transforms = binder.rules(contract, lines), binder.transforms(contract, lines)
    sinks = binder.sinks()
    suite = binder.suite()
    read = _read_mode(config.read, source, config.layer)
    if not binder.problems and source is not None:
        plan = Plan(
            job, Layout(lake), source, read, rules, transforms, sinks, contract, _fingerprint(job, contract, suite, lake),
            suite,
        )  # fmt: skip
        binder.problems += plan_problems(plan)
        if not binder.problems:
            return plan
    raise ConfigError(sorted(set(binder.problems)))


def _read_mode(asked: str | None, source: Step | None, layer: str) -> Literal["incremental", "full"]:
    incremental = source is not None and source.incremental is not None
    if asked is not None:
        return "incremental" if asked == "incremental" else "full"
    if source is not None and source.name == "delta" and layer == "gold":
        return "full"
    return "incremental" if incremental else "full"


def _fingerprint(job: Job, contract: Contract | None, suite: Suite | None, lake: str) -> str:
    """A digest of what the job does: its config, contract and suite, not where its lake lies."""
    content: dict[str, Any] = {
        "config": without_secrets(job.config.model_dump(mode="json")),
        "contract": contract.model_dump(mode="json") if contract else None,
    }
    if suite is not None:
        content["suite"] = suite.as_json
    text = json.dumps(content, sort_keys=True).replace(lake, "${LAKE}")
    return hashlib.sha256(text.encode()).hexdigest()[:16]
