"""The commands of the quarantine: broken rows are listed, shown, mended, replayed and discarded."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lakehouse import api, reports, runs
from lakehouse.config.project_files import conf_folder, job_files
from lakehouse.errors import ConfigError, counted, did_you_mean
from lakehouse.lease import held
from lakehouse.planning.plan import Plan
from lakehouse.session import get_spark
from lakehouse.storage import require_reachable
from lakehouse.tables import Layout, is_table_name

_SELECTED = "name a table or the ids of rows (`lakehouse quarantine list` shows them)"


def quarantine(options: argparse.Namespace) -> int:
    """Lists, shows, mends, replays or discards broken rows."""
    actions = {"list": _list, "show": _show, "fix": _fix, "replay": _replay, "discard": _discard}
    _require_fitting(options)
    return actions[options.action](options)


@dataclass(frozen=True)
class _Chosen:
    """Open rows of one quarantine, as the command line names them."""

    table: str
    rows: Sequence[dict[str, Any]]
    ids: Sequence[str] = ()


def _list(options: argparse.Namespace) -> int:
    """Needs no Spark."""
    from lakehouse import quarantine as kept

    layout = api.layout()
    tables = [_table(layout, name) for name in options.names] or _tables(layout)
    for table in tables:
        rows = [row for row in kept.rows(layout, table) if options.status in (None, row["status"])]
        rows = [row for row in rows if options.rule is None or _has_reason(row, options.rule)]
        if options.json:
            for row in rows[: options.limit]:
                print(json.dumps(row, default=str))
        else:
            print(reports.quarantine_table(table, rows, options.limit))
    if not tables and not options.json:
        print(f"no quarantine in {layout.root}: no row was broken yet")
    return 0


def _show(options: argparse.Namespace) -> int:
    """Needs no Spark."""
    for name in options.names:
        found = _by_id(api.layout(), name)[1]
        print(json.dumps(found, default=str) if options.json else reports.quarantined_row(found))
    return 0


def _fix(options: argparse.Namespace) -> int:
    """Needs Spark for `--where` and `--sql` alone."""
    from lakehouse.quarantine_decisions import mend, mended_row

    layout, changes = api.layout(), _changes(options)
    for chosen in map(_without_files, _chosen(layout, options)):
        with held(layout, [chosen.table]):
            if options.sql:
                mended = _by_sql(layout, chosen, options)
            else:
                ids = set(_ids(layout, chosen, options.where))
                mended = {row["id"]: mended_row(row, changes) for row in chosen.rows if row["id"] in ids}
            if mended:
                mend(layout, chosen.table, mended, _decision(options))
        print(f"{chosen.table}: {counted(len(mended), 'row')} mended; `lakehouse quarantine replay` sends them")
    return 0


def _without_files(chosen: _Chosen) -> _Chosen:
    """The rows among them; raises ConfigError where a whole file is meant by its id, or nothing else is: it is mended where
    it lies."""
    from lakehouse.quarantine import FILE_SCHEMA

    rows = [row for row in chosen.rows if row["schema"] != FILE_SCHEMA]
    files = [row for row in chosen.rows if row["schema"] == FILE_SCHEMA]
    if files and (chosen.ids or not rows):
        said = f"{files[0]['source']} is a file: mend it there, then lakehouse quarantine replay {files[0]['id'][:12]}"
        raise ConfigError(f"quarantine fix: {said}")
    return replace(chosen, rows=rows)


def _discard(options: argparse.Namespace) -> int:
    """Needs Spark for `--where` alone."""
    from lakehouse.quarantine_decisions import discard

    layout = api.layout()
    for chosen in _chosen(layout, options):
        with held(layout, [chosen.table]):
            ids = _ids(layout, chosen, options.where)
            if ids:
                discard(layout, chosen.table, ids, _decision(options))
        print(f"{chosen.table}: {counted(len(ids), 'row')} discarded")
    return 0


def _replay(options: argparse.Namespace) -> int:
    """Sends open rows through the path of the job that they came from."""
    layout = api.layout()
    plans = api.planned(job_files(conf_folder(Path.cwd())), options.env)
    for chosen in _chosen(layout, options):
        jobs = {row["job"] for row in chosen.rows}
        own = [plan for plan in plans if plan.quarantine == chosen.table and plan.name in jobs]
        gone = jobs - {plan.name for plan in own}
        if gone:
            raise ConfigError(f"no job {', '.join(map(str, sorted(gone)))} writes {chosen.table} any more")
        if own:
            _replay_by(own, chosen, options)
        else:
            print(f"{chosen.table}: no open row to replay")
    return 0


def _replay_by(plans: Sequence[Plan], chosen: _Chosen, options: argparse.Namespace) -> None:
    from lakehouse.pipeline.replaying import Selection, replay

    decision = _decision(options)
    selection = Selection(decision.by, decision.at, chosen.ids, options.rule, options.where, decision.why)
    layout = plans[0].layout
    require_reachable(layout.root)
    with held(layout, api.lease_names(list(plans))):
        spark = get_spark("replay", short=True)
        for plan in plans:
            record = replay(plan, spark, selection)
            print(reports.replayed_line(plan.quarantine, plan.name, record))


def _chosen(layout: Layout, options: argparse.Namespace) -> list[_Chosen]:
    """The open rows that are meant, by quarantine; raises ConfigError for an id or a table that there is none of."""
    from lakehouse import quarantine as kept

    by_table: dict[str, list[dict[str, Any]]] = {}
    ids: dict[str, list[str]] = {}
    for name in options.names:
        if is_table_name(name):
            table = _table(layout, name)
            by_table[table] = kept.rows(layout, table)
        else:
            table, row = _by_id(layout, name)
            ids.setdefault(table, []).append(row["id"])
            by_table.setdefault(table, []).append(row)
    found = []
    for table, rows in by_table.items():
        still = [row for row in rows if row["status"] == kept.OPEN]
        still = [row for row in still if options.rule is None or _has_reason(row, options.rule)]
        found.append(_Chosen(table, still, ids.get(table, ())))
    return found


def _by_sql(layout: Layout, chosen: _Chosen, options: argparse.Namespace) -> dict[str, str]:
    from lakehouse.pipeline.quarantined_rows import chosen_rows, mended_by_sql

    rows = chosen_rows(get_spark("quarantine", short=True), layout, chosen.table, [row["id"] for row in chosen.rows])
    return mended_by_sql(rows, options.where, options.sql)


def _ids(layout: Layout, chosen: _Chosen, where: str | None) -> list[str]:
    """The chosen rows, or those of them for which the SQL is true."""
    known = [row["id"] for row in chosen.rows]
    if where is None:
        return known
    from lakehouse.pipeline.quarantined_rows import chosen_rows, matching

    rows = chosen_rows(get_spark("quarantine", short=True), layout, chosen.table, known)
    return [row["id"] for row in matching(rows, where).select("id").toLocalIterator()]


def _by_id(layout: Layout, start: str) -> tuple[str, dict[str, Any]]:
    """The broken row whose id begins so, and its quarantine; raises ConfigError where there is none, or several."""
    from lakehouse import quarantine as kept

    if not start.isalnum():
        raise ConfigError(f"'{start}' is neither a table's name nor the beginning of a row's id")
    found = [(table, row) for table in _tables(layout) for row in kept.rows(layout, table, f"id LIKE '{start}%'")]
    if not found:
        raise ConfigError(f"no broken row's id begins with '{start}'")
    if len(found) > 1:
        raise ConfigError(f"'{start}' begins the ids of {len(found)} broken rows; give more of it")
    return found[0]


def _table(layout: Layout, name: str) -> str:
    """The quarantine of a table, or the one of this very name; raises ConfigError where there is none."""
    from lakehouse import quarantine as kept

    known = _tables(layout)
    if name in known:
        return name
    if kept.named(name) in known:
        return kept.named(name)
    raise ConfigError(f"there is no quarantine of {name}: no row of it was broken yet.{did_you_mean(name, known)}")


def _tables(layout: Layout) -> list[str]:
    """Every quarantine: those named like one, and those that a job gave a name of their own."""
    from lakehouse import quarantine as kept

    own = [name for name in _own_names() if runs.open_table(layout.table(name), layout.root) is not None]
    return sorted({*kept.tables(layout), *own})


def _own_names() -> set[str]:
    """The names that jobs gave their quarantines; where a YAML is wrong, the rows are shown all the same."""
    try:
        plans = api.planned(job_files(conf_folder(Path.cwd())), None)
    except ConfigError:
        return set()
    return {plan.quarantine for plan in plans if plan.job.config.quarantine}


def _changes(options: argparse.Namespace) -> dict[str, str | None]:
    """The columns and their new values, as `--set` and `--null` give them."""
    wrong = [text for text in options.set if "=" not in text]
    if wrong:
        raise ConfigError(f"--set {wrong[0]}: it is column=value")
    pairs = (text.partition("=") for text in options.set)
    return {**{name.strip(): value for name, _, value in pairs}, **dict.fromkeys(options.null)}


def _require_fitting(options: argparse.Namespace) -> None:
    """Raises ConfigError for options that say too little, or nothing, to the action."""
    action, given = options.action, bool(options.set or options.null)
    if action != "list" and not options.names:
        raise ConfigError(f"quarantine {action}: {_SELECTED}")
    if action == "fix" and given == bool(options.sql):
        raise ConfigError(
            "quarantine fix: give either --set column=value (and --null column), or --sql 'column = expression'"
        )
    if action == "discard" and not options.why:
        raise ConfigError("quarantine discard: say why, --why 'a test order'")
    for name, actions in (("set", ("fix",)), ("null", ("fix",)), ("sql", ("fix",)),
                          ("where", ("fix", "replay", "discard")), ("why", ("fix", "replay", "discard")),
                          ("status", ("list",)), ("rule", ("list", "fix", "replay", "discard"))):  # fmt: skip
        if getattr(options, name) and action not in actions:
            raise ConfigError(f"quarantine {action}: --{name} belongs to {', '.join(actions)}")


def _decision(options: argparse.Namespace) -> Any:
    from lakehouse.quarantine_decisions import Decision

    who = os.environ.get("LAKEHOUSE_USER") or getpass.getuser()
    return Decision(who, runs.now(), options.why)


def _has_reason(row: dict[str, Any], rule: str) -> bool:
    return any(reason["rule"] == rule for reason in row["reasons"])
