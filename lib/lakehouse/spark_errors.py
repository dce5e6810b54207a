"""What Spark says of a failure, as one line that a user can act on."""

from __future__ import annotations

import re

from lakehouse.errors import DataError, LakehouseError, SinkError, Unreachable

_CLASS = re.compile(r"\[([A-Z0-9_.]+)\]")
_CAUSE = re.compile(r"^(?:Caused by: |: )(?:[\w$]+\.)*([\w$]+): ([^\n]+)", re.MULTILINE)
# what a store says, or what is said of one, that works a while later
_PASSING = (
    "AWSStatus500Exception", "AWSServiceThrottledException", "AWSServiceIOException", "AWSClientIOException",
    "AWSApiCallTimeoutException", "ConnectTimeoutException", "SocketTimeoutException", "Connection reset", "SlowDown",
    "Service Unavailable",
)  # fmt: skip
# what is no fault of the file asked for
_OUTAGES = (
    *_PASSING, "SdkClientException", "Connection refused", "ConnectException", "UnknownHostException", "NoRouteToHostException",
    "AccessDenied", "NoSuchBucket", "OutOfMemoryError", "No space left on device",
)  # fmt: skip
_REMEDIES: tuple[tuple[str, type[LakehouseError], str], ...] = (
    ("DELTA_SOURCE_TABLE_IGNORE_CHANGES", DataError, "the source table was updated, not only appended to; read its changes (changes: true) or read it whole (read: full)"),
    ("DELTA_SOURCE_IGNORE_DELETE", DataError, "rows of the source table were deleted; read its changes (changes: true) or read it whole (read: full)"),
    ("DELTA_VERSIONS_NOT_CONTIGUOUS", DataError, "versions of the source table are gone (VACUUM or log retention); run with --full-refresh"),
    ("DELTA_MISSING_CHANGE_DATA", DataError, "the source table keeps no change data; set delta.enableChangeDataFeed = true on it"),
    ("DELTA_SCHEMA_CHANGED", DataError, "the source table's columns changed; run again to go on with the new ones"),
    ("DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE", DataError, "the source table was made anew; run this job with --full-refresh"),
    ("DELTA_REPLACE_WHERE_MISMATCH", SinkError, "a row lies outside of replace_where"),
    ("CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE", DataError, "a column has different types in the files"),
    ("CANNOT_MERGE_SCHEMAS", DataError, "a column has different types in the files"),
    ("CONFLICTING_DIRECTORY_STRUCTURES", DataError, "some folders of the source are named key=value and others are not"),
    ("CONFLICTING_PARTITION_COLUMN_NAMES", DataError, "the source's folders have different keys in key=value"),
    *((sign, Unreachable, "the store does not answer, or refuses for now") for sign in _PASSING),
    ("FAILED_READ_FILE", DataError, "a file cannot be read"),
    ("PATH_NOT_FOUND", DataError, "a file that was listed is gone"),
    ("DELTA_VIOLATE_CONSTRAINT", SinkError, "a row breaks a constraint of the table; add a rule that quarantines such rows"),
    ("DELTA_NOT_NULL_CONSTRAINT_VIOLATED", SinkError, "a row has NULL where the table allows none; add the rule not_null"),
    ("DELTA_CONCURRENT", SinkError, "another writer changed the table meanwhile; run again"),
    ("ConcurrentAppendException", SinkError, "another writer changed the table meanwhile; run again"),
    ("No space left on device", SinkError, "the disk is full; free some space and run again, nothing is lost"),
    ("DELTA_FAILED_TO_MERGE_FIELDS", SinkError, "a column has another type than in the table"),
    ("CAST_INVALID_INPUT", DataError, "a value does not fit the type it is cast to; use try_cast, or a rule that takes such rows out"),
    ("DIVIDE_BY_ZERO", DataError, "an expression divides by zero; use try_divide"),
    ("ARITHMETIC_OVERFLOW", DataError, "a number is too large for its type"),
    ("NoSuchBucket", SinkError, "the bucket does not exist"),
    ("UnknownHostException", Unreachable, "the store's host name cannot be resolved"),
    ("Connection refused", Unreachable, "the store or broker is out of reach"),
    ("AccessDenied", SinkError, "the store refuses these credentials"),
    ("SdkClientException", Unreachable, "the store is out of reach"),
    ("getSubject is not supported", LakehouseError, "this Java is too new for Spark 4.1; it needs 17 or 21: apt-get install openjdk-17-jre-headless"),
    ("OutOfMemoryError", LakehouseError, "the driver ran out of memory; give it more with --driver-memory"),
)  # fmt: skip


def readable(error: BaseException) -> LakehouseError:
    """The error as one line: what it means where that is known, and the first line of what Spark said."""
    text = str(error)
    for sign, kind, meaning in _REMEDIES:
        if sign in text:
            return kind(f"{meaning}: {_shortened(text, sign)}")
    return LakehouseError(f"{type(error).__name__}: {_shortened(text, '')} (--debug shows the whole trace)")


def cause_of(text: str) -> str:
    """The first cause in what Java says of a failure: `EOFException: Unexpected end of input stream`."""
    causes = _CAUSE.findall(text)
    if not causes:
        return _shortened(text, "")
    kind, said = causes[-1]
    return f"{kind}: {said}"[:300]


def is_outage(text: str) -> bool:
    """True where a store or this machine failed, not the file that was read."""
    return any(sign in text for sign in _OUTAGES)


def _shortened(text: str, sign: str) -> str:
    """The line that holds the sign, without values that it may quote."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = next((line for line in lines if sign in line), lines[0] if lines else "")
    if sign in ("CAST_INVALID_INPUT",):
        line = _CLASS.search(line).group(0) if _CLASS.search(line) else ""  # type: ignore[union-attr]
    return line[:400]
