"""The rule `phone`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule


def _pattern(*, international: bool, separators: bool, **_: object) -> str:
    start = r"\+[1-9]" if international else r"(?:\+[1-9]|[0-9])"
    if not separators:
        return rf"^{start}[0-9]{{6,14}}\z"
    between = r"(?:[ ./-]|[ ./-]?\(|\)[ ./-]?)?"
    opening = "" if international else r"\(?"
    return rf"^{opening}{start}(?:{between}[0-9]){{6,14}}\z"


@rule(dimension="validity", total=True, pattern=_pattern)
def phone(*, column: str, international: bool = True, separators: bool = True) -> Column:
    """The whole text is a telephone number: + and 7 to 15 digits, of which the first is no 0 (E.164).

    `international: false` lets the + be away, and a 0 come first. Single spaces, dots, hyphens, slashes and brackets may
    stand between the digits, unless `separators: false`.
    """
    return F.col(column).rlike(_pattern(international=international, separators=separators))
