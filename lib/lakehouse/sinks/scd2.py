"""The sink `scd2`."""

from typing import Literal

from pyspark.sql import DataFrame

from lakehouse.change_data.apply import apply
from lakehouse.change_data.unfit import why_invalid, with_late
from lakehouse.history.shape import Options, Selection
from lakehouse.registry import Columns, Duration, Name, Sql, sink
from lakehouse.targets import Write, Written


@sink(set_semantics=True, guard=why_invalid, late=with_late, asks_for_file=True)
def scd2(
    df: DataFrame,
    write: Write,
    *,
    table: Name,
    keys: Columns,
    sequence_by: Columns,
    apply_as_deletes: Sql | None = None,
    column_list: Columns | None = None,
    except_column_list: Columns | None = None,
    ignore_null_updates: bool = False,
    ignore_null_updates_column_list: Columns | None = None,
    ignore_null_updates_except_column_list: Columns | None = None,
    track_history_column_list: Columns | None = None,
    track_history_except_column_list: Columns | None = None,
    keep_previous: Columns | None = None,
    start_column: str = "__START_AT",
    end_column: str = "__END_AT",
    current_flag: bool = False,
    on_invalid: Literal["error", "quarantine"] = "error",
    state_retention: Duration | None = None,
) -> Written:
    """Every version of each key, from `__START_AT` to `__END_AT` (NULL: still so), whatever the order of arrival.

    A change of a tracked column opens a version; of another column it overwrites the version it falls into.
    """
    options = Options(
        keys,
        sequence_by,
        Selection("", column_list, except_column_list),
        Selection("ignore_null_updates_", ignore_null_updates_column_list, ignore_null_updates_except_column_list),
        Selection("track_history_", track_history_column_list, track_history_except_column_list),
        ignore_all_nulls=ignore_null_updates,
        keep_previous=keep_previous or (),
        versioned=True,
        start=start_column,
        end=end_column,
        current_flag=current_flag,
        state_retention=state_retention,
    )
    return apply(df, write, table, options, deletes=apply_as_deletes)
