"""The rule `uuid`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule

_UUID = r"^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\z"


@rule(dimension="validity", total=True, pattern=_UUID)
def uuid(*, column: str) -> Column:
    """The whole text is a UUID with its four hyphens, in any case and of any version; no braces."""
    return F.col(column).rlike(_UUID)
