"""What `lakehouse profile` does: measures a table and shows it, or suggests rules."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lakehouse import api, runs
from lakehouse.commands.profile_reports import profile_text
from lakehouse.config.project_files import job_files
from lakehouse.errors import ConfigError
from lakehouse.personal import personal_columns_of
from lakehouse.profiling.page import page
from lakehouse.profiling.suggestions import suggested_rules
from lakehouse.profiling.table_profile import Profile, Unreadable, measured, profile
from lakehouse.storage import delete_tree
from lakehouse.tables import is_table_name


def profile_table(options: argparse.Namespace) -> int:
    """Prints a table's profile, or rules that it suggests; needs no Spark."""
    if not is_table_name(options.table):
        raise ConfigError(f"'{options.table}' is no table's name; it is layer.table, such as silver.customers")
    found = _profile(options.table, options.version)
    if options.html:
        try:
            Path(options.html).write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--html {options.html} cannot be written: {error.strerror}") from error
        print(f"{options.html}: {found.table}, {len(found.columns)} columns", file=sys.stderr)
    if options.suggest:
        print(suggested_rules(found, runs.now()), end="")
    elif options.json:
        print(json.dumps(_plain(asdict(found)), default=str, indent=2))
    elif not options.html:
        print(profile_text(found))
    return 0


def _profile(table: str, version: int | None) -> Profile:
    """The table's profile; a table that only Spark reads is copied once beside the lake's tables, and the copy measured."""
    layout, personal = api.layout(), personal_columns_of(table, job_files(api.conf_or_cwd()))
    try:
        return profile(layout, table, personal, version)
    except Unreadable:
        from lakehouse import lake
        from lakehouse.session import get_spark

        spark, copy = get_spark("profile"), layout.join("_profile", runs.new_run_id(runs.now()))
        now = lake.snapshot(spark, layout.table(table))
        at = now.version if version is None and now is not None else version
        try:
            lake.read(spark, layout.table(table), at).write.format("delta").option(
                "delta.columnMapping.mode", "name"
            ).save(copy)
            return measured(runs.open_table(copy, layout.root), table, at or 0, personal)
        finally:
            delete_tree(copy)


def _plain(value: Any) -> Any:
    """The value without what JSON cannot say: infinity as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
