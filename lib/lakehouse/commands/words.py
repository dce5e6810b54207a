"""What a word of the command line is, and how a parser comes to know it."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Parser = argparse.ArgumentParser
Handler = Callable[[argparse.Namespace], int]


def _none(_: Parser) -> None:
    """No options."""


@dataclass(frozen=True)
class Command:
    """A word of the command line; `handler` is the module and function that does it, unless it has `parts`, words of its own.

    `example` has a line for each way to call it.
    """

    name: str
    handler: str
    help: str
    example: str
    options: Callable[[Parser], None] = _none
    parts: Sequence[Command] = ()


def _examples(command: Command) -> str:
    """The examples, a line each, as they are typed."""
    lines = [f"lakehouse {line}" for line in command.example.splitlines()]
    return f"example: {lines[0]}" if len(lines) == 1 else "\n  ".join(["examples:", *lines])


def _columns() -> int:
    return shutil.get_terminal_size().columns - 2


def add_commands(
    parser: Parser, commands: Sequence[Command], handler_of: Callable[[str], Handler], what: str = "COMMAND"
) -> None:
    """Gives a parser the commands; the function of one is looked for when it is called."""
    words = parser.add_subparsers(dest=what.lower(), required=True, metavar=what)
    for command in commands:
        own = words.add_parser(
            command.name, help=command.help, description=textwrap.fill(command.help, _columns()), epilog=_examples(command),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        own.add_argument("--debug", action="store_true", help="show the whole trace of an error")
        command.options(own)
        if command.parts:
            add_commands(own, command.parts, handler_of, "ACTION")
        else:
            own.set_defaults(run=lambda options, name=command.handler: handler_of(name)(options))
