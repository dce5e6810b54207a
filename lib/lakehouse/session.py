"""The only maker of Spark sessions: settings sized to the machine, S3 from the AWS variables, one session a job."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse import interrupts
from lakehouse.errors import ConfigError, LakehouseError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# What a job relies on, set on its own session whatever the session it was given says.
_JOB = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    # INT96, Spark's default, is nanoseconds to every other reader: for those the year 9999 would be 1816
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # a rule that errs for a row is caught around that rule; shared pieces evaluated ahead of it would not be
    "spark.sql.subexpressionElimination.enabled": "false",
    # a field too many goes unnoticed where columns are pruned while parsing
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    # each step of a stream with state goes by the watermark before it, which is how late rows are told
    "spark.sql.streaming.statefulOperator.allowMultiple": "true",
}
_DEFAULTS = {
    # no path in place of a table's name: a job reads what it declares
    "spark.sql.runSQLOnFiles": "false",
    # without kafka: only Spark's newer way to write counts the events on their way
    "spark.sql.sources.useV1SourceList": "avro,csv,json,orc,parquet,text",
    # what a first batch left that was never planned whole is no batch; what is gone of others is seen before a stream starts
    "spark.sql.streaming.verifyCheckpointDirectoryEmptyOnStart": "false",
    # settings of brokers and databases are shown in plans
    "spark.sql.redaction.options.regex": "(?i)url|jaas|password|secret|token|credential|auth",
}
_SESSION = {
    **_DELTA,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionOverwriteMode": "static",
    "spark.sql.streaming.stopTimeout": "60000",
    # compiled code for a stage is big when a job has many rules: past this Spark would interpret it
    "spark.sql.codegen.hugeMethodLimit": "65535",
    # a batch of change data is 150 pieces of compiled code: Spark keeps 100 by default, and makes all of them every time
    "spark.sql.codegen.cache.maxEntries": "1000",
    # pyspark tells the JVM the Python line of every piece of an expression: half of all that the two say to each other
    "spark.python.sql.dataFrameDebugging.enabled": "false",
}
# What pyspark and this package name again and again. py4j asks the JVM anew each time, and for what is no class by that
# very name (a package, an imported class) Java looks through every JAR.
_CLASSES = ("functions", "PythonUtils", "org.apache.spark.sql.functions", "org.apache.spark.sql.classic.SparkSession")
_PACKAGES = ("org.apache.spark.sql.classic", "org.apache.spark.sql.catalyst.expressions", "scala", "java.util")
_LOCAL = {
    "spark.master": "local[*]",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    # what the pages of the UI would show of each plan
    "spark.sql.ui.explainMode": "simple",
}
# Java interprets methods of more than 8,000 bytes for ever: a stage with a hundred rules is one, and 5 times slower so.
# Local drivers have it from jvm.options.
_HUGE_METHODS = "-XX:-DontCompileHugeMethods"
# Hadoop's own retries nest to many minutes; a store that is away must be named within one.
_S3 = {
    "spark.hadoop.fs.s3a.attempts.maximum": "3",
    "spark.hadoop.fs.s3a.retry.limit": "4",
    "spark.hadoop.fs.s3a.retry.interval": "300ms",
    "spark.hadoop.fs.s3a.connection.establish.timeout": "5s",
    "spark.hadoop.fs.s3a.connection.timeout": "30s",
    "spark.hadoop.fs.s3a.connection.maximum": "200",
    "spark.hadoop.fs.s3a.bucket.probe": "0",
}


def get_spark(app_name: str = "lakehouse", *, short: bool = False) -> SparkSession:
    """The running session, or a new one that finds Delta, S3A and Kafka; what spark-submit was told is kept.

    `short`: its work is one of seconds, and the JVM, where it is started here, compiles for that. Raises LakehouseError
    where Spark cannot start.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    if SparkContext._active_spark_context is not None:
        # the first session: the active one may be a job's own, which `createDataFrame` has made active
        return SparkSession.builder.getOrCreate()
    try:
        if SparkContext._gateway is None:  # the JVM first: only then does SparkConf know what spark-submit was told
            SparkContext._ensure_initialized(gateway=_gateway(short))
        conf = SparkConf()
        for key, value in settings(conf.get("spark.master", "local[*]") or "local[*]").items():
            conf.setIfMissing(key, value)
        if "_SPARK_AUTH_SECRET" in os.environ:  # Spark's own programs read it there; of a driver it asks for a setting
            conf.setIfMissing("spark.authenticate.secret", os.environ["_SPARK_AUTH_SECRET"])
        conf.setIfMissing("spark.app.name", app_name)
        conf.set("spark.ui.showConsoleProgress", "false")  # the jobs' own progress is shown instead
        SparkContext.getOrCreate(conf)
        interrupts.restore()
        spark = SparkSession.builder.config(conf=conf).getOrCreate()
    except Exception as error:
        raise LakehouseError(
            f"Spark did not start: {_first_line(error)}; `lakehouse doctor` says what is missing"
        ) from error
    _be_quiet(spark)
    return compile_once(spark)


def _gateway(short: bool) -> Any:
    """The gateway to a JVM that was started, with the classes and packages at hand that are named most."""
    gateway = _start_jvm(short)
    jvm = gateway.jvm
    for name in _CLASSES:
        setattr(jvm, name, getattr(jvm, name))
    for package in _PACKAGES:
        place = jvm
        for part in package.split("."):
            found = getattr(place, part)
            setattr(place, part, found)
            place = found
    return gateway


def compile_once(spark: SparkSession) -> SparkSession:
    """The session; this thread, and those it starts, plan by the class loader that a local Spark's tasks have.

    Spark keeps the code that it generates by class loader: driver and tasks in one process would compile each piece twice.
    """
    jvm: Any = spark._jvm
    loader = jvm.org.apache.spark.SparkEnv.get().serializer().defaultClassLoader()
    if loader.isDefined():  # a driver without tasks has none
        jvm.java.lang.Thread.currentThread().setContextClassLoader(loader.get())
    return spark


def _be_quiet(spark: SparkSession) -> None:
    spark.sparkContext.setLogLevel(os.environ.get("LAKEHOUSE_SPARK_LOG", "OFF"))
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        # pyspark logs each wrong query with a Java trace before it raises what we tell in one line
        logging.getLogger(name).disabled = "LAKEHOUSE_SPARK_LOG" not in os.environ


def settings(master: str) -> dict[str, str]:
    """The Spark settings for a master; local ones have as many partitions as the machine has cores."""
    chosen = {**_SESSION, **_S3, **_s3_from_environment()}
    if master.startswith("local"):
        cores = str(os.cpu_count() or 2)
        chosen |= {**_LOCAL, "spark.sql.shuffle.partitions": cores, "spark.default.parallelism": cores}
        # Delta reads a table's log in 50 tasks by default: seconds, for logs of a few kilobytes
        chosen |= {"spark.databricks.delta.snapshotPartitions": "2", "spark.master": master}
    else:
        chosen["spark.executor.extraJavaOptions"] = _HUGE_METHODS
    return chosen


def job_session(spark: SparkSession, wanted: Mapping[str, object]) -> SparkSession:
    """A session of the job's own over the same Spark: jobs side by side do not mix their settings or views."""
    session = compile_once(spark.newSession())
    if "io.delta" not in (spark.conf.get("spark.sql.extensions", "") or ""):
        raise ConfigError("this Spark session has no Delta extension; make it with lakehouse.get_spark()")
    for key, value in {**_JOB, **_DEFAULTS, **wanted}.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if key in _JOB and key in wanted and text != _JOB[key]:
            raise ConfigError(f"spark: '{key}' is fixed at {_JOB[key]}; take it out")
        try:
            session.conf.set(key, text)
        except Exception as error:
            raise ConfigError(
                f"spark: '{key}' cannot be set for one job; give it to spark-submit with --conf"
            ) from error
    return session


def _start_jvm(short: bool) -> Any:
    """The gateway to spark-submit's JVM, or to one started here with this environment's Spark and its flags."""
    import pyspark
    from pyspark import java_gateway

    launch: Any = java_gateway.launch_gateway
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return launch()
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)  # whatever other Spark the machine has
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if os.environ.get("MASTER", "local").startswith("local"):
        # Spark's default of 1 GB is little for a driver that is its own executor
        os.environ.setdefault("SPARK_DRIVER_MEMORY", "2g")
    options = jvm_options(short)
    if options:
        os.environ.setdefault("SPARK_SUBMIT_OPTS", options)
    errors = _without_incubator_line()
    try:
        return launch(popen_kwargs={"stderr": errors})
    finally:
        if errors is not None:
            os.close(errors)


def _without_incubator_line() -> int | None:
    """A standard error for the JVM that leaves out what Java says on every start: Spark asks for a module in incubation.

    A process, no thread: the JVM writes to it for as long as it lives. None where the system has no grep.
    """
    reading, writing = os.pipe()
    command = ["grep", "--line-buffered", "-v", "^WARNING: Using incubator modules"]
    try:
        # in a group of its own, so that Ctrl-C leaves it to pass on what the JVM says at its end
        os.posix_spawnp("grep", command, os.environ, setpgroup=0, file_actions=[
            (os.POSIX_SPAWN_DUP2, reading, 0), (os.POSIX_SPAWN_DUP2, 2, 1),
        ])  # fmt: skip
    except OSError:
        os.close(writing)
        return None
    finally:
        os.close(reading)
    return writing


def jvm_options(short: bool = False) -> str:
    """The JVM's flags that set-up measured and wrote beside the environment; none where set-up has not run.

    LAKEHOUSE_SHORT_JOB (1 or 0) has the last word on which of them.
    """
    folder = Path(sys.prefix) / "spark"
    said = os.environ.get("LAKEHOUSE_SHORT_JOB")
    files = ["jvm.options", "jvm.short"] if (said != "0" if said else short) else ["jvm.options"]
    return " ".join(file.read_text().strip() for file in (folder / name for name in files) if file.exists())


def _s3_from_environment() -> dict[str, str]:
    """Endpoint and region as boto3 reads them; credentials are left to the AWS provider chain, never in a setting."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    chosen = {}
    if endpoint:
        chosen["spark.hadoop.fs.s3a.endpoint"] = endpoint
        chosen["spark.hadoop.fs.s3a.path.style.access"] = "true"
        chosen["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(endpoint.startswith("https")).lower()
    if endpoint or region:
        chosen["spark.hadoop.fs.s3a.endpoint.region"] = region or "us-east-1"
    return chosen


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
