"""The commands and their options: what each is called, what it takes, and an example of it."""

from __future__ import annotations

from lakehouse.commands.contract_options import CONTRACT
from lakehouse.commands.look_options import LOOK
from lakehouse.commands.project_options import PROJECT
from lakehouse.commands.words import Command, Parser


def run_options(parser: Parser) -> None:
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
    parser.add_argument(
        "--accept-loss", action="store_true", help="once, go on behind what the source does not have any more"
    )
    parser.add_argument("--side-by-side", type=int, default=None, metavar="N", help="jobs at a time (2)")
    parser.add_argument(
        "--once", action="store_true", help="end when nothing new is there, also a stream that would go on"
    )
    parser.add_argument("--timeout", type=_positive, metavar="SECONDS", help="begin no further batch after so long")


def _positive(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise ValueError
    return seconds


def batches_options(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="a name in conf/ or a path to a YAML file")
    _limit_options(parser)


def checkpoint_options(parser: Parser) -> None:
    parser.add_argument("action", choices=["list", "show", "reset", "copy"])
    parser.add_argument("names", nargs="*", metavar="JOB", help="the job; copy: and its new name")
    parser.add_argument(
        "--to",
        metavar="X",
        help="reset: a time (files), version:N (delta), offsets or a time (kafka), a cursor's value (jdbc)",
    )
    parser.add_argument("--yes", action="store_true", help="reset: do it; without, it says what would come")
    parser.add_argument("--json", action="store_true", help="list, show: a line of JSON a job")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")


def stop_options(parser: Parser) -> None:
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="a name in conf/ or a path to a YAML file")
    parser.add_argument(
        "--timeout", type=_positive, default=60, metavar="SECONDS", help="how long to wait for the batch in hand (60)"
    )


def test_options(parser: Parser) -> None:
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="jobs with a file in tests/jobs (all)")
    parser.add_argument(
        "--record", action="store_true", help="write what was found as `expect` into the tests that do not hold"
    )


def list_options(parser: Parser) -> None:
    parser.add_argument("what", nargs="?", default="jobs", choices=["jobs", "sources", "rules", "transforms", "sinks"])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def runs_options(parser: Parser) -> None:
    parser.add_argument("job", nargs="?")
    _limit_options(parser)


def report_options(parser: Parser) -> None:
    parser.add_argument(
        "run_id",
        nargs="?",
        metavar="RUN",
        help="the beginning of a run's id, or a job: its last run (the newest of all)",
    )
    parser.add_argument("--to", metavar="FILE", help="where the page goes (<run's id>.html here); - prints it")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")


def quarantine_options(parser: Parser) -> None:
    parser.add_argument("action", choices=["list", "show", "fix", "replay", "discard"])
    parser.add_argument("names", nargs="*", metavar="TABLE|ID", help="a table, or the beginnings of rows' ids")
    parser.add_argument(
        "--set", action="append", default=[], metavar="COLUMN=VALUE", help="fix: what the row should say"
    )
    parser.add_argument("--null", action="append", default=[], metavar="COLUMN", help="fix: a column to be NULL")
    parser.add_argument("--sql", metavar="ASSIGNMENTS", help="fix: \"amount = abs(amount), status = 'paid'\"")
    parser.add_argument("--where", metavar="SQL", help="the rows for which this is true, over their own columns")
    parser.add_argument("--rule", metavar="NAME", help="the rows that this rule refused")
    parser.add_argument("--why", metavar="TEXT", help="kept beside the row with who and when; discard asks for it")
    parser.add_argument("--status", choices=["open", "replayed", "discarded"], help="list: these alone")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")
    _limit_options(parser)


def history_options(parser: Parser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table, written by scd1, scd2, scd3 or snapshot")
    parser.add_argument(
        "--key", action="append", required=True, metavar="K", help="its value; column=value for each of several"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def adopt_options(parser: Parser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table, which a job writes by scd1, scd2 or snapshot")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")


def rebuild_options(parser: Parser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table, which jobs write by scd1, scd2, scd3 or snapshot")
    parser.add_argument("--replace", action="store_true", help="make the rebuilt rows the table's next version")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")


def quality_options(parser: Parser) -> None:
    parser.add_argument("table", nargs="?", metavar="TABLE", help="layer.table, or a job's name; all with --anomalies")
    parser.add_argument(
        "--anomalies", action="store_true", help="only the rules whose failures left their usual range in the last run"
    )
    parser.add_argument("--limit", type=int, default=5, metavar="N", help="runs of the trend (5)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def expectations_options(parser: Parser) -> None:
    parser.add_argument("action", choices=["export", "import", "docs"])
    parser.add_argument("name", nargs="?", metavar="JOB|SUITE", help="export: a job; import: a suite's JSON file")
    parser.add_argument("--to", help="export: the suite's file (standard output); docs: the site's folder (data_docs)")
    parser.add_argument("--job", help="import: the job whose file gets the rules; without it they are printed")
    parser.add_argument("--env", help="export: overlay conf/env/ENV.yml")


def schema_options(parser: Parser) -> None:
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--contract", action="store_true", help="that of the files in conf/contracts")
    kind.add_argument("--env", action="store_true", help="that of the files in conf/env")
    kind.add_argument("--test", action="store_true", help="that of the files in tests/jobs")
    parser.add_argument(
        "--to", metavar="FOLDER", help="write all of them: job.json, contract.json, env.json, job_test.json"
    )


def _limit_options(parser: Parser) -> None:
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def sample_data_options(parser: Parser) -> None:
    parser.add_argument("--days", type=int, default=1, help="days of data, from the first (1)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 1,000 orders a day")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--to", help="folder or s3a:// place ($LAKE/landing)")


def profile_options(parser: Parser) -> None:
    parser.add_argument("table", metavar="TABLE", help="layer.table")
    parser.add_argument("--version", type=int, metavar="N", help="the table as it was at this version")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--html", metavar="FILE", help="write a page that needs nothing else")
    parser.add_argument("--suggest", action="store_true", help="print rules as YAML that hold for the table")


def stream_flush_options(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="a name in conf/ or a path to a YAML file")
    parser.add_argument("--env", help="overlay conf/env/ENV.yml")


def doctor_options(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object")


STREAM = (
    Command(
        "flush", "stream.stream_flush", "take what is new, then close the windows that still wait for more",
        "stream flush gold_order_minutes", stream_flush_options,
    ),
)  # fmt: skip

COMMANDS = (
    *PROJECT,
    Command(
        "run", "jobs.run", "run jobs, in the order of what they read and write",
        "run silver_orders\nrun --select +gold_daily_revenue --env dev", run_options,
    ),
    Command(
        "stop", "stream.stop", "ask a running job to end after the batch in hand, from another shell",
        "stop silver_orders", stop_options,
    ),
    Command(
        "batches", "stream.batches", "show the last micro-batches of a job: rows, milliseconds, state, watermark",
        "batches silver_orders", batches_options,
    ),
    Command(
        "checkpoint", "stream.checkpoint", "list what jobs have taken, show one job's, move it in its source, or copy it for a job's new name",
        "checkpoint list\ncheckpoint show silver_orders\ncheckpoint reset silver_orders --to version:12\n"
        "checkpoint copy silver_orders silver_orders_new", checkpoint_options,
    ),
    Command("test", "tests.test", "run the YAML tests of jobs, or record what they give", "test silver_orders", test_options),
    *LOOK,
    Command(
        "list", "jobs.show_list", "list the jobs, or every source, rule, transform and sink with its options", "list\nlist rules",
        list_options,
    ),
    Command("runs", "jobs.show_runs", "show the last runs", "runs silver_orders", runs_options),
    Command(
        "report", "report.report", "write a run as one HTML file: rows, rules, broken rows, tables, trends",
        "report silver_orders --to report.html", report_options,
    ),
    Command(
        "quarantine", "quarantine.quarantine", "list broken rows, show, mend, replay or discard them",
        "quarantine list silver.orders\nquarantine show 16fe7b\nquarantine fix 16fe7b --set amount=12.50 --why 'a typing error'\n"
        "quarantine replay 16fe7b\nquarantine discard silver.orders --rule status_is_known --why 'test orders'", quarantine_options,
    ),
    Command(
        "quality", "quality.quality",
        "show what the rules of a table said in its last runs, a score a dimension, and which columns no rule covers",
        "quality silver.orders\nquality --anomalies", quality_options,
    ),
    Command(
        "history", "table.history", "print the versions of one key, with the events that they came from",
        "history silver.customers_history --key 5", history_options,
    ),
    Command(
        "adopt", "table.adopt", "take over a table that others made: its rows become what its job remembers of it",
        "adopt silver.customers_history", adopt_options,
    ),
    Command(
        "rebuild", "table.rebuild", "make a table anew from its source and show how it differs; replaces nothing unless told to",
        "rebuild silver.customers_history", rebuild_options,
    ),
    Command("stream", "", "close what a stream holds open", "stream flush gold_order_minutes", parts=STREAM),
    Command(
        "profile", "profile.profile_table", "measure a table, column by column, or suggest rules for it; needs no Spark",
        "profile silver.orders", profile_options,
    ),
    Command(
        "contract", "", "hold contracts against earlier versions of them, and carry them in and out",
        "contract check orders --against main", parts=CONTRACT,
    ),
    Command(
        "expectations", "expectation.expectations",
        "speak Great Expectations: a job's rules as a suite, a suite as rules, Data Docs of what suites said",
        "expectations export silver_orders\nexpectations import suite.json --job silver_orders\nexpectations docs --to site",
        expectations_options,
    ),
    Command(
        "schema", "jobs.schema", "print the JSON Schema of a job's YAML, of a contract's, an environment's or a test's", "schema > job.schema.json",
        schema_options,
    ),
    Command(
        "doctor", "jobs.doctor", "check Java, JARs, versions, settings, disks and storage; names the remedy for each",
        "doctor --json", doctor_options,
    ),
    Command(
        "sample-data", "jobs.sample_data", "write the example shop's landing data", "sample-data --days 3", sample_data_options
    ),
    Command("demo", "jobs.demo", "the next day of the example shop, from landing files to gold", "demo"),
)  # fmt: skip
