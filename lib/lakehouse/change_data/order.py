"""Whether a batch is newer than every event before it: a history then goes on from its open rows, whatever came earlier.

The newest sequence so far is noted beside the events; of several columns it is the first one's, so that equal ones do not
count as newer. A type that Python orders otherwise than Spark, or a personal value, is not noted: then nothing is known,
nor will it be later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse.frames import HIDDEN_PREFIX, col
from lakehouse.history.events import SEQUENCE
from lakehouse.history.shape import Shape
from lakehouse.key_ranges import metrics
from lakehouse.targets import Write

NEWEST = "newest_sequence"
"""In the note beside events: the greatest sequence of all that ever came."""

_LONG = 100  # characters
_LOWEST, _HIGHEST, _GAPS = f"{HIDDEN_PREFIX}lowest", f"{HIDDEN_PREFIX}highest", f"{HIDDEN_PREFIX}gaps"

_Value = int | Decimal | str


@dataclass(frozen=True)
class Span:
    """The lowest and the highest sequence of a batch."""

    lowest: _Value
    highest: _Value

    def is_newer(self, note: Mapping[str, Any]) -> bool:
        """True where every event is newer than all that this note knows of."""
        return NEWEST in note and _ordered(self.lowest) > _ordered(self._newest(note))

    def noted(self, note: Mapping[str, Any] | None) -> dict[str, int | str]:
        """What the next note says of the newest, after that of the events so far (None before the first); nothing where it is not known."""
        if note is not None and NEWEST not in note:
            return {}
        newest = self.highest if note is None else max(self.highest, self._newest(note), key=_ordered)
        return {NEWEST: str(newest) if isinstance(newest, Decimal) else newest}

    def _newest(self, note: Mapping[str, Any]) -> _Value:
        return type(self.highest)(note[NEWEST])


def spanning(events: DataFrame, known: Sequence[str], shape: Shape, write: Write) -> list[Column]:
    """The aggregates that `span` needs; none where the newest sequence cannot be noted, or does not say all: `known` are
    the columns that earlier events had, and the rows that they made follow from one that is kept no more."""
    stay = {name.lower() for name in (*shape.keys, *shape.kept)}
    if write.masked & {*shape.sequence} or not {name.lower() for name in known} <= stay:
        return []
    value, kind = col(SEQUENCE), events.schema[SEQUENCE].dataType
    if isinstance(kind, StructType):
        value, kind = value.getField(kind.fields[0].name), kind.fields[0].dataType
    if kind.typeName() == "string" and kind.simpleString() != "string":  # in an order of its own
        return []
    found = zip(metrics([value], [kind]), (_LOWEST, _HIGHEST), strict=False)
    return [*(bound.alias(name) for bound, name in found), F.count_if(value.isNull()).alias(_GAPS)]


def span(found: Mapping[str, Any]) -> Span | None:
    """The span out of what `spanning` found; None where it is not known: a NULL within a struct is the lowest of all."""
    if found.get(_GAPS):
        return None
    lowest, highest = (_noted(found.get(name)) for name in (_LOWEST, _HIGHEST))
    return None if lowest is None or highest is None else Span(lowest, highest)


def _noted(value: Any) -> _Value | None:
    """None for text that is long, or that came with bytes that are no text."""
    is_unfit = isinstance(value, str) and (len(value) > _LONG or "\N{REPLACEMENT CHARACTER}" in value)
    return None if is_unfit else value


def _ordered(value: _Value) -> Any:
    """As Spark orders it: text by its bytes."""
    return value.encode() if isinstance(value, str) else value
