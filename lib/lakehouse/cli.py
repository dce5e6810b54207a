"""The command line: `lakehouse run | plan | list | runs | quarantine | schema | doctor | sample-data | demo`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lakehouse import log
from lakehouse.errors import BusyError, LakehouseError
from lakehouse.interrupts import end_on_signals


def console() -> None:
    """The program `lakehouse`."""
    end_on_signals()
    raise SystemExit(command(sys.argv[1:]))


def main(job_file: str) -> int:
    """Runs the job of a script `jobs/<name>.py` with the script's own arguments; the exit code."""
    file = Path(job_file).absolute()
    conf = file.parent.parent / "conf" / f"{file.stem}.yml"
    end_on_signals()
    return command(["run", str(conf), *sys.argv[1:]])


def command(arguments: Sequence[str]) -> int:
    """Runs one command; every error is one line on standard error and the exit code that the docs name."""
    options = _parser().parse_args(arguments)
    if os.environ.get("LAKEHOUSE_LOG"):
        log.to_stderr()
    try:
        return int(options.run(options))
    except LakehouseError as error:
        _say(error)
        if options.debug:
            raise
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            raise
        print(
            f"lakehouse: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} (--debug shows the trace)",
            file=sys.stderr,
        )
        return 1


def _say(error: LakehouseError) -> None:
    prefix = "busy: " if isinstance(error, BusyError) else ""
    for line in str(error).split("\n"):
        print(f"{prefix}{line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the whole trace of an error")
    parser = argparse.ArgumentParser(
        prog="lakehouse", description="YAML-driven lakehouse jobs on Apache Spark and Delta Lake."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, handler: str, help_: str, example: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=help_, description=help_, epilog=f"example: {example}", parents=[common])
        found.set_defaults(run=lambda options: _handler(handler)(options))
        return found

    _add_run(add("run", "run", "run jobs, in the order of what they read and write", "lakehouse run silver_orders"))
    found = add("plan", "plan", "check a job and show its hops; writes nothing", "lakehouse plan silver_orders")
    found.add_argument("jobs", nargs="+", metavar="JOB")
    found.add_argument("--env", help="overlay conf/env/ENV.yml")
    found.add_argument("--no-spark", action="store_true", help="check names and options only, in a second")
    found = add(
        "list",
        "show_list",
        "list the jobs, or every source, rule, transform and sink with its options",
        "lakehouse list rules",
    )
    found.add_argument("what", nargs="?", default="jobs", choices=["jobs", "sources", "rules", "transforms", "sinks"])
    found = add("runs", "show_runs", "show the last runs", "lakehouse runs silver_orders")
    found.add_argument("job", nargs="?")
    found.add_argument("--limit", type=int, default=20)
    found.add_argument("--json", action="store_true", help="one JSON object a line")
    found = add(
        "quarantine", "show_quarantine", "list broken rows, or show one", "lakehouse quarantine list silver.orders"
    )
    found.add_argument("action", choices=["list", "show"])
    found.add_argument("name", nargs="?", metavar="TABLE|ID", help="list: a table (all without one); show: a row's id")
    found.add_argument("--limit", type=int, default=20)
    found.add_argument("--json", action="store_true", help="one JSON object a line")
    add("schema", "schema", "print the JSON Schema of a job's YAML", "lakehouse schema > job.schema.json")
    add("doctor", "doctor", "check Java, JARs, versions and storage; names the remedy for each", "lakehouse doctor")
    _add_sample_data(
        add("sample-data", "sample_data", "write the example shop's landing data", "lakehouse sample-data --days 3")
    )
    add("demo", "demo", "the next day of the example shop, from landing files to gold", "lakehouse demo")
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="a name in conf/ or a path to a YAML file")
    parser.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="X",
        help="name, +name, name+, tag:x, layer:x; all in conf/ without JOB",
    )
    parser.add_argument("--all", action="store_true", help="every job in conf/")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")
    parser.add_argument(
        "--full-refresh", action="store_true", help="rebuild target, state and quarantine from the source"
    )
    parser.add_argument("--side-by-side", type=int, default=None, metavar="N", help="jobs at a time (2)")


def _add_sample_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=1, help="days of data, from the first (1)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 1,000 orders a day")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--to", help="folder or s3a:// place ($LAKE/landing)")


def _handler(name: str) -> Callable[[argparse.Namespace], int]:
    """The function of a command, imported when it is called: `lakehouse --help` must not wait for Spark's modules."""
    from lakehouse import commands

    found: Callable[[argparse.Namespace], int] = getattr(commands, name)
    return found
