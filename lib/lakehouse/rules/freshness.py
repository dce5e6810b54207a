"""The rule `freshness`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.measures import Measure, Verdict
from lakehouse.registry import Duration, length_of, set_rule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253_402_300_799_000_000


@set_rule(dimension="timeliness", measures=True)
def freshness(df: DataFrame, *, column: str, within: Duration, now: datetime) -> Measure:
    """The newest value of a date or time column is at most this old when the run starts (`within: 1 day`).

    A date counts from its midnight, UTC. A batch whose rows all have NULL there breaks it; one without rows passes.
    """
    kind = df.select(F.col(column)).schema[0].dataType.simpleString()
    if not kind.startswith(("date", "timestamp")):
        raise ValueError(f"'{column}' is no date or time but a {kind}")
    # what is beyond the year 9999 is new enough, and no time in Python
    newest = F.least(F.unix_micros(F.max(F.col(column).try_cast("timestamp"))), F.lit(_LAST))

    def judge(seen: Mapping[str, Any]) -> Verdict:
        limit = f"within {within}"
        if seen["newest"] is None:
            return Verdict(None, limit, f"no row has {column}" if seen["rows"] else None)
        at = _EPOCH + timedelta(microseconds=seen["newest"])
        late = now - at > length_of(within)
        said = f"the newest {column} is {at:%Y-%m-%d %H:%M:%S}, {now - at} before the run's start, asked is {limit}"
        return Verdict(at.isoformat(), limit, said if late else None)

    return Measure({"rows": F.count(F.lit(1)), "newest": newest}, judge, total=True)
