"""The rows of a batch whose source cannot give them twice alike: copied once, beside the job's progress."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession

from lakehouse.storage import delete_tree, folders, read_text

ROWS = "rows"


def is_kept(path: str) -> bool:
    """True where a copy is whole: one that was cut off counts as none."""
    return read_text(f"{path}/_SUCCESS") is not None


def kept(spark: SparkSession, path: str, rows: Callable[[], DataFrame]) -> DataFrame:
    """The frame over the copy, which is made first where there is none."""
    if not is_kept(path):
        rows().write.mode("overwrite").parquet(path)
    return spark.read.parquet(path)


def forget_rows(folder: str, current: str) -> None:
    """Drops all copies below a folder but what the `current` one has beside its rows: its batch is finished."""
    for name in folders(folder):
        if name != current:
            delete_tree(f"{folder}/{name}")
    delete_tree(f"{folder}/{current}/{ROWS}")
