"""The rule `completeness`."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.measures import Measure, Verdict
from lakehouse.registry import Share, set_rule


@set_rule(dimension="completeness", measures=True)
def completeness(df: DataFrame, *, column: str, min: Share) -> Measure:
    """The column is not NULL in at least this share of the batch's rows; a batch without rows passes."""

    def judge(seen: Mapping[str, Any]) -> Verdict:
        share = seen["there"] / seen["rows"] if seen["rows"] else None
        limit = f"at least {min:.1%}"
        if share is None or share >= min:
            return Verdict(share, limit)
        return Verdict(share, limit, f"{column} is there in {share:.2%} of {seen['rows']} rows, asked is {limit}")

    return Measure({"rows": F.count(F.lit(1)), "there": F.count(F.col(column))}, judge, total=True)
