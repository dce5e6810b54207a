"""Where a Debezium change stands in the log of its source, connector by connector.

PostgreSQL: lsn. MySQL and MariaDB: the number of the binlog file, pos, row. SQL Server, Db2 and Informix: commit_lsn,
change_lsn, event_serial_no. Oracle: scn, rs_id, ssn. MongoDB: the cluster's time, ord. Any other has no position, and is
ordered by the commit's time. Positions of two sources, or of one before and after its log was reset, do not compare.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.cdc_formats.flat_rows import digits, sequence_of
from lakehouse.cdc_formats.json_parts import Part, texts

SOURCE = texts(
    "ts_ms", "ts_us", "ts_ns", "lsn", "file", "pos", "row", "commit_lsn", "change_lsn", "event_serial_no",
    "scn", "rs_id", "ssn", "ord",
)  # fmt: skip
"""What is read of an envelope's source block where it is text."""


def sequence_in(source: Part | None) -> tuple[Column, Column]:
    """Position and commit time as one value, and whether the source says either."""
    if source is None:
        return sequence_of(F.lit(""), F.lit(None).cast("timestamp")), F.lit(False)
    position, time = _position(source), _committed_at(source)
    return sequence_of(F.coalesce(position, F.lit("")), time), position.isNotNull() | time.isNotNull()


def _position(source: Part) -> Column:
    file = F.regexp_extract(source.text("file"), "([0-9]+)$", 1)  # binlog.1000 comes after binlog.999
    ways = [
        _placed(digits(source.text("lsn"))),
        _placed(digits(F.nullif(file, F.lit(""))), digits(source.text("pos")), digits(source.text("row"), 10)),
        _placed(
            _lsn(source.text("commit_lsn")), _lsn(source.text("change_lsn")), digits(source.text("event_serial_no"))
        ),
        _placed(digits(source.text("scn")), F.trim(source.text("rs_id")), digits(source.text("ssn"))),
        F.when(source.text("ord").isNotNull(), _placed(digits(source.text("ts_ms")), digits(source.text("ord")))),
    ]
    return F.coalesce(*ways)


def _placed(first: Column, *others: Column) -> Column:
    """The parts as one text; NULL without the first, an empty place for another that is not given (in a snapshot)."""
    rest = [F.coalesce(part, F.lit("")) for part in others]
    return F.when(first.isNotNull(), F.concat_ws("/", first, *rest))


def _lsn(value: Column) -> Column:
    """A log sequence number: of hexadecimal parts of one width each (SQL Server, Db2), or a plain number (Informix)."""
    return F.when(value.rlike("^[0-9]+$"), digits(value)).otherwise(F.lower(value))


def _committed_at(source: Part) -> Column:
    """The commit's time, as finely as the source gives it."""
    nanos = F.floor(source.text("ts_ns").try_cast("decimal(20,0)") / 1000).cast("bigint")
    micros = source.text("ts_us").try_cast("bigint")
    millis = source.text("ts_ms").try_cast("decimal(15,0)").cast("bigint") * 1000
    return F.timestamp_micros(F.coalesce(nanos, micros, millis))
