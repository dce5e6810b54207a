"""The sink `overwrite`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pyspark.sql import DataFrame

from lakehouse.commits import CommitInfo
from lakehouse.lake import Snapshot, read, snapshot
from lakehouse.registry import Name, Sql, sink
from lakehouse.targets import Write, Written, aligned, earlier_write, save_rows


@sink
def overwrite(
    df: DataFrame,
    write: Write,
    *,
    table: Name,
    replace_where: Sql | None = None,
    partitions: Literal["dynamic"] | None = None,
) -> Written:
    """Replaces the table, the rows of `replace_where`, or (`partitions: dynamic`) the partitions that the rows fall into."""
    if replace_where is not None and partitions is not None:
        raise ValueError("'replace_where' and 'partitions' exclude each other")
    if partitions is not None and not write.settings.partition_by:
        raise ValueError("'partitions: dynamic' needs 'partition_by'")
    whole = replace_where is None and partitions is None
    before = snapshot(write.spark, write.layout.table(table))
    earlier = earlier_write(before, write)
    if earlier is not None:
        return replace(_written(table, earlier, _gone(write, table, earlier, whole), ()), repeated=True)
    rows, ignored = aligned(df, before, write, table, replaces=whole and write.settings.evolve)
    options: dict[str, str] = {}
    if partitions is not None:
        options["partitionOverwriteMode"] = "dynamic"
    elif before is not None and replace_where is not None:
        options["replaceWhere"] = replace_where
    elif before is not None and write.settings.evolve and _is_other(rows, before, write.settings.partition_by):
        options["overwriteSchema"] = "true"
    info = save_rows(rows, before, write, table, mode="overwrite", options=options)
    return _written(table, info, _gone(write, table, info, whole), tuple(ignored))


def _is_other(rows: DataFrame, before: Snapshot, partition_by: Sequence[str]) -> bool:
    """True where the table gets other columns, or other partitions."""
    other = bool(partition_by) and list(partition_by) != before.partitions
    return other or rows.schema.simpleString() != before.schema.simpleString()


def _gone(write: Write, table: str, info: CommitInfo, whole: bool) -> int:
    """How many rows the commit took away: Delta says so where it rewrote some, else it is all that were there."""
    if not whole or info.version == 0 or "numDeletedRows" in info.metrics:
        return info.metrics.get("numDeletedRows", 0)
    # answered from the table's statistics: no file is read
    return read(write.spark, write.layout.table(table), version=info.version - 1).count()


def _written(table: str, info: CommitInfo, gone: int, ignored: tuple[str, ...]) -> Written:
    rows = info.metrics.get("numOutputRows", 0)
    return Written(table, info.version, rows, inserted=rows, target_inserted=rows, target_deleted=gone, ignored=ignored)
