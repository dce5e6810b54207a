"""What `lakehouse sql` does: one query over the lake's tables, under the names that the YAML has for them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse import api
from lakehouse.commands.look_reports import rows_text
from lakehouse.config.project_files import job_files
from lakehouse.errors import ConfigError, did_you_mean
from lakehouse.personal import personal_by_table
from lakehouse.sql_text import dotted_names, is_query
from lakehouse.storage import folders
from lakehouse.table_log import opened
from lakehouse.tables import Layout, is_table_name
from lakehouse.terminal import width

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class _Table:
    """A table of the query as it is read; `hidden` are its personal columns, in lower case."""

    name: str
    path: str
    version: int
    hidden: frozenset[str]


def sql(options: argparse.Namespace) -> int:
    """Prints the rows of a query; nothing can be written by one. Personal columns are read as ***, others of them as NULL."""
    query = sys.stdin.read() if options.query == "-" else options.query
    if not is_query(query):
        raise ConfigError("only one SELECT (or WITH ... SELECT) is run here: the lake is written by jobs alone")
    layout = api.layout()
    found = _tables(layout, query, options.as_of)
    personal = personal_by_table(found, job_files(api.conf_or_cwd()))
    tables = [
        _Table(name, layout.table(name), table.version(), frozenset(personal[name] & _columns(table)))
        for name, table in found.items()
    ]
    rows = _rows(query, tables, options.limit + 1)
    _tell_hidden(tables)
    if options.json:
        for row in rows[: options.limit]:
            print(json.dumps(row, default=str))
    elif rows:
        print(rows_text(rows[: options.limit], width()))
    else:
        print("no rows")
    if len(rows) > options.limit:
        print(f"(the first {options.limit} rows; --limit N shows more)", file=sys.stderr)
    return 0


def _tables(layout: Layout, query: str, at: str | None) -> dict[str, Any]:
    """The lake's tables that a query names, as they were at a time; raises ConfigError for one that is not there (yet)."""
    known: dict[str, Any] = {}
    for name, is_table in dotted_names(query).items():
        table = opened(layout.table(name), layout.root, at=at) if is_table_name(name) else None
        if table is not None:
            known[name] = table
        elif is_table:
            layers = [layer for layer in folders(layout.root) if not layer.startswith(("_", "."))]
            there = [f"{layer}.{table}" for layer in layers for table in folders(layout.join(layer))]
            raise ConfigError(f"there is no table {name} in {layout.root}.{did_you_mean(name, there)}")
    return known


def _columns(table: Any) -> set[str]:
    return {field.name.lower() for field in table.schema().fields}


def _rows(query: str, tables: Sequence[_Table], most: int) -> list[dict[str, Any]]:
    from lakehouse import frames, lake
    from lakehouse.session import get_spark, job_session
    from lakehouse.spark_errors import readable

    session = job_session(get_spark("sql", short=True), {})
    try:
        given = {
            table.name: _without_personal(lake.read(session, table.path, table.version), table.hidden)
            for table in tables
        }
        found = frames.query(session, query, given).limit(most).collect()
    except ValueError as error:
        raise ConfigError(str(error).split(" is not among")[0] + " is no table of the lake") from error
    except Exception as error:
        raise _one_line(error, readable(error)) from error
    return [row.asDict(recursive=True) for row in found]


def _one_line(error: Exception, known: BaseException) -> BaseException:
    from pyspark.errors import AnalysisException, ParseException

    is_mistake = isinstance(error, AnalysisException | ParseException)
    return ConfigError(str(error).strip().split("\n")[0]) if is_mistake else known


def _without_personal(rows: DataFrame, columns: Collection[str]) -> DataFrame:
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType

    from lakehouse.frames import col

    chosen = []
    for field in rows.schema:
        value = col(field.name)
        if field.name.lower() in columns:
            hidden = F.lit("***") if isinstance(field.dataType, StringType) else F.lit(None).cast(field.dataType)
            value = F.when(value.isNotNull(), hidden).alias(field.name)
        chosen.append(value)
    return rows.select(*chosen)


def _tell_hidden(tables: Iterable[_Table]) -> None:
    for table in tables:
        if table.hidden:
            said = f"{table.name}: personal, so read as *** or NULL: {', '.join(sorted(table.hidden))}"
            print(f"({said})", file=sys.stderr)
