"""What a snapshot sink's options mean for a frame: its columns, and which snapshot a row is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.frames import FILE, col, require_pattern
from lakehouse.history.shape import CURRENT, Selection, kept_columns, keys_of, require_no_clash, spelled
from lakehouse.history.snapshots import IS_DELETED, HardDeletes, SnapshotShape, Strategy


@dataclass(frozen=True)
class SnapshotOptions:
    """The sink's options, as the YAML gives them."""

    keys: Sequence[str]
    columns: Selection
    tracked: Selection
    version_column: str | None
    version_pattern: str | None
    version_type: str
    version_format: str | None
    stored_as: Literal[1, 2]
    strategy: Strategy
    updated_at: str | None
    check_columns: Sequence[str] | Literal["all"] | None
    hard_deletes: HardDeletes | None
    min_rows: int | None
    start: str
    end: str
    current_flag: bool

    @property
    def has_version(self) -> bool:
        """True where the data say which snapshot they are of; else it is the run's start."""
        return self.version_column is not None or self.version_pattern is not None

    @property
    def own(self) -> tuple[str, ...]:
        """The columns that the sink adds."""
        flag = [CURRENT] if self.current_flag else []
        bounds = [self.start, self.end, *flag] if self.stored_as == 2 else []
        return (*bounds, *([IS_DELETED] if self.hard_deletes == "new_record" else []))

    def meaning(self) -> dict[str, object]:
        """What must stay as it is for the accepted versions to keep their meaning."""
        return {
            "keys": list(self.keys), "stored_as": self.stored_as, "strategy": self.strategy,
            "versions": self.stored_as == 2, "start_column": self.start, "end_column": self.end,
            **({"current_flag": True} if self.current_flag else {}),
            **({"version_type": self.version_type} if self.version_pattern and self.version_type != "string" else {}),
        }  # fmt: skip


def snapshot_shape(options: SnapshotOptions, names: Sequence[str]) -> SnapshotShape:
    """What each column is for; raises ValueError for a name that is no column, or a column that the sink adds itself."""
    if options.version_pattern:
        require_pattern(options.version_pattern)
    keys = keys_of(options.keys, names)
    version = spelled([options.version_column], names, "version_column") if options.version_column else ()
    kept = tuple(name for name in kept_columns(options.columns, names, keys) if name not in version)
    since = spelled([options.updated_at], names, "updated_at")[0] if options.updated_at else None
    if since is not None and options.stored_as == 1 and since not in kept:
        raise ValueError(f"'updated_at' names '{since}', which the target does not keep")
    given = options.check_columns
    checked = kept if given is None or given == "all" else spelled(given, kept, "check_columns")
    shape = SnapshotShape(
        keys, kept, checked, options.tracked.of(kept, default=True), options.stored_as == 2, options.strategy,
        options.hard_deletes or ("invalidate" if options.strategy == "full" else "ignore"), since,
        options.start, options.end, CURRENT if options.current_flag else None,
    )  # fmt: skip
    require_no_clash(options.own, (*keys, *kept))
    return shape


def version(options: SnapshotOptions, now: datetime) -> Column:
    """The snapshot that a row is of: its column, what its file's path says, or the run's start."""
    if options.version_column:
        return col(options.version_column)
    if options.version_pattern:
        return version_of_file(col(FILE), options)
    return F.lit(now)


def version_of_file(file: Column, options: SnapshotOptions) -> Column:
    """The version that a file's path tells; NULL where the pattern is not in it."""
    text = F.nullif(F.regexp_extract(file, str(options.version_pattern), 1), F.lit(""))
    if options.version_format:
        return F.try_to_timestamp(text, F.lit(options.version_format)).cast(options.version_type)
    return text.try_cast(options.version_type)
