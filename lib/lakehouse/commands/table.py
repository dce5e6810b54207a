"""What the commands on one table do: its history, its adoption, its rebuilding."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lakehouse import api
from lakehouse.config.project_files import conf_folder, job_files
from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.lease import held
from lakehouse.planning.plan import Plan
from lakehouse.session import get_spark
from lakehouse.storage import require_reachable
from lakehouse.tables import is_table_name


def history(options: argparse.Namespace) -> int:
    """Prints the versions of one key with the events that they came from; needs no Spark."""
    from lakehouse.change_data.key_history import key_history
    from lakehouse.commands.table_reports import history_text

    found = key_history(api.layout(), _table(options), options.key)
    print(json.dumps(asdict(found), default=str) if options.json else history_text(found))
    return 0


def adopt(options: argparse.Namespace) -> int:
    """Takes over a table that others made: its rows become what its job remembers of it."""
    from lakehouse.pipeline.adopting import adopt as take_over
    from lakehouse.pipeline.adopting import sink_of

    table = _table(options)
    plan = _only(_writers(table, options.env), table)
    sink_of(plan, table)
    require_reachable(plan.layout.root)
    with held(plan.layout, api.lease_names([plan])):
        done = take_over(plan, table, get_spark(plan.name, short=True))
    print(f"{table}: {'; '.join(done.notes)}; `lakehouse run {plan.name}` goes on from here")
    return 0


def rebuild(options: argparse.Namespace) -> int:
    """Makes a table anew from its source, shows how it differs, and replaces it where that was asked for."""
    from lakehouse.commands.table_reports import rebuilt_text
    from lakehouse.pipeline.rebuilding import rebuild as make_anew

    table = _table(options)
    plans = _writers(table, options.env)
    require_reachable(plans[0].layout.root)
    with held(plans[0].layout, api.lease_names(plans)):
        spark = get_spark(plans[0].name, short=api.are_short(plans))
        print(rebuilt_text(make_anew(plans, table, spark, takes_over=options.replace)))
    return 0


def _writers(table: str, env: str | None) -> list[Plan]:
    """The jobs that write a table, in run order; raises ConfigError where there is none."""
    plans = api.planned(job_files(conf_folder(Path.cwd())), env)
    found = [plan for plan in plans if table in plan.outputs]
    if not found:
        known = sorted({name for plan in plans for name in plan.outputs})
        raise ConfigError(f"no job writes {table}.{did_you_mean(table, known)}")
    return found


def _only(plans: Sequence[Plan], table: str) -> Plan:
    if len(plans) > 1:
        raise ConfigError(f"{', '.join(plan.name for plan in plans)} all write {table}; one alone can adopt it")
    return plans[0]


def _table(options: argparse.Namespace) -> str:
    if not is_table_name(options.table):
        raise ConfigError(f"'{options.table}' is no table's name; it is layer.table, such as silver.customers")
    return str(options.table)
