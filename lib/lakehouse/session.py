"""The only maker of Spark sessions: settings sized to the machine, S3 from the AWS variables, one session a job."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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
    # a rule that errs for a row is caught around that rule; shared pieces evaluated ahead of it would not be
    "spark.sql.subexpressionElimination.enabled": "false",
    # a field too many goes unnoticed where columns are pruned while parsing
    "spark.sql.csv.parser.columnPruning.enabled": "false",
}
_SESSION = {
    **_DELTA,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionOverwriteMode": "static",
    "spark.sql.streaming.stopTimeout": "60000",
    # compiled code for a stage is big when a job has many rules: past this Spark would interpret it
    "spark.sql.codegen.hugeMethodLimit": "65535",
}
_LOCAL = {
    "spark.master": "local[*]",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}
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


def get_spark(app_name: str = "lakehouse") -> SparkSession:
    """The running session, or a new one that finds Delta, S3A and Kafka; what spark-submit was told is kept.

    Raises LakehouseError where Spark cannot start.
    """
    quiet_driver()
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    try:
        SparkContext._ensure_initialized()  # the JVM first: only then does SparkConf know what spark-submit was told
        conf = SparkConf()
        for key, value in settings(conf.get("spark.master", "local[*]") or "local[*]").items():
            conf.setIfMissing(key, value)
        conf.setIfMissing("spark.app.name", app_name)
        conf.set("spark.ui.showConsoleProgress", "false")  # the jobs' own progress is shown instead
        spark = SparkSession.builder.config(conf=conf).getOrCreate()
    except Exception as error:
        raise LakehouseError(
            f"Spark did not start: {_first_line(error)}; `lakehouse doctor` says what is missing"
        ) from error
    spark.sparkContext.setLogLevel(os.environ.get("LAKEHOUSE_SPARK_LOG", "OFF"))
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        # pyspark logs each wrong query with a Java trace before it raises what we tell in one line
        logging.getLogger(name).disabled = "LAKEHOUSE_SPARK_LOG" not in os.environ
    return spark


def settings(master: str) -> dict[str, str]:
    """The Spark settings for a master; local ones have as many partitions as the machine has cores."""
    chosen = {**_SESSION, **_S3, **_s3_from_environment()}
    if master.startswith("local"):
        cores = str(os.cpu_count() or 2)
        chosen |= {**_LOCAL, "spark.sql.shuffle.partitions": cores, "spark.default.parallelism": cores}
        # Delta reads a table's log in 50 tasks by default: seconds, for logs of a few kilobytes
        chosen |= {"spark.databricks.delta.snapshotPartitions": "2", "spark.master": master}
    return chosen


def job_session(spark: SparkSession, wanted: Mapping[str, object]) -> SparkSession:
    """A session of the job's own over the same Spark: jobs side by side do not mix their settings or views."""
    session = spark.newSession()
    if "io.delta" not in (spark.conf.get("spark.sql.extensions", "") or ""):
        raise ConfigError("this Spark session has no Delta extension; make it with lakehouse.get_spark()")
    # no path in place of a table's name: a job reads what it declares
    for key, value in {**_JOB, "spark.sql.runSQLOnFiles": "false", **wanted}.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if key in _JOB and key in wanted and text != _JOB[key]:
            raise ConfigError(f"spark: '{key}' is fixed at {_JOB[key]}")
        try:
            session.conf.set(key, text)
        except Exception as error:
            raise ConfigError(
                f"spark: '{key}' cannot be set for one job; give it to spark-submit with --conf"
            ) from error
    return session


def quiet_driver() -> None:
    """Sets what the JVM must be told before it starts, where this process is the one that starts it."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return
    options = jvm_options()
    if options and "SPARK_SUBMIT_OPTS" not in os.environ:
        os.environ["SPARK_SUBMIT_OPTS"] = options
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def jvm_options() -> str:
    """The JVM's flags that set-up measured and wrote beside the environment; none where set-up has not run."""
    file = Path(sys.prefix) / "spark" / "jvm.options"
    return file.read_text().strip() if file.exists() else ""


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
