"""Where a job begins to read, where it went on to, and what the brokers do not have any more of that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.kafka.topics import Topic

Start = str | dict[str, dict[str, int]]
"""`earliest`, `latest`, a time (ISO 8601), or offsets by topic and partition."""

Taken = Mapping[str, Mapping[str, int]]
"""By topic and partition (as text, as Spark's checkpoint has it) the offset to read next."""

EARLIEST = -2  # as Spark writes it
_WORDS = ("earliest", "latest")


@dataclass(frozen=True)
class Loss:
    """A partition that cannot be read on from where the job was: the offset it wants, and the first that is there."""

    topic: str
    partition: int
    wanted: int
    earliest: int
    is_anew: bool

    def __str__(self) -> str:
        why = "the topic was deleted and made anew" if self.is_anew else "what came before is gone by retention"
        return (
            f"topic {self.topic} partition {self.partition}: wanted offset {self.wanted}, "
            f"the earliest is {self.earliest} ({why})"
        )


def start_problem(start: Start) -> str | None:
    """What is wrong with `starting_offsets`; None where nothing is."""
    if isinstance(start, dict):
        if not all(isinstance(offsets, dict) and all(map(_is_offset, offsets.values())) for offsets in start.values()):
            return 'starting_offsets: offsets are numbers by topic and partition: {orders: {"0": 120}}'
        bad = [part for partitions in start.values() for part in partitions if not (part.isascii() and part.isdigit())]
        return f"starting_offsets: '{bad[0]}' is no partition's number" if bad else None
    if start in _WORDS:
        return None
    try:
        datetime.fromisoformat(start)
    except ValueError:
        return f"starting_offsets: '{start}' is neither earliest, latest, a time (2026-11-01T00:00:00Z) nor offsets by topic"
    return None


def _is_offset(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= EARLIEST


def start_options(start: Start, topics: Mapping[str, Topic]) -> dict[str, str]:
    """Spark's options for the first start; partitions that a map does not name begin with their earliest message.

    A time means the first message of that time or later, and what comes next where there is none yet.
    """
    if isinstance(start, dict):
        chosen = {
            name: {str(number): start.get(name, {}).get(str(number), EARLIEST) for number in topic.partitions}
            for name, topic in topics.items()
        }
        return {"startingOffsets": json.dumps(chosen)}
    if start in _WORDS:
        return {"startingOffsets": start}
    moment = datetime.fromisoformat(start)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return {
        "startingTimestamp": str(int(moment.timestamp() * 1000)),
        "startingOffsetsByTimestampStrategy": "latest",
    }


def losses(taken: Taken, topics: Mapping[str, Topic], known: Mapping[str, str]) -> Iterator[Loss]:
    """The partitions whose next offset is not there any more; `known` are the ids of the topics as they were read.

    A partition that is new begins at 0.
    """
    for name, topic in topics.items():
        is_anew = known.get(name, topic.id) != topic.id
        for number, (earliest, latest) in topic.partitions.items():
            wanted = taken.get(name, {}).get(str(number), 0)
            if is_anew or not earliest <= wanted <= latest:
                yield Loss(name, number, wanted, earliest, is_anew or wanted > latest)
