"""The options of the commands that write a project or a job."""

from __future__ import annotations

from lakehouse.commands.words import Command, Parser


def init_options(parser: Parser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="a new or empty folder; its name is the project's")


def new_options(parser: Parser) -> None:
    parser.add_argument("name", metavar="JOB", help="the job's name, its layer first: silver_orders")
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="X",
        help="a table, layer.name, or a folder, glob or file of csv, json or parquet",
    )
    parser.add_argument("--layer", choices=["bronze", "silver", "gold"], help="where the name does not begin with it")


PROJECT = (
    Command("init", "project.init", "make a new project that runs at once: jobs, contract, tests, CI", "init my-lake", init_options),
    Command(
        "new", "project.new", "write a job, its contract as the data suggests it, its script and its test",
        "new silver_orders --from bronze.orders", new_options,
    ),
)  # fmt: skip
