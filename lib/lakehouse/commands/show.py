"""What `lakehouse show` does: one table as its log tells it, and its first rows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lakehouse import api, runs
from lakehouse.commands.look_reports import Shown, rows_text, shown_text
from lakehouse.config.project_files import job_files
from lakehouse.errors import ConfigError, DataError, did_you_mean
from lakehouse.frames import as_shown
from lakehouse.personal import personal_columns_of
from lakehouse.storage import folders
from lakehouse.table_log import opened, state_of, versions_of
from lakehouse.tables import Layout, is_table_name
from lakehouse.terminal import is_coloured, width


def show(options: argparse.Namespace) -> int:
    """Prints a table's columns, size, rows and last versions; needs no Spark but for rows that only Spark reads."""
    if not is_table_name(options.table):
        raise ConfigError(f"'{options.table}' is no table's name; it is layer.table, such as silver.orders")
    layout, files = api.layout(), job_files(api.conf_or_cwd())
    table = opened(layout.table(options.table), layout.root, options.version, options.as_of)
    if table is None:
        raise DataError(f"there is no table {options.table} in {layout.root}.{_nearest(layout, options.table)}")
    personal = personal_columns_of(options.table, files)
    state = state_of(table)
    versions = versions_of(layout.table(options.table), layout.root, state.version, options.limit)
    found = Shown(options.table, state, tuple(versions), _writers(options.table, files), frozenset(personal))
    rows = _first_rows(layout, options.table, table, options.rows, personal) if options.rows else []
    if options.json:
        print(_as_json(found, rows))
        return 0
    print(shown_text(found, colours=is_coloured()))
    if rows:
        print(f"\n{rows_text(rows, width())}")
    return 0


def _as_json(found: Shown, rows: list[dict[str, Any]]) -> str:
    value = {**asdict(found), **asdict(found.state), "personal": sorted(found.personal), "first_rows": rows}
    del value["state"]
    return json.dumps(value, default=str, indent=2)


def _first_rows(layout: Layout, name: str, table: Any, most: int, personal: Collection[str]) -> list[dict[str, Any]]:
    """Some rows, without the values of personal columns."""
    from deltalake.exceptions import DeltaError

    try:
        found = runs.rows_of(table, f"SELECT * FROM t LIMIT {int(most)}")
    except DeltaError:
        found = _by_spark(layout, name, table.version(), most)
    hidden = {column for row in found[:1] for column in row if column.lower() in personal}
    return [{column: as_shown(column, value, hidden) for column, value in row.items()} for row in found]


def _by_spark(layout: Layout, name: str, version: int, most: int) -> list[dict[str, Any]]:
    from lakehouse import lake
    from lakehouse.session import get_spark

    rows = lake.read(get_spark("show", short=True), layout.table(name), version).limit(most).collect()
    return [row.asDict(recursive=True) for row in rows]


def _writers(name: str, files: Collection[Path]) -> tuple[str, ...]:
    """The jobs that write the table."""
    plans = api.known_plans(files, None)
    return tuple(plan.name for plan in plans if name in (*plan.outputs, *plan.asides))


def _nearest(layout: Layout, name: str) -> str:
    layers = [layer for layer in folders(layout.root) if not layer.startswith(("_", "."))]
    return did_you_mean(name, [f"{layer}.{table}" for layer in layers for table in folders(layout.join(layer))])
