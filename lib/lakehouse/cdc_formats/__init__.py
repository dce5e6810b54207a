"""Change data in formats known by name: each module turns its records into flat rows; here is what all of them promise.

A flat row has the columns of the table at the source and, named with an underscore, what the record says of it:

- `_operation`: insert, update, delete, truncate, or read (a row of a snapshot or a full load).
- `_sequence`: struct<position: string, committed_at: timestamp>. The position in the source's log as a text that sorts
  like it, then the commit's time, UTC; a part that the source does not give is empty or NULL, and sorts first.
- `_before`: the row before the change, as a struct; NULL, or no such column, where the record does not say.
- `_unavailable`: the columns whose value the record leaves out although it did not change; NULL where there is none.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

CdcFormat = Literal["debezium", "dms"]
"""The modules of this package that are formats."""

CdcColumns = dict[Literal["operation", "position", "commit_time"], str]
"""What the source calls the columns that a format looks for, where it does not use the format's own names."""

OPERATION, SEQUENCE, BEFORE, UNAVAILABLE = "_operation", "_sequence", "_before", "_unavailable"
COLUMNS = (OPERATION, SEQUENCE, BEFORE, UNAVAILABLE)
INSERT, UPDATE, DELETE, TRUNCATE, READ = "insert", "update", "delete", "truncate", "read"

DEFAULTS: Mapping[str, Any] = {
    "sequence_by": [SEQUENCE],
    "apply_as_deletes": f"{OPERATION} = '{DELETE}'",
    "apply_as_truncates": f"{OPERATION} = '{TRUNCATE}'",
    "delete_when": f"{OPERATION} = '{DELETE}'",
}
"""What a sink's options are where its job's source has a `cdc_format` and the YAML does not say."""

WITHOUT_TRUNCATES = ("dms",)
"""The formats that never tell of one: looking for them costs a sink something."""

KEYS_UNKNOWN = "a {} record does not say which of its columns are the key: name them, keys: [id]"
ORDER_UNKNOWN = {
    "debezium": "",
    "dms": "no column orders the changes: let DMS write one, with a transformation rule (add-column AR_H_CHANGE_SEQ, "
    "expression $AR_H_CHANGE_SEQ) or the endpoint's TimestampColumnName, and name it where it is called otherwise: "
    "cdc_columns: {position: ...} or {commit_time: ...}",
}
"""What to say where `_sequence` is not there."""


def with_defaults(given: Mapping[str, Any], options: set[str], source: Mapping[str, Any]) -> dict[str, Any]:
    """A sink's options with what the source's `cdc_format` says of them; what the YAML gives wins.

    `except_column_list` gets the format's columns beside those of the YAML; one that is wanted goes into `column_list`.
    """
    cdc_format = source.get("cdc_format")
    if not cdc_format:
        return dict(given)
    asked = options - {"apply_as_truncates"} if cdc_format in WITHOUT_TRUNCATES else options
    found = {name: value for name, value in DEFAULTS.items() if name in asked}
    dropped = given.get("except_column_list") or []
    if "except_column_list" in options and not given.get("column_list") and isinstance(dropped, list | str):
        listed = [dropped] if isinstance(dropped, str) else dropped
        return {**found, **given, "except_column_list": list(dict.fromkeys([*listed, *COLUMNS]))}
    return {**found, **given}


def flattened(
    rows: DataFrame, cdc_format: CdcFormat | None, columns: CdcColumns | None, fields: StructType | None
) -> DataFrame:
    """A source's records as flat rows, one each; the frame itself where there is no format.

    `fields` are the flat row's columns, where they are known. A record that makes no row is flagged, see `flat_rows`.
    Raises ValueError where the frame cannot be of the format.
    """
    if cdc_format is None:
        if columns is not None:
            raise ValueError("'cdc_columns' needs a 'cdc_format'")
        return rows
    module = importlib.import_module(f"{__name__}.{cdc_format}")
    own = None if fields is None else {field.name: field.dataType for field in fields if field.name not in COLUMNS}
    found: DataFrame = module.flat(rows, columns or {}, own)
    return found
