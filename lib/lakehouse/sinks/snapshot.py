"""The sink `snapshot`."""

from typing import Literal

from pyspark.sql import DataFrame

from lakehouse.change_data.full_snapshots import apply
from lakehouse.history.shape import Selection
from lakehouse.history.snapshot_options import SnapshotOptions
from lakehouse.history.snapshot_sense import require_sense
from lakehouse.registry import Columns, Name, sink
from lakehouse.targets import Write, Written


@sink(asks_for_file=True, sense=require_sense)
def snapshot(
    df: DataFrame,
    write: Write,
    *,
    table: Name,
    keys: Columns,
    version_column: str | None = None,
    version_pattern: str | None = None,
    version_type: str = "string",
    version_format: str | None = None,
    stored_as: Literal[1, 2] = 1,
    strategy: Literal["full", "timestamp", "check"] = "full",
    updated_at: str | None = None,
    check_columns: Literal["all"] | Columns | None = None,
    hard_deletes: Literal["ignore", "invalidate", "new_record"] | None = None,
    min_rows: int | None = None,
    column_list: Columns | None = None,
    except_column_list: Columns | None = None,
    track_history_column_list: Columns | None = None,
    track_history_except_column_list: Columns | None = None,
    start_column: str = "__START_AT",
    end_column: str = "__END_AT",
    current_flag: bool = False,
) -> Written:
    """Full copies of the source, one after the other: the latest rows (`stored_as: 1`), or every version of each (`2`).

    A snapshot's version stands in `version_column` or in the file's path; one that is not newer than the last is skipped.
    """
    options = SnapshotOptions(
        keys, Selection("", column_list, except_column_list),
        Selection("track_history_", track_history_column_list, track_history_except_column_list),
        version_column, version_pattern, version_type, version_format, stored_as, strategy, updated_at, check_columns,
        hard_deletes, min_rows, start_column, end_column, current_flag,
    )  # fmt: skip
    return apply(df, write, table, options)
