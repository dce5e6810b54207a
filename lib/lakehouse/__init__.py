"""YAML-driven medallion jobs on Apache Spark and Delta Lake."""

from lakehouse.api import read_table, run
from lakehouse.cli import main
from lakehouse.errors import ConfigError, DataError, LakehouseError, SinkError
from lakehouse.registry import rule, set_rule, sink, source, transform
from lakehouse.session import get_spark

__all__ = [
    "ConfigError",
    "DataError",
    "LakehouseError",
    "SinkError",
    "get_spark",
    "main",
    "read_table",
    "rule",
    "run",
    "set_rule",
    "sink",
    "source",
    "transform",
]
