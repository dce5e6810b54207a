"""Types that a table's columns have and a frame's do not."""

from __future__ import annotations

from pyspark.sql.types import ArrayType, DataType, StructType

from lakehouse.errors import SinkError


def require_same_types(
    before: StructType, after: StructType, *, widening: bool, evolve: bool, table: str
) -> None:  # fmt: skip
    """Raises SinkError naming each column whose type changed; with `widening` Delta decides whether it may.

    A new field of a struct is a change unless the table may `evolve`.
    """
    known = {column.name.lower(): column.dataType for column in before}
    changed = [
        f"column '{column.name}' is {known[column.name.lower()].simpleString()} in {table} and now {column.dataType.simpleString()}"
        for column in after
        if column.name.lower() in known and not _same(known[column.name.lower()], column.dataType, evolve)
    ]
    if changed and not widening:
        raise SinkError(
            f"{'; '.join(changed)}; cast it, or set type_widening: true on the sink where the new type is wider"
        )


def _same(before: DataType, after: DataType, evolve: bool) -> bool:
    if isinstance(before, StructType) and isinstance(after, StructType):
        known = {field.name.lower(): field.dataType for field in before}
        return all(
            _same(known[field.name.lower()], field.dataType, evolve) if field.name.lower() in known else evolve
            for field in after
        )
    if isinstance(before, ArrayType) and isinstance(after, ArrayType):
        return _same(before.elementType, after.elementType, evolve)
    return before.simpleString().lower() == after.simpleString().lower()
