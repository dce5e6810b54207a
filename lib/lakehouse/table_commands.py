"""What the commands on one table do: its history, its adoption, its rebuilding."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from lakehouse import api
from lakehouse.errors import ConfigError
from lakehouse.tables import Layout, is_table_name


def history(options: argparse.Namespace) -> int:
    """Prints the versions of one key with the events that they came from; needs no Spark."""
    from lakehouse.change_data.key_history import key_history
    from lakehouse.history_report import history_text

    found = key_history(_layout(), _table(options), options.key)
    print(json.dumps(asdict(found), default=str) if options.json else history_text(found))
    return 0


def _table(options: argparse.Namespace) -> str:
    if not is_table_name(options.table):
        raise ConfigError(f"'{options.table}' is no table's name; it is layer.table, such as silver.customers")
    return str(options.table)


def _layout() -> Layout:
    return Layout(api.lake_root(api.conf_or_cwd() / "job.yml"))
