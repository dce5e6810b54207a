"""The rule `url`."""

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Columns, rule

_HOST = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])"
)


def _pattern(*, schemes: list[str] | None, **_: object) -> str:
    listed = "|".join(re.escape(scheme) for scheme in schemes or ("http", "https"))
    return rf"^(?i:{listed})://(?:[^\s/?#@]+@)?{_HOST}(?::[0-9]{{1,5}})?(?:[/?#]\S*)?\z"


@rule(dimension="validity", total=True, pattern=_pattern)
def url(*, column: str, schemes: Columns | None = None) -> Column:
    """The whole text is a URL with a scheme (http or https, unless `schemes` lists others) and a host; no white space.

    Host names in ASCII, `localhost` and addresses too; a user, a port, a path, a query and a fragment may be there.
    """
    return F.col(column).rlike(_pattern(schemes=schemes))
