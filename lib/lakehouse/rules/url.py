"""The rule `url`."""

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import Columns, rule

_HOST = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])"
)


@rule(dimension="validity", total=True)
def url(*, column: str, schemes: Columns | None = None) -> Column:
    """The whole text is a URL with a scheme (http or https, unless `schemes` lists others) and a host; no white space.

    Host names in ASCII, `localhost` and addresses too; a user, a port, a path, a query and a fragment may be there.
    """
    listed = "|".join(re.escape(scheme) for scheme in schemes or ("http", "https"))
    return F.col(column).rlike(rf"^(?i:{listed})://(?:[^\s/?#@]+@)?{_HOST}(?::[0-9]{{1,5}})?(?:[/?#]\S*)?\z")
