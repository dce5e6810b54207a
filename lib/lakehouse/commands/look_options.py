"""The options of the commands that look and write nothing: `plan`, `show`, `sql`, `graph`, `completion`."""

from __future__ import annotations

from lakehouse.commands.words import Command, Parser


def plan_options(parser: Parser) -> None:
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="a name in conf/ or a path to a YAML file")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")
    parser.add_argument("--no-spark", action="store_true", help="look at no columns and no SQL, in a second")
    parser.add_argument(
        "--allow-breaking", action="store_true", help="say yes to columns that readers lose, or that hold less"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a job")


def show_options(parser: Parser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="its first rows too, without personal values")
    parser.add_argument("--version", type=int, metavar="N", help="the table as it was at this version")
    parser.add_argument("--as-of", metavar="TIME", help="the table as it was then: 2026-01-31T06:00 (UTC)")
    parser.add_argument("--limit", type=int, default=5, metavar="N", help="versions (5)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def sql_options(parser: Parser) -> None:
    parser.add_argument(
        "query", metavar="QUERY", help="one SELECT over tables named layer.table; - reads it from standard input"
    )
    parser.add_argument("--as-of", metavar="TIME", help="every table as it was then: 2026-01-31T06:00 (UTC)")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="rows (100)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def graph_options(parser: Parser) -> None:
    parser.add_argument(
        "--format", choices=["terminal", "mermaid", "svg"], default="terminal", help="a tree (terminal), or a drawing"
    )
    parser.add_argument(
        "--select", action="append", default=[], metavar="X", help="name, +name, name+, tag:x, layer:x (all jobs)"
    )
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")
    parser.add_argument("--json", action="store_true", help="one JSON object: nodes and edges")


def completion_options(parser: Parser) -> None:
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])


LOOK = (
    Command(
        "plan", "plan.plan", "show what a run would read, create, write and alter, and every problem; writes nothing",
        "plan silver_orders\nplan silver_orders gold_fct_orders --json", plan_options,
    ),
    Command(
        "show", "show.show", "show a table: columns, size, rows, last versions and who made them, first rows; needs no Spark",
        "show silver.orders --rows 5\nshow silver.orders --as-of 2026-01-31T06:00", show_options,
    ),
    Command(
        "sql", "sql.sql", "run a query over the lake's tables and print its rows; writes nothing",
        "sql \"SELECT status, count(*) AS orders FROM silver.orders GROUP BY status\"", sql_options,
    ),
    Command(
        "graph", "graph.show_graph", "draw jobs and tables, and what flows between them; needs no Spark",
        "graph --select +gold_daily_revenue\ngraph --format svg > jobs.svg", graph_options,
    ),
    Command(
        "completion", "jobs.completion", "print what a shell evaluates to complete commands, jobs and tables behind TAB",
        "completion bash", completion_options,
    ),
)  # fmt: skip
