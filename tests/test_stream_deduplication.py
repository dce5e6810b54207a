"""Deduplication within a watermark: both branches of its query read one shuffle, and what is broken touches neither."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from conftest import balanced

SCHEMA = "n bigint, word string, at timestamp, size int, Note string"
JOB = """
layer: silver
source: {{delta: {{table: bronze.words}}}}
read: incremental
stream: {{watermark: {{column: at, delay: 10 minutes}}}}
rules:
  - in_range: {{column: size, min: 0}}
  - in_range: {{column: size, max: 9, on_fail: warn}}
transforms:
  - deduplicate: {{keys: [{keys}], within: 10 minutes}}
sink: {{append: {{table: silver.words}}}}
"""


def at(text):
    """A time of the day of the tests, None of none."""
    return datetime.fromisoformat(f"2026-01-01 {text}").replace(tzinfo=UTC) if text else None


def add(spark, project, rows):
    """One commit of rows to the source, in two files."""
    frame = spark.createDataFrame([(n, word, at(time), size, note) for n, word, time, size, note in rows], SCHEMA)
    frame.repartition(2).write.format("delta").mode("append").save(str(project.lake / "bronze/words"))


def plans_with_state(spark):
    """The text of each plan that removed repeats within a watermark, by the number of its execution."""
    done = spark._jsparkSession.sharedState().statusStore().executionsList()
    listed = [done.apply(index) for index in range(done.size())]
    texts = {item.executionId(): item.physicalPlanDescription() for item in listed}
    return {number: text for number, text in texts.items() if "StreamingDeduplicateWithinWatermark" in text}


@pytest.mark.parametrize("keys", ["WORD, n", "n, word, size, at", "n, word, size, at, note"])
def test_what_is_broken_is_neither_remembered_nor_moves_the_watermark(spark, project, keys):
    project.job("first", JOB.format(keys=keys))
    before = set(plans_with_state(spark))
    add(
        spark,
        project,
        [
            (1, "cat", "12:00", 3, "a"),
            (1, "cat", "12:00", 3, "a"),
            (2, "dog", "12:05", 12, None),
            (3, "owl", "18:00", -1, "it would move the watermark"),
            (4, "emu", None, 1, "b"),
            (5, None, "12:01", 2, "c"),
        ],
    )
    first = project.run("first")
    add(
        spark,
        project,
        [
            (1, "cat", "12:00", 3, "a"),
            (3, "owl", "12:04", 1, "it would move the watermark"),
            (5, None, "12:01", 2, "c"),
            (6, "bee", "11:50", 2, "d"),
        ],
    )
    second = project.run("first")
    assert balanced(first) and balanced(second)
    names = ("rows_read", "rows_valid", "rows_dropped", "rows_quarantined", "rows_warned", "rows_late")
    counts = [tuple(getattr(record, name) for name in names) for record in (first, second)]
    assert counts == [(6, 3, 1, 2, 1, 0), (4, 1, 2, 0, 0, 1)]
    kept = sorted((row["n"], row["word"], row["at"], row["size"], row["Note"]) for row in project.rows("silver.words"))
    assert kept == [
        (1, "cat", at("12:00"), 3, "a"),
        (2, "dog", at("12:05"), 12, None),
        (3, "owl", at("12:04"), 1, "it would move the watermark"),
        (5, None, at("12:01"), 2, "c"),
    ]
    late = [(row["n"], row["at"], row["_watermark"]) for row in project.rows("silver.words__late")]
    assert late == [(6, at("11:50"), at("11:55"))]
    broken = sorted(project.rows("silver.words__quarantine"), key=lambda row: row["row"])
    assert [json.loads(row["row"]) for row in broken] == [
        {"n": 3, "word": "owl", "at": "2026-01-01T18:00:00.000000Z", "size": -1, "Note": "it would move the watermark"},
        {"n": 4, "word": "emu", "at": None, "size": 1, "Note": "b"},
    ]
    assert [[reason["rule"] for reason in row["reasons"]] for row in broken] == [["in_range(size)"], ["deduplicate"]]
    shared = len(keys.split(",")) <= 4
    plans = {number: text for number, text in plans_with_state(spark).items() if number not in before}
    assert len(plans) >= 2
    for text in plans.values():
        assert text.count("- Exchange hashpartitioning") == 1, text
        assert ("ReusedExchange" in text and text.count("Scan ") == 1) or not shared, text
