"""The transform `standardise`."""

from typing import Annotated, Literal

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from lakehouse.frames import col, require_columns
from lakehouse.registry import transform

Mapping = Annotated[dict[str, str], Field(min_length=1)]


@transform(row_wise=True)
def standardise(
    df: DataFrame,
    *,
    column: str,
    mapping: Mapping,
    ignore_case: bool = True,
    otherwise: Literal["keep", "null"] = "keep",
) -> DataFrame:
    """One spelling per value, `{as it comes: as it should be}`; compared without outer blanks and, unless told otherwise, case.

    A value that the mapping does not know stays as it is, or with `otherwise: "null"` becomes NULL; NULL stays NULL.
    """
    require_columns(df, [column])
    if not isinstance(df.select(col(column)).schema[0].dataType, StringType):
        raise ValueError(f"{column} is no text: there are no spellings to standardise")
    folded: dict[str, str] = {}
    for given, wanted in mapping.items():
        known = folded.setdefault(_folded(given, ignore_case=ignore_case), wanted)
        if known != wanted:
            raise ValueError(f"'mapping' makes {given!r} both {known!r} and {wanted!r}")
    value = F.trim(col(column))
    value = F.lower(value) if ignore_case else value
    pairs = [F.lit(text) for pair in folded.items() for text in pair]
    found = F.try_element_at(F.create_map(*pairs), value)
    return df.withColumn(column, F.coalesce(found, col(column)) if otherwise == "keep" else found)


def _folded(text: str, *, ignore_case: bool) -> str:
    return text.strip().lower() if ignore_case else text.strip()
