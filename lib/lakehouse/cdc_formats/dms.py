"""The files of AWS DMS: a row a change, its operation in `Op`; a row of a full load has none.

The order is that of AR_H_CHANGE_SEQ, else AR_H_STREAM_POSITION, then of AR_H_TIMESTAMP: columns that a transformation rule
of the DMS task adds, or under the names in `cdc_columns`; the endpoint's TimestampColumnName is a `commit_time`. A row of
a full load is older than every change: one without `Op`, or (IncludeOpForFullLoad) an insert whose position is empty.
BI_<column> is the column's value before the change. DMS tells the update of a key as one row: the old key stays.
CSV files need a header: AddColumnName on the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from lakehouse.cdc_formats import DELETE, INSERT, READ, UPDATE
from lakehouse.cdc_formats.flat_rows import FlatRow, corrupt_text, digits, flat_rows, own_column, sequence_of
from lakehouse.frames import col, own_columns, visible

_OPERATIONS = {"I": INSERT, "INSERT": INSERT, "U": UPDATE, "UPDATE": UPDATE, "D": DELETE, "DELETE": DELETE}
_OPERATION_COLUMNS = ("Op", "AR_H_OPERATION")
_POSITION_COLUMNS = ("AR_H_CHANGE_SEQ", "AR_H_STREAM_POSITION")
_TIME_COLUMN = "AR_H_TIMESTAMP"
_BEFORE = "BI_"
_NUMBERED_FILE = r"^(.*[.])([0-9]+)([:;].*)$"  # MySQL's mysql-bin.000999:154:...


def flat(records: DataFrame, columns: Mapping[str, str], fields: Mapping[str, DataType] | None) -> DataFrame:
    """One flat row per record; without a column that orders the changes there is no `_sequence`.

    Raises ValueError for files without a header.
    """
    if own_column(records, "Op") is None and any(re.fullmatch(r"_c\d+", name) for name in records.columns):
        raise ValueError("the files have no header: set AddColumnName to true on the DMS endpoint")
    code, position = _code(records, columns), _position(records, columns)
    from_load = code.isNull() if position is None else code.isNull() | (code.isin("I", "INSERT") & position.isNull())
    sequence, has_sequence = _sequence(records, columns, position, from_load)
    names = _columns(records, columns, fields)
    row = FlatRow(
        {name: col(name) for name in names},
        F.when(from_load, READ).otherwise(_operation(code)),
        sequence,
        _before(records, names),
        None,
        _broken(records, code, has_sequence),
        F.lit(False),
    )
    return flat_rows(records, row)


def _code(records: DataFrame, columns: Mapping[str, str]) -> Column:
    """The operation as DMS writes it, NULL for a row of a full load."""
    found = _operation_column(records, columns)
    return F.lit(None).cast("string") if found is None else F.nullif(F.upper(F.trim(found)), F.lit(""))


def _operation_column(records: DataFrame, columns: Mapping[str, str]) -> Column | None:
    return _first(records, [columns["operation"]] if "operation" in columns else _OPERATION_COLUMNS)


def _operation(code: Column) -> Column:
    found = F.lit(None).cast("string")
    for written, name in _OPERATIONS.items():
        found = F.when(code == written, name).otherwise(found)
    return found


def _position(records: DataFrame, columns: Mapping[str, str]) -> Column | None:
    """The position as a text that sorts like it: numbers at one width; hexadecimal ones have it already."""
    found = _first(records, [columns["position"]] if "position" in columns else _POSITION_COLUMNS)
    if found is None:
        return None
    text = F.trim(found.cast("string"))
    number = F.regexp_extract(text, _NUMBERED_FILE, 2)
    offset = F.regexp_extract(text, _NUMBERED_FILE, 3)
    in_file = F.concat_ws("/", digits(number), digits(F.regexp_extract(offset, "([0-9]+)", 1)), offset)
    placed = F.when(text.rlike("^[0-9]+$"), digits(text, 40)).when(text.rlike(_NUMBERED_FILE), in_file)
    return F.when(~text.rlike("^0*$"), placed.otherwise(F.lower(text)))


def _sequence(
    records: DataFrame, columns: Mapping[str, str], position: Column | None, from_load: Column
) -> tuple[Column | None, Column]:
    """Position and commit time as one value (None where changes have neither column), and whether the record has either."""
    time = _first(records, [columns.get("commit_time", _TIME_COLUMN)])
    if position is None and time is None and _operation_column(records, columns) is not None:
        return None, F.lit(True)
    committed_at = (F.lit(None) if time is None else time).try_cast("timestamp")
    placed = F.lit(None).cast("string") if position is None else position
    # a change that has only a time is older than any that has a position
    sequence = sequence_of(F.when(from_load, "").otherwise(F.coalesce(placed, F.lit("0"))), committed_at)
    return sequence, from_load | placed.isNotNull() | committed_at.isNotNull()


def _before(records: DataFrame, names: Sequence[str]) -> Column | None:
    """The columns' values before the change; NULL where none is given."""
    found = {name: image for name in names if (image := own_column(records, f"{_BEFORE}{name}")) is not None}
    if not found:
        return None
    is_there = reduce(Column.__or__, [image.isNotNull() for image in found.values()])
    return F.when(is_there, F.struct(*[image.alias(name) for name, image in found.items()]))


def _columns(records: DataFrame, columns: Mapping[str, str], fields: Mapping[str, DataType] | None) -> list[str]:
    """The table's own columns: all but those of DMS, unless the job's contract names them."""
    wanted = {name.lower() for name in fields or {}}
    own = {*_OPERATION_COLUMNS, *_POSITION_COLUMNS, _TIME_COLUMN, *columns.values(), *own_columns(records)}
    technical = {name.lower() for name in own}
    there = {name.lower() for name in records.columns}
    found = []
    for name in visible(records):
        is_image = name.upper().startswith(_BEFORE) and name[len(_BEFORE) :].lower() in there
        if name.lower() in wanted or not (is_image or name.lower() in technical):
            found.append(name)
    return found


def _broken(records: DataFrame, code: Column, has_sequence: Column) -> Column:
    """Why a record is no change and no row of a load; NULL where it is one."""
    return (
        F.when(corrupt_text(records).isNotNull(), "the record could not be parsed")
        .when(~code.isin(*_OPERATIONS), F.concat(F.lit("unknown operation '"), code, F.lit("'")))
        .when(~has_sequence, "a change with neither a position nor a commit time")
    )


def _first(records: DataFrame, names: Sequence[str]) -> Column | None:
    return next((found for name in names if (found := own_column(records, name)) is not None), None)
