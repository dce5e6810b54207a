"""Sources: one file, one function each, that reads the world into a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql.types import StructType

from lakehouse.landing.taken import Taken
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
    taken: Mapping[str, Taken] = field(default_factory=dict)
    fields: StructType | None = None  # of the contract
    known: StructType | None = None  # of the target, where the contract is silent
    rescue: bool = False
    widens: bool = False  # the target takes wider types
    start: Mapping[str, Any] = field(default_factory=dict)  # where a stream begins, whatever the options say
    last: Mapping[str, Any] = field(default_factory=dict)  # the pin of the last finished batch, but for its files
    copies: str | None = None  # the folder for copies of a batch's rows; None where only columns are asked for
    repeats: bool = False  # the batch was begun before: its rows are those of then
    moves: bool = False  # what is done may be moved: not by a plan, nor by a rebuild that nobody may see


@dataclass(frozen=True)
class Continued:
    """Where a stream was: by Spark's own names what to read next (None: it begins), and what the source then noted."""

    taken: Mapping[str, Mapping[str, int]] | None
    known: Mapping[str, str]


@dataclass(frozen=True)
class StreamHooks:
    """What a source that streams and reads no table has to say of its streams; each gets the source's options."""

    go_on: Callable[..., tuple[list[Any], dict[str, str]]]
    """Of a Continued: what can no longer be read, each a `Loss`, and what to note."""
    failed: Callable[..., Exception | None]
    """Of what Spark said of a failure: the error that it is, or None."""
    name: Callable[..., str]
    """The input's name in the run record."""
    pin: Callable[..., dict[str, Any]] = lambda **_: {}
    """What messages are read by, where that may change while a stream goes on: each micro-batch is pinned to it."""
