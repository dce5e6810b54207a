"""The columns that a profile measures: a struct's fields by their dotted names, lists, maps and bytes by their lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.runs import identifier, literal

Kind = Literal["whole", "decimal", "float", "text", "time", "boolean", "length", "other"]


@dataclass(frozen=True)
class Leaf:
    """One column, or one field inside a struct: its dotted name, its type, and the SQL that yields its value."""

    name: str
    path: tuple[str, ...]
    type: str
    kind: Kind
    sql: str
    """The value; of a list, a map or bytes (kind `length`) how many there are in it."""
    present: str
    """The column as it is: NULL where there is no value."""

    @property
    def reference(self) -> str:
        """The column as a rule names it."""
        return ".".join(f"`{part.replace('`', '``')}`" if set(part) & set(".`") else part for part in self.path)

    @property
    def is_number(self) -> bool:
        """True for a column with a mean."""
        return self.kind in ("whole", "decimal", "float")


def leaves(schema: Any) -> list[Leaf]:
    """The leaves of an Arrow schema, in the order of its columns."""
    return [leaf for field in schema for leaf in _leaves((field.name,), field.type, identifier(field.name))]


def _leaves(path: tuple[str, ...], kind: Any, sql: str) -> Iterator[Leaf]:
    import pyarrow.types as is_

    name = ".".join(path)
    if is_.is_struct(kind):
        for field in kind:
            yield from _leaves((*path, field.name), field.type, f"{sql}[{literal(field.name)}]")
    elif is_.is_map(kind):
        yield Leaf(name, path, _shown(kind), "length", f"cardinality({sql})", sql)
    elif is_.is_list(kind) or is_.is_large_list(kind) or is_.is_list_view(kind):
        yield Leaf(name, path, _shown(kind), "length", f"coalesce(array_length({sql}), 0)", sql)
    elif is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind):
        yield Leaf(name, path, "binary", "length", f"(character_length(encode({sql}, 'hex')) / 2)", sql)
    else:
        yield Leaf(name, path, _shown(kind), _kind(kind), sql, sql)


def _kind(kind: Any) -> Kind:
    import pyarrow.types as is_

    if is_.is_integer(kind):
        return "whole"
    if is_.is_decimal(kind):
        return "decimal"
    if is_.is_floating(kind):
        return "float"
    if is_.is_boolean(kind):
        return "boolean"
    if is_.is_temporal(kind):
        return "time"
    return "text" if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind) else "other"


def _shown(kind: Any) -> str:
    """The type as Spark calls it."""
    import pyarrow.types as is_

    if is_.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    if is_.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if is_.is_map(kind):
        return f"map<{_shown(kind.key_type)},{_shown(kind.item_type)}>"
    if hasattr(kind, "value_type"):
        return f"array<{_shown(kind.value_type)}>"
    names = {"int64": "bigint", "int32": "int", "int16": "smallint", "int8": "tinyint", "bool": "boolean",
             "date32[day]": "date", "string_view": "string", "large_string": "string", "binary_view": "binary"}  # fmt: skip
    return "struct" if is_.is_struct(kind) else names.get(str(kind), str(kind))
