"""Casts under a contract, against a reference in plain Python."""

from __future__ import annotations

import re
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql.types import StructType

from lakehouse import runs
from lakehouse.conform import Shape, conform
from lakehouse.frames import REASONS

DIGITS = st.from_regex(r"\A ?[+-]?[0-9]{1,12} ?\Z")
TEXTS = st.one_of(st.none(), DIGITS, st.sampled_from(["", "  ", "abc", "12,50", "1.5", "true", "NaN", "0x1", "2147483648", "-2147483648"]),
                  st.text(alphabet="0123456789.-+ ex", max_size=6))  # fmt: skip


def as_int(text: str | None) -> tuple[int | None, bool]:
    """The value and whether the row is broken: what Spark's ANSI cast to int takes, blank is none."""
    if text is None or not text.strip():
        return None, False
    if not re.fullmatch(r"[+-]?[0-9]+", text.strip()):
        return None, True
    value = int(text)
    return (value, False) if -(2**31) <= value < 2**31 else (None, True)


def as_decimal(text: str | None) -> tuple[Decimal | None, bool]:
    """The same for decimal(10,2), of plain numbers with two places at most."""
    if text is None or not text.strip():
        return None, False
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]{1,2})?", text.strip()):
        return None, True
    value = Decimal(text.strip())
    return (value, False) if abs(value) < 10**8 else (None, True)


def conformed(spark, texts: list[str | None], kind: str):
    frame = spark.createDataFrame([(text,) for text in texts], "x string")
    shape = Shape(StructType.fromDDL(f"x {kind}"), False, None, frozenset(), "run", runs.now())
    return [(row["x"], bool(row[REASONS])) for row in conform(frame, shape).collect()]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=30))
def test_a_text_becomes_a_whole_number_or_a_reason(spark, texts):
    assert conformed(spark, texts, "int") == [as_int(text) for text in texts]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.one_of(DIGITS, st.from_regex(r"\A-?[0-9]{1,9}\.[0-9]{1,2}\Z"), st.sampled_from(["", "abc", None])),
        min_size=1,
        max_size=30,
    )
)
def test_a_text_becomes_an_exact_decimal_or_a_reason(spark, texts):
    assert conformed(spark, texts, "decimal(10,2)") == [as_decimal(text) for text in texts]
