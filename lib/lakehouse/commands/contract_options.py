"""The parts of the command `contract` and their options."""

from __future__ import annotations

from lakehouse.commands.words import Command, Parser


def _names_options(parser: Parser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="a contract in conf/contracts; all without one")
    parser.add_argument("--json", action="store_true", help="one JSON value")


def contract_check_options(parser: Parser) -> None:
    _names_options(parser)
    parser.add_argument(
        "--against", default="HEAD", metavar="X", help="a file, a folder of contracts, or a commit of git (HEAD)"
    )


def contract_export_options(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="a contract in conf/contracts")
    parser.add_argument("--format", required=True, choices=["json-schema", "odcs"])


def contract_import_options(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--format", required=True, choices=["odcs"])
    parser.add_argument("--name", help="the contract's name; of several objects in FILE the one to take")


CONTRACT = (
    Command(
        "check", "contract.contract_check", "list how contracts differ from an earlier version; 2 where one breaks what it promises",
        "contract check orders --against main", contract_check_options,
    ),
    Command(
        "export", "contract.contract_export", "print a contract as the JSON Schema of a row, or in the Open Data Contract Standard",
        "contract export orders --format odcs > orders.odcs.yaml", contract_export_options,
    ),
    Command(
        "import", "contract.contract_import", "write conf/contracts/NAME.yml from a document of the Open Data Contract Standard",
        "contract import orders.odcs.yaml --format odcs", contract_import_options,
    ),
    Command(
        "status", "contract.contract_status", "say how fresh each table under a contract is; 3 where one is older than promised",
        "contract status orders", _names_options,
    ),
)  # fmt: skip
