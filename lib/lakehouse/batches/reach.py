"""How much a batch reads: its rows, its inputs, and the tables that its sinks look into."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame

from lakehouse import lake
from lakehouse.batches.batch_rows import Batch
from lakehouse.planning.plan import KEEP_EVENTS


def bytes_at_most(batch: Batch, raw: DataFrame) -> int:
    """The bytes of all files that the batch can read; a source that is no file counts as more than any number of them."""
    layout = batch.plan.layout
    places = {layout.table(name) for name in batch.versions}
    for sink in batch.plan.sinks:
        if sink.step.name in KEEP_EVENTS:
            places |= {layout.table(sink.target), layout.state(sink.target)}
        elif sink.step.name == "merge":
            places.add(layout.table(sink.target))
    frame: Any = raw._jdf
    found = int(frame.queryExecution().analyzed().stats().sizeInBytes())
    return found + sum(lake.size(batch.spark, place) for place in places)
