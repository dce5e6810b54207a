"""The transform `mask`."""

from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, StringType, TimestampNTZType, TimestampType

from lakehouse.config.contract import Mask
from lakehouse.frames import col, require_columns
from lakehouse.registry import transform

Columns = Annotated[dict[str, Mask], Field(min_length=1)]


@transform(row_wise=True)
def mask(df: DataFrame, *, columns: Columns) -> DataFrame:
    """Columns without what they tell of a person, `{name: how}`; NULL stays NULL.

    `"null"`: nothing is left. `redact`: the text `***`. `hash`: SHA-256 of the value as text, in hex: equal values stay
    equal, so that joins still work, and a value that can be guessed can be found. `last_4`: `***` and the last four
    characters of texts of at least eight, else `***`. `email`: the first character and the domain. `year`: the first day of
    a date's or a time's year.
    """
    require_columns(df, columns)
    kinds = {name: df.select(col(name)).schema[0].dataType for name in columns}
    return df.withColumns({name: _masked(name, how, kinds[name]) for name, how in columns.items()})


def _masked(name: str, how: Mask, kind: DataType) -> Column:
    fitting: Mapping[str, tuple[type[DataType], ...]] = {
        **dict.fromkeys(("redact", "last_4", "email"), (StringType,)),
        "year": (DateType, TimestampType, TimestampNTZType),
    }
    if how in fitting and not isinstance(kind, fitting[how]):
        raise ValueError(
            f"{name} is {kind.simpleString()}: '{how}' is for {'text' if how != 'year' else 'dates and times'}"
        )
    if how == "null":
        return F.lit(None).cast(kind)
    value = col(name)
    return F.when(value.isNotNull(), _HOW[how](value).cast(StringType() if how == "hash" else kind))


def _last_4(value: Column) -> Column:
    return F.concat(F.lit("***"), F.when(F.length(value) >= 8, F.right(value, F.lit(4))).otherwise(""))


def _email(value: Column) -> Column:
    at = F.instr(value, "@")
    return F.when(at > 1, F.concat(F.left(value, F.lit(1)), F.lit("***"), F.substr(value, at))).otherwise("***")


_HOW: Mapping[str, Callable[[Column], Column]] = {
    "redact": lambda _: F.lit("***"),
    "hash": lambda value: F.sha2(value.cast("string").cast("binary"), 256),
    "last_4": _last_4,
    "email": _email,
    "year": lambda value: F.date_trunc("year", value),
}
