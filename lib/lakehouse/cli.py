"""The command line: `lakehouse run | plan | list | runs | quarantine | history | adopt | rebuild | profile | contract | schema | doctor | sample-data | demo`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
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
        _say_unexpected(error)
        return 1


def _say(error: LakehouseError) -> None:
    prefix = "busy: " if isinstance(error, BusyError) else ""
    for line in str(error).split("\n"):
        print(f"{prefix}{line}", file=sys.stderr)


def _say_unexpected(error: Exception) -> None:
    first = next(iter(str(error).splitlines()), "")
    print(f"lakehouse: {type(error).__name__}: {first} (--debug shows the trace)", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lakehouse", description="YAML-driven lakehouse jobs on Apache Spark and Delta Lake."
    )
    add = partial(_add, parser.add_subparsers(dest="command", required=True, metavar="COMMAND"))
    _run_options(add("run", "run", "run jobs, in the order of what they read and write", "lakehouse run silver_orders"))
    _plan_options(add("plan", "plan", "check a job and show its hops; writes nothing", "lakehouse plan silver_orders"))
    what = "list the jobs, or every source, rule, transform and sink with its options"
    _list_options(add("list", "show_list", what, "lakehouse list rules"))
    _runs_options(add("runs", "show_runs", "show the last runs", "lakehouse runs silver_orders"))
    what = "list broken rows, or show one"
    _quarantine_options(add("quarantine", "show_quarantine", what, "lakehouse quarantine list silver.orders"))
    _table_commands(add)
    what = "print the JSON Schema of a job's YAML, or of a contract's"
    schema = add("schema", "schema", what, "lakehouse schema > job.schema.json")
    schema.add_argument("--contract", action="store_true", help="that of the files in conf/contracts")
    add("doctor", "doctor", "check Java, JARs, versions and storage; names the remedy for each", "lakehouse doctor")
    what = "write the example shop's landing data"
    _sample_data_options(add("sample-data", "sample_data", what, "lakehouse sample-data --days 3"))
    add("demo", "demo", "the next day of the example shop, from landing files to gold", "lakehouse demo")
    return parser


def _table_commands(add: Callable[[str, str, str, str], argparse.ArgumentParser]) -> None:
    """The commands on one table, and those on contracts."""
    what = "print the versions of one key, with the events that they came from"
    _history_options(add("history", "history", what, "lakehouse history silver.customers_history --key 5"))
    what = "take over a table that others made: its rows become what its job remembers of it"
    _adopt_options(add("adopt", "adopt", what, "lakehouse adopt silver.customers_history"))
    what = "make a table anew from its source and show how it differs; replaces nothing unless told to"
    _rebuild_options(add("rebuild", "rebuild", what, "lakehouse rebuild silver.customers_history"))
    what = "measure a table, column by column, or suggest rules for it; needs no Spark"
    _profile_options(add("profile", "profile_table", what, "lakehouse profile silver.orders"))
    what = "hold contracts against earlier versions of them"
    _contract_options(add("contract", "contract_check", what, "lakehouse contract check orders --against main"))


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, handler: str, help_: str, example: str
) -> argparse.ArgumentParser:
    """A command's own parser."""
    found = commands.add_parser(name, help=help_, description=help_, epilog=f"example: {example}")
    found.add_argument("--debug", action="store_true", help="show the whole trace of an error")
    found.set_defaults(run=lambda options: _handler(handler)(options))
    return found


def _run_options(parser: argparse.ArgumentParser) -> None:
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


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("jobs", nargs="+", metavar="JOB")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")
    parser.add_argument("--no-spark", action="store_true", help="check names and options only, in a second")


def _list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", default="jobs", choices=["jobs", "sources", "rules", "transforms", "sinks"])


def _runs_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", nargs="?")
    _limit_options(parser)


def _quarantine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["list", "show"])
    parser.add_argument("name", nargs="?", metavar="TABLE|ID", help="list: a table (all without one); show: a row's id")
    _limit_options(parser)


def _history_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table, written by scd1, scd2, scd3 or snapshot")
    parser.add_argument(
        "--key", action="append", required=True, metavar="K", help="its value; column=value for each of several"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _adopt_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table, which a job writes by scd1, scd2 or snapshot")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")


def _rebuild_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table, which jobs write by scd1, scd2, scd3 or snapshot")
    parser.add_argument("--replace", action="store_true", help="make the rebuilt rows the table's next version")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")


def _profile_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table")
    parser.add_argument("--version", type=int, metavar="N", help="the table as it was at this version")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--html", metavar="FILE", help="write a page that needs nothing else")
    parser.add_argument("--suggest", action="store_true", help="print rules as YAML that hold for the table")


def _contract_options(parser: argparse.ArgumentParser) -> None:
    add = partial(_add, parser.add_subparsers(dest="action", required=True, metavar="ACTION"))
    what = "list how contracts differ from an earlier version; 2 where one breaks what it promises"
    check = add("check", "contract_check", what, "lakehouse contract check orders --against main")
    check.add_argument("names", nargs="*", metavar="NAME", help="a contract in conf/contracts; all without one")
    check.add_argument(
        "--against", default="HEAD", metavar="X", help="a file, a folder of contracts, or a commit of git (HEAD)"
    )
    check.add_argument("--json", action="store_true", help="one JSON object")
    what = "print a contract as the JSON Schema of a row, or in the Open Data Contract Standard"
    export = add("export", "contract_export", what, "lakehouse contract export orders --format odcs > orders.odcs.yaml")
    export.add_argument("name", metavar="NAME", help="a contract in conf/contracts")
    export.add_argument("--format", required=True, choices=["json-schema", "odcs"])
    what = "write conf/contracts/NAME.yml from a document of the Open Data Contract Standard"
    importing = add("import", "contract_import", what, "lakehouse contract import orders.odcs.yaml --format odcs")
    importing.add_argument("file", metavar="FILE")
    importing.add_argument("--format", required=True, choices=["odcs"])
    importing.add_argument("--name", help="the contract's name; of several objects in FILE the one to take")
    what = "say how fresh each table under a contract is; 3 where one is older than promised"
    status = add("status", "contract_status", what, "lakehouse contract status orders")
    status.add_argument("names", nargs="*", metavar="NAME", help="a contract in conf/contracts; all without one")
    status.add_argument("--json", action="store_true", help="one JSON list")


def _limit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _sample_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=1, help="days of data, from the first (1)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 1,000 orders a day")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--to", help="folder or s3a:// place ($LAKE/landing)")


def _handler(name: str) -> Callable[[argparse.Namespace], int]:
    """The function of a command, imported when it is called: `lakehouse --help` must not wait for Spark's modules."""
    from lakehouse import commands, contract_commands, profile_commands, table_commands

    modules = (commands, table_commands, contract_commands, profile_commands)
    found: Callable[[argparse.Namespace], int] = next(getattr(item, name) for item in modules if hasattr(item, name))
    return found
