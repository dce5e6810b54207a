"""A frame's columns against a database table's: which goes into which, and as what; nothing is rounded or cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql.types import ArrayType, DataType, DecimalType, StructField

from lakehouse.databases.control import Database, Row, asked, identifier
from lakehouse.databases.relations import Column, Table, columns_of
from lakehouse.errors import did_you_mean

# Spark's type: its own in PostgreSQL, and what else takes each of its values
_TYPES: dict[str, tuple[str, frozenset[str]]] = {
    "boolean": ("boolean", frozenset({"bool"})),
    "tinyint": ("smallint", frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})),
    "smallint": ("smallint", frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})),
    "int": ("integer", frozenset({"int4", "int8", "numeric", "float8"})),
    "bigint": ("bigint", frozenset({"int8", "numeric"})),
    "float": ("real", frozenset({"float4", "float8"})),
    "double": ("double precision", frozenset({"float8"})),
    "date": ("date", frozenset({"date", "timestamp"})),
    "timestamp": ("timestamp with time zone", frozenset({"timestamptz", "timestamp"})),
    "timestamp_ntz": ("timestamp", frozenset({"timestamp"})),
    "binary": ("bytea", frozenset({"bytea"})),
    "string": ("text", frozenset({"time", "timetz"})),
}
# what a text is parsed to: its own kind, uuid and json, enumerations, addresses, lengths of time, ranges
_OUT_OF_TEXT = frozenset("SUEITRGZ")
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL), a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> '' OR a.attidentity = 'a'
FROM pg_attribute a WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped
"""
_UNIQUE = """
SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((string_to_array(i.indkey::text, ' ')::int2[])[1:i.indnkeyatts])
WHERE i.indrelid = {oid} AND i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid
"""


@dataclass(frozen=True)
class Move:
    """How a column of the frame comes into the table: by the name it has there, and the expression that makes it of it."""

    field: StructField
    column: Column
    value: str

    @property
    def own_type(self) -> str:
        """The type in PostgreSQL that holds Spark's values as they are."""
        return own_type(self.field.dataType) or ""


def own_type(kind: DataType) -> str | None:
    """PostgreSQL's own type for a Spark type; None where it has none."""
    if isinstance(kind, DecimalType):
        return f"numeric({kind.precision}, {kind.scale})"
    if isinstance(kind, ArrayType):
        element = own_type(kind.elementType)
        return f"{element}[]" if element and not isinstance(kind.elementType, ArrayType) else None
    return _TYPES.get(kind.simpleString(), (None, None))[0]


def moves_of(database: Database, table: Table, fields: Sequence[StructField]) -> list[Move]:
    """One move per column of the frame; raises the database's error kind for all columns that do not fit, at once."""
    exact = {column.name: column for column in columns_of(database, f"{table.quoted} AS target")}
    known = {name.lower(): column for name, column in exact.items()}
    declared = asked(database, _COLUMNS.format(oid=table.oid))
    types = {row[0]: row[1] for row in declared}
    found, wrong = [], []
    for field in fields:
        column = exact.get(field.name) or known.get(field.name.lower())
        if column is None:
            hint = did_you_mean(field.name, list(exact))
            wrong.append(f"it has no column '{field.name}': add it there, or drop it by a transform.{hint}")
        elif not _fits(field.dataType, column):
            wrong.append(_misfit(field, column))
        else:
            found.append(Move(field, column, _value(field, column, types[column.name])))
    wrong += _unset(declared, {move.column.name for move in found})
    if wrong:
        raise database.kind(f"{database.what}: {table.quoted} in {database.address}: {'; '.join(wrong)}")
    return found


def require_unique(database: Database, table: Table, keys: Sequence[str]) -> None:
    """Raises the database's error kind where nothing in the table keeps the keys unique: ON CONFLICT could not work."""
    wanted = sorted(keys)
    found = [sorted(row[0]) for row in asked(database, _UNIQUE.format(oid=table.oid))]
    if wanted not in found:
        listed = ", ".join(map(identifier, keys))
        known = "; it has one on " + ", ".join(f"({', '.join(names)})" for names in found) if found else ""
        raise database.kind(
            f"{database.what}: {table.quoted} in {database.address} has no unique constraint on ({listed}){known}. "
            f"ALTER TABLE {table.quoted} ADD UNIQUE ({listed}) makes it"
        )


def create_statement(name: str, fields: Sequence[StructField], keys: Sequence[str]) -> str:
    """How the table that is missing could be made."""
    columns = [f"{identifier(field.name)} {own_type(field.dataType) or 'text'}" for field in fields]
    key = [f"PRIMARY KEY ({', '.join(map(identifier, keys))})"] if keys else []
    return f"CREATE TABLE {name} ({', '.join([*columns, *key])})"


def _fits(kind: DataType, column: Column) -> bool:
    if isinstance(kind, ArrayType):
        return column.category == "A" and own_type(kind) is not None and _element_fits(kind.elementType, column)
    if isinstance(kind, DecimalType):
        if column.type != "numeric" or column.precision is None or column.scale is None:
            return column.type == "numeric"
        return column.scale >= kind.scale and column.precision - column.scale >= kind.precision - kind.scale
    name = kind.simpleString()
    if name == "string" and column.category in _OUT_OF_TEXT and column.type != "bytea":
        return True
    return column.type in _TYPES.get(name, ("", frozenset()))[1]


def _element_fits(kind: DataType, column: Column) -> bool:
    element = Column(column.name, column.element or "", column.element_category or "", None, None)
    return _fits(kind, element)


def _misfit(field: StructField, column: Column) -> str:
    kind = field.dataType.simpleString()
    if own_type(field.dataType) is None:
        return f"'{field.name}' is {kind}, which PostgreSQL has no type for: derive it as text (to_json)"
    bounds = f"({column.precision},{column.scale})" if column.type == "numeric" and column.precision else ""
    return f"'{field.name}' is {kind}, and the column there {column.type}{bounds} cannot hold all of that: cast it"


def _value(field: StructField, column: Column, declared: str) -> str:
    """The staged value as the table takes it. A text that is too long is refused: no cast, which would cut it."""
    name = f"s.{identifier(column.name)}"
    kind = field.dataType.simpleString()
    if kind == "timestamp" and column.type == "timestamp":
        return f"{name} AT TIME ZONE 'UTC'"
    if isinstance(field.dataType, ArrayType) and column.element not in ("text", "varchar", "bpchar"):
        return f"{name}::{declared}" if kind == "array<string>" else name
    if kind == "string" and column.category != "S":
        return f"{name}::{declared}"
    return name


def _unset(declared: Sequence[Row], given: set[str]) -> list[str]:
    """What is wrong with the columns that are not given, and with those that must not be."""
    wrong = []
    for name, _, is_needed, is_made in declared:
        if is_needed and not is_made and name not in given:
            wrong.append(f"its column '{name}' must be set and the rows have none: derive it, or give it a DEFAULT")
        if is_made and name in given:
            wrong.append(f"it makes its column '{name}' itself: drop it by a transform")
    return wrong
