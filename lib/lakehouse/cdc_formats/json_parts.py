"""A part of a record that is an object: a struct, or its JSON text, as files and bronze tables happen to hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StringType, StructField, StructType

from lakehouse.frames import as_text, col, visible

NESTED = (StructType, ArrayType, MapType)


@dataclass(frozen=True)
class Part:
    """A value and its type; text may stand for an object."""

    value: Column
    kind: DataType

    @property
    def names(self) -> list[str]:
        """The names of its fields; none where it is text."""
        return list(self.kind.names) if isinstance(self.kind, StructType) else []

    def field(self, name: str) -> Part | None:
        """Its field of a name, in whatever case; None where it has none that is known."""
        if not isinstance(self.kind, StructType):
            return None
        found = next((field for field in self.kind if field.name.lower() == name.lower()), None)
        return None if found is None else Part(self.value.getField(found.name), found.dataType)

    def text(self, name: str) -> Column:
        """A field as text; NULL where there is none."""
        found = self.field(name)
        return F.lit(None).cast("string") if found is None else found.value.cast("string")


def whole(records: DataFrame) -> Part:
    """A record's columns as one object."""
    names = visible(records)
    return Part(F.struct(*map(col, names)), StructType([records.schema[name] for name in names]))


def texts(*names: str) -> StructType:
    """An object of texts."""
    return StructType([StructField(name, StringType()) for name in names])


def opened(part: Part, kind: StructType) -> Part:
    """The object as a struct, where it is text: of this type."""
    if isinstance(part.kind, StructType):
        return part
    text = part.value.cast("string") if isinstance(part.kind, BinaryType) else part.value
    return Part(F.from_json(text, kind), kind)


def joined(parts: Sequence[Part | None]) -> Part | None:
    """The first of the parts that has a value; a struct says the type before a text does."""
    there = [part for part in parts if part is not None]
    if not there:
        return None
    kind = next((part.kind for part in there if isinstance(part.kind, StructType)), there[0].kind)
    return Part(F.coalesce(*[as_kind(part, kind) for part in there]), kind)


def as_kind(part: Part, kind: DataType) -> Column:
    """The value in a type; an object that is text is parsed."""
    if part.kind == kind:
        return part.value
    if isinstance(kind, NESTED) and isinstance(part.kind, StringType):
        return F.from_json(part.value, kind.json())
    if isinstance(kind, StringType) and isinstance(part.kind, NESTED):
        return F.to_json(part.value)
    return part.value.try_cast(kind)


def row_kinds(
    before: Part | None, after: Part | None, fields: Mapping[str, DataType] | None
) -> tuple[StructType, StructType]:
    """The columns of the row before and after; a side that is text has the other's, or the known fields as texts.

    Raises ValueError where both are texts and no fields are known.
    """
    kinds = [part.kind for part in (after, before) if part is not None and isinstance(part.kind, StructType)]
    known = as_text(StructType([StructField(name, kind) for name, kind in (fields or {}).items()]))
    if not kinds and fields is None and (before is not None or after is not None):
        raise ValueError(
            "the columns of 'before' and 'after' cannot be known from text: give the job a contract or a schema"
        )
    other = kinds[0] if kinds else known
    before_kind, after_kind = (
        part.kind if part is not None and isinstance(part.kind, StructType) else other for part in (before, after)
    )
    return before_kind, after_kind
