"""What a notebook shows of a lake, as HTML: a table's rows, its commits, the events of a key, and how tables are made.

Frames stay plain Spark DataFrames: nothing here changes how Spark shows one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lakehouse import api
from lakehouse.change_data.key_history import key_history
from lakehouse.config.project_files import conf_folder, job_files
from lakehouse.display.commit_list import commit_list
from lakehouse.display.graph import table_graph
from lakehouse.display.key_events import key_events
from lakehouse.display.rows import first_rows
from lakehouse.display.shown import Shown
from lakehouse.errors import ConfigError, DataError
from lakehouse.personal import personal_columns_of
from lakehouse.runs import open_table
from lakehouse.tables import is_table_name


def table(
    name: str, rows: int = 10, *, version: int | None = None, timestamp: str | None = None, as_of: object = None, lake: str | None = None,
) -> Shown:  # fmt: skip
    """The first rows of a table with its columns' types and the number of its rows, as `read_table` would give them.

    What a contract of its jobs calls personal is masked. Raises what `read_table` does.
    """
    found = api.read_table(name, version, timestamp, as_of, lake=lake)
    here = api.conf_or_cwd()
    personal = personal_columns_of(name, job_files(here))
    moment = {"version": version, "timestamp": timestamp, "as_of": as_of}
    said = "".join(f", {what} {value}" for what, value in moment.items() if value is not None)
    return first_rows(found, f"{name}{said}", rows, personal)


def history(name: str, key: object = None, *, limit: int = 20, lake: str | None = None) -> Shown:
    """A table's commits, the newest first: who wrote them, and the rows that each changed.

    With a `key` (its value, or a mapping of the key columns) of a table that change data made: the versions of that key
    from left to right, below them the events that they came from. Raises ConfigError, DataError where there is none.
    """
    if not is_table_name(name):
        raise ConfigError(f"'{name}' is no table's name; it is layer.table, such as silver.orders")
    layout = api.layout(lake)
    if key is not None:
        given = [f"{column}={value}" for column, value in key.items()] if isinstance(key, Mapping) else [str(key)]
        return key_events(key_history(layout, name, given), personal_columns_of(name, job_files(api.conf_or_cwd())))
    opened = open_table(layout.table(name), layout.root)
    if opened is None:
        raise DataError(f"there is no table {name} at {layout.table(name)}")
    return commit_list(name, opened.history(limit))


def lineage(name: str | None = None) -> Shown:
    """What the jobs of the nearest `conf/` read and write, from left to right: all of it, or what one table comes from and
    what comes of it. Raises ConfigError for a job that does not plan, or a table that no job knows.
    """
    return table_graph(api.planned(job_files(conf_folder(Path.cwd())), None), name)
