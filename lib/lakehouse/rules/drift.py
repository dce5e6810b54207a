"""The rule `drift`."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, DateType, NumericType, StringType, TimestampNTZType, TimestampType

from lakehouse.measures import Measure, Verdict
from lakehouse.registry import set_rule

Limit = Annotated[float, Field(gt=0)]
Bins = Annotated[int, Field(ge=2, le=100)]
_LIMITS = {"psi": 0.2, "ks": 0.1}
_STEPS = 100  # quantiles that are kept of a batch's numbers
_KINDS = 50  # values of a text that are told apart; the others are one
_TRACKED = 10_000
_LEAST = 1e-4  # a share of nothing would make the index infinite


@set_rule(dimension="consistency", measures=True)
def drift(
    df: DataFrame, *, column: str, method: Literal["psi", "ks"] = "psi", max: Limit | None = None, bins: Bins = 10,
    profiles: Sequence[Any],
) -> Measure:  # fmt: skip
    """The column's values are spread like those of the job's last five accepted runs; the first run sets the baseline.

    `psi` is the population stability index over `bins` parts of equal weight, at most 0.2; for texts and booleans over
    the 50 most frequent values and the rest. `ks`, for numbers and times alone, is the greatest distance between the two
    distributions, at most 0.1. NULL and NaN are left out. Each run keeps 100 quantiles, or hashes with their shares:
    differences of less than 1% are not seen.
    """
    kind = df.select(F.col(column)).schema[0].dataType
    number = _number(F.col(column), kind)
    greatest = _LIMITS[method] if max is None else max
    if number is not None:
        steps = F.lit([step / _STEPS for step in range(1, _STEPS + 1)])
        spread = F.approx_percentile(number, steps, F.lit(_TRACKED))
    elif isinstance(kind, StringType | BooleanType) and method == "psi":
        spread = F.call_function("approx_top_k", F.xxhash64(F.col(column)), F.lit(_KINDS), F.lit(_TRACKED))
    else:
        raise ValueError(f"'{column}' is {kind.simpleString()}, of which {method} can say nothing")

    def judge(seen: Mapping[str, Any]) -> Verdict:
        if not seen["rows"]:
            return Verdict(None, f"at most {greatest}")
        now = _profile(seen, number is not None)
        known = [profile for profile in profiles if profile.keys() == now.keys()]
        if not known:
            note = f"no earlier run to compare {column} with; this one is the baseline"
            return Verdict(None, f"at most {greatest}", profile=now, note=note)
        value = round(_distance(now, known, method, bins), 6)
        said = f"{column} has drifted: {method} is {value}, asked is at most {greatest}" if value > greatest else None
        return Verdict(value, f"at most {greatest}", said, profile=now)

    rows = F.count(F.col(column) if number is None else number)
    return Measure({"rows": rows, "spread": spread}, judge, total=True)


def _number(value: Column, kind: DataType) -> Column | None:
    """The value as a double, NaN as NULL; None where it is no number and no time."""
    if isinstance(kind, DateType):
        return F.unix_date(value).cast("double")
    if isinstance(kind, TimestampType | TimestampNTZType):
        return F.unix_micros(value.try_cast("timestamp")).cast("double")
    if isinstance(kind, NumericType):
        return F.nullif(value.cast("double"), F.lit(math.nan))
    return None


def _profile(seen: Mapping[str, Any], is_number: bool) -> dict[str, Any]:
    if is_number:
        return {"quantiles": list(seen["spread"])}
    shares = {str(item["item"]): item["count"] / seen["rows"] for item in seen["spread"] if item["item"] is not None}
    return {"shares": shares}


def _distance(now: Mapping[str, Any], known: Sequence[Mapping[str, Any]], method: str, bins: int) -> float:
    if "shares" in now:
        names = {name for profile in known for name in profile["shares"]}
        before = [sum(profile["shares"].get(name, 0.0) for profile in known) / len(known) for name in sorted(names)]
        after = [now["shares"].get(name, 0.0) for name in sorted(names)]
        return _index([*before, 1 - sum(before)], [*after, 1 - sum(after)])
    pooled = sorted(value for profile in known for value in profile["quantiles"])
    if method == "ks":
        points = {*pooled, *now["quantiles"]}
        return max(abs(_below(pooled, point) - _below(now["quantiles"], point)) for point in points)
    edges = sorted({pooled[math.ceil(len(pooled) * part / bins) - 1] for part in range(1, bins)})
    return _index(_parts(pooled, edges), _parts(now["quantiles"], edges))


def _below(values: Sequence[float], point: float) -> float:
    """The share of the values up to a point."""
    return sum(value <= point for value in values) / len(values)


def _parts(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    """The share of the values between each edge and the one before it, and beyond the last."""
    below = [0.0, *(_below(values, edge) for edge in edges), 1.0]
    return [after - before for before, after in pairwise(below)]


def _index(before: Sequence[float], after: Sequence[float]) -> float:
    """The population stability index: the sum of (a - b) * ln(a / b)."""
    pairs = [(max(one, _LEAST), max(other, _LEAST)) for one, other in zip(before, after, strict=True)]
    return sum((other - one) * math.log(other / one) for one, other in pairs)
