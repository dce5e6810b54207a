"""The sink `append`."""

from dataclasses import replace

from pyspark.sql import DataFrame

from lakehouse.commits import CommitInfo
from lakehouse.lake import snapshot
from lakehouse.registry import Name, sink
from lakehouse.targets import Write, Written, aligned, earlier_write, save_rows


@sink
def append(df: DataFrame, write: Write, *, table: Name) -> Written:
    """Adds the rows, once per batch however often that batch is repeated."""
    before = snapshot(write.spark, write.layout.table(table))
    earlier = earlier_write(before, write)
    if earlier is not None:
        return replace(_written(table, earlier, ()), repeated=True)
    rows, ignored = aligned(df, before, write, table)
    return _written(table, save_rows(rows, before, write, table, mode="append"), tuple(ignored))


def _written(table: str, info: CommitInfo, ignored: tuple[str, ...]) -> Written:
    rows = info.metrics.get("numOutputRows", 0)
    return Written(table, info.version, rows, inserted=rows, target_inserted=rows, ignored=ignored)
