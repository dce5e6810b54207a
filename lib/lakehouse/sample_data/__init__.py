"""The example shop's landing data: dirty the way real data is, the same bytes for the same seed, scale and day."""

from __future__ import annotations

from pathlib import Path

from lakehouse.sample_data.dirt import DIRT, Dirt
from lakehouse.sample_data.feeds import Column, Feed, feeds

__all__ = ["DIRT", "Column", "Dirt", "Feed", "feeds", "write_shop"]


def write_shop(folder: Path, *, first_day: int = 1, days: int, scale: float = 1.0, seed: int = 7) -> list[Path]:
    """Writes the files that land on days `first_day` to `first_day + days - 1` and returns them all, in the order written.

    Day 1 is 2026-01-01; scale 1 is 1,000 orders a day. A day's files depend on seed, scale and day alone, byte for byte,
    whatever other days are written. Each file appears whole (written beside, then renamed); one that is there already
    with the same content is left untouched. ValueError for a day, a count or a scale that makes no shop.
    """
    from lakehouse.sample_data.write import write_days  # numpy and Arrow are loaded only where data is made

    return write_days(Path(folder), range(first_day, first_day + days), scale=scale, seed=seed)
