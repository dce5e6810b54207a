"""What a word of the command line is, and how a parser comes to know it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Parser = argparse.ArgumentParser
Handler = Callable[[argparse.Namespace], int]


def _none(_: Parser) -> None:
    """No options."""


@dataclass(frozen=True)
class Command:
    """A word of the command line; `handler` is the module and function that does it, unless it has `parts`, words of its own."""

    name: str
    handler: str
    help: str
    example: str
    options: Callable[[Parser], None] = _none
    parts: Sequence[Command] = ()


def add_commands(
    parser: Parser, commands: Sequence[Command], handler_of: Callable[[str], Handler], what: str = "COMMAND"
) -> None:
    """Gives a parser the commands; the function of one is looked for when it is called."""
    words = parser.add_subparsers(dest=what.lower(), required=True, metavar=what)
    for command in commands:
        own = words.add_parser(
            command.name, help=command.help, description=command.help, epilog=f"example: lakehouse {command.example}"
        )
        own.add_argument("--debug", action="store_true", help="show the whole trace of an error")
        command.options(own)
        if command.parts:
            add_commands(own, command.parts, handler_of, "ACTION")
        else:
            own.set_defaults(run=lambda options, name=command.handler: handler_of(name)(options))
