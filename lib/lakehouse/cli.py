"""The command line: one word a command, see `commands.options`; every error is one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lakehouse import log
from lakehouse.commands.completion import complete
from lakehouse.commands.options import COMMANDS
from lakehouse.commands.words import add_commands
from lakehouse.errors import BusyError, LakehouseError
from lakehouse.interrupts import end_on_signals
from lakehouse.redaction import hidden


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
    parser = _parser()
    complete(parser)
    options = parser.parse_args(arguments)
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
    first = hidden(next(iter(str(error).splitlines()), ""))
    print(f"lakehouse: {type(error).__name__}: {first} (--debug shows the trace)", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lakehouse", description="YAML-driven lakehouse jobs on Apache Spark and Delta Lake.",
        epilog="example: lakehouse run silver_orders (each command's own --help has one too)",
    )  # fmt: skip
    add_commands(parser, COMMANDS, _handler)
    return parser


def _handler(name: str) -> Callable[[argparse.Namespace], int]:
    """The function of a command, imported when it is called: `lakehouse --help` must not wait for Spark's modules."""
    module, _, function = name.partition(".")
    found: Callable[[argparse.Namespace], int] = getattr(
        importlib.import_module(f"lakehouse.commands.{module}"), function
    )
    return found
