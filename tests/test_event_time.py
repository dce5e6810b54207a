"""Event time: what a stream with windows gives, what comes too late, and that every row read is accounted for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from conftest import balanced

SOURCE = "bronze.words"
WINDOWS = """
layer: gold
source: {delta: {table: bronze.words}}
read: incremental
stream: {watermark: {column: at, delay: 10 minutes}}
transforms:
  - window: {time_column: at, size: 10 minutes, slide: 5 minutes, group_by: [word], measures: {words: count(*)}}
sink: {append: {table: gold.words}}
"""


def at(text: str) -> datetime:
    """A time of the day of the tests, `12:14` or `12:14:30`."""
    return datetime.fromisoformat(f"2026-01-01 {text}").replace(tzinfo=UTC)


def add(spark, project, rows, table=SOURCE, schema="at timestamp, word string"):
    """One commit of rows to a table."""
    path = str(project.lake / table.replace(".", "/"))
    spark.createDataFrame(rows, schema).coalesce(1).write.format("delta").mode("append").save(path)


def shown(rows, *columns):
    """Rows as short texts: times of the day, others as they are."""
    return sorted(
        tuple(f"{row[name]:%H:%M}" if isinstance(row[name], datetime) else row[name] for name in columns)
        for row in rows
    )


def test_windows_of_sparks_guide_row_for_row(spark, project):
    """The guide's example: 10-minute windows every 5 minutes, a watermark of 10 minutes, triggers at 12:05 to 12:25."""
    project.job("words", WINDOWS)
    triggers = [
        [("12:07", "dog"), ("12:08", "owl")],
        [("12:14", "dog"), ("12:09", "cat")],
        [("12:15", "cat"), ("12:08", "dog"), ("12:13", "owl"), ("12:21", "owl")],
        [("12:17", "owl"), ("12:04", "donkey")],
    ]
    records = []
    for rows in triggers:
        add(spark, project, [(at(time), word) for time, word in rows])
        records.append(project.run("words"))
    first = [("12:00", "12:10", "cat", 1), ("12:00", "12:10", "dog", 2), ("12:00", "12:10", "owl", 1)]
    given = shown(project.rows("gold.words"), "window_start", "window_end", "word", "words")
    assert given == first
    late = shown(project.rows("gold.words__late"), "at", "word", "_watermark", "_window_start", "_window_end")
    assert late == [
        ("12:04", "donkey", "12:11", "11:55", "12:05"), ("12:04", "donkey", "12:11", "12:00", "12:10"),
    ]  # fmt: skip
    assert all(map(balanced, records))
    assert [record.rows_late for record in records] == [0, 0, 0, 1]
    print(records[-1])
