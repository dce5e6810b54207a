"""The rule `expr`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Sql, rule


@rule(dimension="consistency")
def expr(*, sql: Sql) -> Column:
    """A SQL condition over the row's columns is true (or NULL); a row for which it errs is broken."""
    return F.expr(sql)
