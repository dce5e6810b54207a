"""What each command does; imported once a command is chosen."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from lakehouse import api, interrupts, registry, reports, runs, session
from lakehouse.config.project_files import conf_folder, find_job, job_files, own_conf
from lakehouse.errors import ConfigError, LakehouseError
from lakehouse.lease import held
from lakehouse.planning import graph
from lakehouse.planning.plan import Plan
from lakehouse.planning.shared_tables import require_all_writers, sharing
from lakehouse.storage import require_reachable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run(options: argparse.Namespace) -> int:
    """Runs one job or several in one Spark application."""
    plans = _plans(options)
    if options.full_refresh:
        require_all_writers(plans, options.env)
    wishes = _Wishes(
        options.full_refresh, options.accept_loss, options.side_by_side or 2, options.once, options.timeout,
        options.debug,
    )  # fmt: skip
    results = _run_plans(plans, wishes)
    if len(plans) > 1:
        print(reports.runs_table(results))
    elif results[0].record is not None:
        print(reports.run_line(results[0]))
    return _exit_code(results)


@dataclass(frozen=True)
class _Wishes:
    """How jobs are to be run; `timeout` in seconds."""

    full_refresh: bool = False
    accept_loss: bool = False
    side_by_side: int = 2
    once: bool = False
    timeout: float | None = None
    debug: bool = False


def _plans(options: argparse.Namespace) -> list[Plan]:
    """The plans asked for; raises ConfigError with the problems of all of them at once."""
    here = Path.cwd()
    if options.jobs and not options.select:
        return api.planned([find_job(name, here) for name in options.jobs], options.env)
    if not (options.jobs or options.select or options.all):
        raise ConfigError("name a job, or --select some, or --all; `lakehouse list` shows them")
    everything = api.planned(job_files(conf_folder(here)), options.env)
    return (
        everything
        if options.all and not options.select
        else graph.selected(everything, [*options.jobs, *options.select])
    )


def _run_plans(plans: Sequence[Plan], wishes: _Wishes) -> list[graph.Result]:
    """Leases first, then Spark, then the jobs; a line a job while they run."""
    layout = plans[0].layout
    require_reachable(layout.root)
    with (
        held(layout, api.lease_names(list(plans))),
        reports.Progress(quiet=len(plans) == 1) as progress,
    ):
        results = _run_in_spark(plans, wishes, progress)
    by_name = {plan.name: plan for plan in plans}
    for result in results:
        _tell_failure(by_name[result.job], result, len(plans) > 1, wishes.debug)
    return results


def _run_in_spark(plans: Sequence[Plan], wishes: _Wishes, progress: reports.Progress) -> list[graph.Result]:
    from lakehouse.pipeline.live_work import watched
    from lakehouse.pipeline.own_targets import forget
    from lakehouse.pipeline.run import run_plan

    told = Event()
    progress.note("starting Spark")
    spark = _spark_for(plans, told)
    progress.note("")
    together = sharing(plans) if wishes.full_refresh else []
    forget(together, spark)
    emptied = {plan.name for plan in together}

    def run_one(plan: Plan) -> runs.RunRecord:
        progress.started(plan.name)
        ending = api.ending_of(plan, once=wishes.once, timeout=wishes.timeout, told=told)
        say = partial(progress.update, plan.name)
        with watched(plan, spark, say) if progress.is_live else nullcontext():
            return run_plan(
                plan, spark, ending, full_refresh=wishes.full_refresh and plan.name not in emptied,
                accept_loss=wishes.accept_loss, watch=say,
            )  # fmt: skip

    return graph.run_all(plans, run_one, wishes.side_by_side, progress.ended, once=wishes.once)


def _spark_for(plans: Sequence[Plan], told: Event) -> SparkSession:
    """Spark, and signals that end streams after the micro-batch in hand.

    A batch job ends at once: what it has in hand may take hours, and the next run finishes it.
    """
    handler = interrupts.tell_on_signals(told) if all(plan.job.config.stream for plan in plans) else None
    name = "lakehouse" if len(plans) > 1 else plans[0].name
    spark = session.get_spark(name, short=api.are_short(list(plans)))
    if handler is not None:
        interrupts.share_with_jvm(spark, handler)
    return spark


def _tell_failure(plan: Plan, result: graph.Result, named: bool, debug: bool) -> None:
    """A skipped job goes on record, a failed one to standard error."""
    if result.skipped_for is not None:
        _record_skip(plan, result)
    if result.error is not None and debug:
        traceback.print_exception(result.error)
    if result.error is not None:
        print(f"{result.job}: {result.error}" if named else str(result.error), file=sys.stderr)


def _record_skip(plan: Plan, result: graph.Result) -> None:
    now = runs.now()
    skipped = runs.RunRecord(
        runs.new_run_id(now), plan.name, plan.fingerprint, now, now, "skipped", f"{result.skipped_for} failed"
    )
    runs.append(plan.layout, skipped)


def _exit_code(results: Sequence[graph.Result]) -> int:
    errors = [result.error for result in results if result.error is not None]
    return 0 if not errors else errors[0].exit_code if isinstance(errors[0], LakehouseError) else 1


def show_list(options: argparse.Namespace) -> int:
    """Lists jobs, or registered words."""
    if options.json:
        for item in _listed(options.what):
            print(json.dumps(item, default=str))
    elif options.what == "jobs":
        print(reports.jobs_table(api.planned(job_files(conf_folder(Path.cwd())), None)))
    else:
        print(reports.words_page(options.what.removesuffix("s")))
    return 0


def _listed(what: str) -> Iterator[dict[str, Any]]:
    """The same as values."""
    if what == "jobs":
        for item in api.planned(job_files(conf_folder(Path.cwd())), None):
            config = item.job.config
            yield {"job": item.name, "layer": config.layer, "tags": config.tags, "reads": item.inputs or [item.source.name],
                   "writes": item.outputs, "description": config.description, "file": str(item.job.file)}  # fmt: skip
    else:
        for kind in [kind for kind in registry.KINDS if kind.removeprefix("set_") == what.removesuffix("s")]:
            for entry in registry.known(kind):
                yield {
                    "name": entry.name,
                    "kind": kind,
                    "summary": entry.summary,
                    "options": entry.options.model_json_schema(),
                }


def completion(options: argparse.Namespace) -> int:
    """Prints what a shell evaluates to complete `lakehouse`."""
    from lakehouse.commands.completion import shell_code

    print(shell_code(options.shell))
    return 0


def show_runs(options: argparse.Namespace) -> int:
    """Shows the last runs, newest first; needs no Spark."""
    records = runs.read(api.layout(), options.job, options.limit)
    if options.json:
        for record in records:
            print(json.dumps(asdict(record), default=str))
        return 0
    print(reports.records_table(records) if records else f"no runs in {api.layout().runs} yet")
    return 0


def schema(options: argparse.Namespace) -> int:
    """Prints the JSON Schema of a job's YAML, of a contract's, an environment's or a test's, or writes all of them."""
    from lakehouse.planning.job_schema import schemas
    from lakehouse.storage import write_text

    found = schemas()
    if options.to is None:
        asked = {"contract": options.contract, "env": options.env, "job_test": options.test}
        print(json.dumps(found[next((kind for kind, is_asked in asked.items() if is_asked), "job")], indent=2))
        return 0
    for kind, one in found.items():
        write_text(f"{options.to}/{kind}.json", json.dumps(one, indent=1) + "\n")
        print(f"{options.to}/{kind}.json")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Checks what a run needs; 0 where nothing stops one."""
    from lakehouse.diagnosis.checks import diagnose

    findings = diagnose(api.layout().root)
    good = all(finding.state != "bad" for finding in findings)
    if options.json:
        print(json.dumps({"ok": good, "findings": [asdict(finding) for finding in findings]}))
    else:
        print("\n".join(reports.finding_text(finding.what, finding.state, finding.remedy) for finding in findings))
    return 0 if good else 1


def sample_data(options: argparse.Namespace) -> int:
    """Writes the shop's landing data."""
    place = options.to or f"{api.layout().root}/landing"
    written = write_days(place, first_day=1, days=options.days, scale=options.scale, seed=options.seed)
    print(f"{written} files in {place}")
    return 0


def write_days(place: str, *, first_day: int, days: int, scale: float, seed: int) -> int:
    """Writes days of landing data to a local folder or to S3; the number of files."""
    import tempfile

    from lakehouse.copying import upload_tree
    from lakehouse.sample_data import write_shop
    from lakehouse.tables import is_remote

    if not is_remote(place):
        return len(write_shop(Path(place), first_day=first_day, days=days, scale=scale, seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        files = write_shop(Path(folder), first_day=first_day, days=days, scale=scale, seed=seed)
        upload_tree(Path(folder), place)
        return len(files)


def demo(options: argparse.Namespace) -> int:
    """The next day of the shop, every job from bronze to gold, and a look at what came of it."""
    from lakehouse.storage import read_text, write_text

    plans = api.planned(job_files(own_conf()), None)
    layout = plans[0].layout
    require_reachable(layout.root)
    done = int((read_text(layout.join("_demo", "day")) or "0").strip() or 0)
    scale = float(os.environ.get("SHOP_SCALE", "1"))
    files = write_days(
        layout.join("landing"), first_day=1, days=done + 1, scale=scale, seed=int(os.environ.get("SHOP_SEED", "7"))
    )
    print(f"day {done + 1} of the shop: {files} landing files in {layout.join('landing')}")
    started = time.monotonic()
    results = _run_plans(plans, _Wishes(debug=options.debug))
    print(reports.runs_table(results))
    code = _exit_code(results)
    if code == 0:
        print(reports.demo_tables(layout))
        write_text(layout.join("_demo", "day"), f"{done + 1}\n")
        print(reports.demo_places(layout, done + 1, time.monotonic() - started))
    return code
