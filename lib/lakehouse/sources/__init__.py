"""Sources: one file, one function each, that reads the world into a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql.types import StructType

from lakehouse.tables import Layout


@dataclass(frozen=True)
class Read:
    """What a source may know of the run: where things lie, what is pinned, and which columns are known already."""

    layout: Layout
    root: Path
    layer: str
    incremental: bool = False
    pin: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    taken: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    fields: StructType | None = None  # of the contract
    known: StructType | None = None  # of the target, where the contract is silent
    rescue: bool = False
    widens: bool = False  # the target takes wider types
    start: Mapping[str, Any] = field(default_factory=dict)  # where a stream begins, whatever the options say
    last: Mapping[str, Any] = field(default_factory=dict)  # the pin of the last finished batch, but for its files
    copies: str | None = None  # the folder for copies of a batch's rows; None where only columns are asked for
    repeats: bool = False  # the batch was begun before: its rows are those of then
