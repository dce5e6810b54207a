"""In which files a batch's broken rows are: noted in the pass over it, so that what reads them again reads no other file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.batches.batch_rows import Batch, checked
from lakehouse.frames import FATE, FILE, REPLAYED, TAKEN_FROM, col
from lakehouse.quality import VALID

_NOTED = "broken_files"
_HASHES = 32_768  # bits of Spark's bitmap: 4 KiB, whatever the number of files and rows
_MANY = 4_096  # hashes that are not worth to be listed in a query


def checked_by_file(batch: Batch, raw: DataFrame) -> DataFrame:
    """The conformed frame with each row's fate and, where `noted` can use it, its file."""
    # replayed rows are read by their ids; a set rule judges a row by others, which must be read with it
    if FILE not in raw.columns or REPLAYED in raw.columns or any(rule.flags for rule in batch.plan.rules):
        return checked(batch, raw)
    return checked(batch, raw.withColumn(TAKEN_FROM, col(FILE)))


def noted(checked_rows: DataFrame) -> list[Column]:
    """What notes the files of the rows that are not valid, each as a hash; several files may share one."""
    if TAKEN_FROM not in checked_rows.columns:
        return []
    broken = F.when(col(FATE) > VALID, _hash(TAKEN_FROM).cast("bigint"))
    return [F.call_function("bitmap_construct_agg", broken).alias(_NOTED)]


def broken_files_of(found: Mapping[str, Any]) -> frozenset[int] | None:
    """The hashes of all files with a row that is not valid; None where none were noted, or too many."""
    if found.get(_NOTED) is None:
        return None
    bits = int.from_bytes(found[_NOTED], "little")
    return frozenset(place for place in range(_HASHES) if bits >> place & 1) if bits.bit_count() <= _MANY else None


def in_broken_files(raw: DataFrame, hashes: frozenset[int] | None) -> DataFrame:
    """The rows of the files that may have broken ones: of all where these are not known."""
    if hashes is None:
        return raw
    return raw.where(_hash(FILE).isin(*sorted(hashes)))


def _hash(name: str) -> Column:
    return F.pmod(F.hash(col(name)), F.lit(_HASHES))
