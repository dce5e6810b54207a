"""The row that an envelope tells of: its values before a delete, else those after; and the ones that it left out."""

from __future__ import annotations

from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StringType, StructType

from lakehouse.cdc_formats.debezium_values import text_of
from lakehouse.cdc_formats.json_parts import NESTED
from lakehouse.frames import quoted

PLACEHOLDER = "__debezium_unavailable_value"
_PLACEHOLDERS = (
    PLACEHOLDER,
    "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",  # of bytes, in base64
    "b68a35a7-17ad-35b3-af2a-ae46edb4545a",  # of a uuid
    f'["{PLACEHOLDER}"]',
    f'{{"{PLACEHOLDER}":"{PLACEHOLDER}"}}',
)


def row_values(
    op: str, before: tuple[str, StructType], after: tuple[str, StructType], key: str | None
) -> tuple[dict[str, str], str | None]:
    """The row's columns, and the names of those that the source left out (None: it can leave out none), as SQL.

    `before` and `after` are the SQL of structs and their types, `key` of a map of texts.
    """
    olds = {field.name.lower(): field for field in before[1]}
    news = {field.name.lower(): field for field in after[1]}
    values, left_out = {}, {}
    for name, field in {**olds, **news}.items():
        kind, earlier = field.dataType, "NULL"
        if name in olds:
            earlier = _sent(f"{before[0]}.{quoted(olds[name].name)}", olds[name].dataType, kind)
        gone = f"coalesce({earlier}, try_cast({key}[{text_of(field.name)}] AS {_ddl(kind)}))"
        at_delete = earlier if key is None or isinstance(kind, NESTED) else gone
        value = f"{after[0]}.{quoted(field.name)}" if name in news else "NULL"
        hole = _hole(value, kind) if name in news else None
        if hole is not None:
            value = f"CASE WHEN {hole} THEN {earlier} ELSE {value} END"
            left_out[field.name] = f"{hole} AND {earlier} IS NULL"
        values[field.name] = f"cast(CASE WHEN {op} = 'd' THEN {at_delete} ELSE {value} END AS {_ddl(kind)})"
    return {name: values[name] for name in (*after[1].names, *values) if name in values}, _names_where(left_out)


def _sent(value: str, kind: DataType, asked: DataType) -> str:
    """The value in a type; NULL where a placeholder stands for it."""
    found = value
    if kind != asked and isinstance(asked, NESTED):
        found = (
            f"from_json({value}, {text_of(_ddl(asked))})"
            if isinstance(kind, StringType)
            else f"cast({value} AS {_ddl(asked)})"
        )
    elif kind != asked:
        found = f"to_json({value})" if isinstance(kind, NESTED) else f"try_cast({value} AS {_ddl(asked)})"
    hole = _hole(value, kind)
    return found if hole is None else f"CASE WHEN NOT {hole} THEN {found} END"


def _hole(value: str, kind: DataType) -> str | None:
    """True where a placeholder stands for the value; None for a type that cannot hold one."""
    texts = ", ".join(map(text_of, _PLACEHOLDERS))
    if isinstance(kind, StringType):
        return f"coalesce({value} IN ({texts}), false)"
    if isinstance(kind, BinaryType):
        return f"coalesce({value} = cast('{PLACEHOLDER}' AS binary), false)"
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, StringType):
        return f"coalesce(size({value}) = 1 AND get({value}, 0) IN ({texts}), false)"
    if isinstance(kind, MapType) and isinstance(kind.keyType, StringType):
        return f"coalesce(map_contains_key({value}, '{PLACEHOLDER}'), false)"
    is_there = isinstance(kind, StructType) and PLACEHOLDER in kind.names
    return f"({value}.{PLACEHOLDER} IS NOT NULL)" if is_there else None


def _names_where(conditions: dict[str, str]) -> str | None:
    """The names whose condition holds; NULL where none does."""
    if not conditions:
        return None
    named = ", ".join(f"CASE WHEN {condition} THEN {text_of(name)} END" for name, condition in conditions.items())
    any_of_them = " OR ".join(f"({condition})" for condition in conditions.values())
    return f"CASE WHEN {any_of_them} THEN array_compact(array({named})) END"


def _ddl(kind: DataType) -> str:
    """The type as SQL writes it, whatever its fields are named."""
    if isinstance(kind, StructType):
        return f"struct<{', '.join(f'{quoted(field.name)}: {_ddl(field.dataType)}' for field in kind)}>"
    if isinstance(kind, ArrayType):
        return f"array<{_ddl(kind.elementType)}>"
    if isinstance(kind, MapType):
        return f"map<{_ddl(kind.keyType)}, {_ddl(kind.valueType)}>"
    return str(kind.simpleString())
