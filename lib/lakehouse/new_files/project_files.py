"""The files of a new project beside its jobs: a little data, Makefile, CI, editor settings, README."""

from __future__ import annotations

import json

from lakehouse.new_files.job_files import SCHEMAS

DATA = "data/orders/orders_2026-01-01.csv"

_ORDERS = """\
order_id,customer_email,status,amount,ordered_at,updated_at
A1,ada@example.org,paid,12.50,2026-01-01 08:00:00,2026-01-01 08:05:00
A2,bob@example.org,created,20.00,2026-01-01 09:00:00,2026-01-01 09:00:00
A1,ada@example.org,shipped,12.50,2026-01-01 08:00:00,2026-01-02 07:30:00
A3,eve@example.org,paid,7.95,2026-01-01 10:00:00,2026-01-01 10:02:00
A2,bob@example.org,paid,20.00,2026-01-01 09:00:00,2026-01-01 09:30:00
"""
_MAKEFILE = """\
.DEFAULT_GOAL := help
.PHONY: help run test check

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## every job, in the order of what they read and write
	@lakehouse run --all

test: ## every test
	@lakehouse test

check: ## names, options and types of every job, in a second
	@lakehouse plan --no-spark $(notdir $(basename $(wildcard conf/*.yml)))
"""
_CI = """\
name: test
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-java@v4
        with: {distribution: temurin, java-version: "17"}
      - uses: actions/setup-python@v5
        with: {python-version: "3.11", cache: pip}
      - run: pip install -r requirements.txt
      - run: lakehouse doctor
      - run: make check test
"""
_IGNORED = """\
lake/
.venv/
spark-warehouse/
metastore_db/
derby.log
__pycache__/
.pytest_cache/
"""
_README = """\
# {name}

A lakehouse of [jobs](conf), each one YAML file, with its [contract](conf/contracts), its [script](jobs) and its [test](tests/jobs).

```console
$ lakehouse run --all           # data/orders -> bronze.orders -> silver.orders, in lake/
$ lakehouse test                # the tests of the jobs
$ lakehouse quarantine list     # rows that broke a rule, and why
```

`lakehouse doctor` says what this machine lacks, `lakehouse new silver_customers --from data/customers` writes the next job.
Where the lake lies is said by `$LAKE` (`lake/` here by default, or `s3a://bucket/prefix`).
"""


def project_files(name: str) -> dict[str, str]:
    """The files by their paths in the project."""
    return {
        DATA: _ORDERS,
        "Makefile": _MAKEFILE,
        "README.md": _README.format(name=name),
        "requirements.txt": "lakehouse[test]\n",
        ".gitignore": _IGNORED,
        ".github/workflows/test.yml": _CI,
        ".vscode/settings.json": _json(_settings()),
        ".vscode/extensions.json": _json({"recommendations": ["redhat.vscode-yaml", "ms-python.python"]}),
    }


def _settings() -> dict[str, object]:
    """The same schemas by folder, for files without the first line that names theirs."""
    kinds = {
        "job": "conf/*.yml",
        "contract": "conf/contracts/*.yml",
        "env": "conf/env/*.yml",
        "job_test": "tests/jobs/*.yml",
    }
    return {
        "yaml.schemas": {f"./{SCHEMAS}/{kind}.json": pattern for kind, pattern in kinds.items()},
        "yaml.yamlVersion": "1.2",
        "python.testing.pytestEnabled": True,
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
