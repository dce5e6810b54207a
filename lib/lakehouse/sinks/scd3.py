"""The sink `scd3`."""

from typing import Literal

from pyspark.sql import DataFrame

from lakehouse.change_data.apply import apply
from lakehouse.change_data.unfit import why_invalid, with_late
from lakehouse.history.shape import Options, Selection
from lakehouse.registry import Columns, Duration, Name, Sql, sink
from lakehouse.targets import Write, Written


@sink(set_semantics=True, guard=why_invalid, late=with_late, asks_for_file=True)
def scd3(
    df: DataFrame,
    write: Write,
    *,
    table: Name,
    keys: Columns,
    sequence_by: Columns,
    keep_previous: Columns,
    apply_as_deletes: Sql | None = None,
    column_list: Columns | None = None,
    except_column_list: Columns | None = None,
    ignore_null_updates: bool = False,
    ignore_null_updates_column_list: Columns | None = None,
    ignore_null_updates_except_column_list: Columns | None = None,
    on_invalid: Literal["error", "quarantine"] = "error",
    state_retention: Duration | None = None,
) -> Written:
    """The newest state of each key, and for each column of `keep_previous` the value before its last change and when that was.

    `keep_previous: [city]` adds `previous_city` and `city_changed_at`; both are NULL until the city changes.
    """
    options = Options(
        keys,
        sequence_by,
        Selection("", column_list, except_column_list),
        Selection("ignore_null_updates_", ignore_null_updates_column_list, ignore_null_updates_except_column_list),
        ignore_all_nulls=ignore_null_updates,
        keep_previous=keep_previous,
        state_retention=state_retention,
    )
    return apply(df, write, table, options, deletes=apply_as_deletes)
