"""The rule `json_has`."""

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.frames import parsed_json
from lakehouse.registry import rule

_PATH = re.compile(r"""\$(?:\.[A-Za-z_]\w*|\[\d+\]|\['[^']+'\]|\["[^"]+"\])+""")


@rule(dimension="completeness", total=True)
def json_has(*, column: str, path: str) -> Column:
    """The JSON text has a value other than null at a path (`$.address.city`, `$.items[0]`); a text that is no JSON has none.

    Raises ValueError where the path is none.
    """
    if not _PATH.fullmatch(path):
        raise ValueError(f"'{path}' is no path; it is like $.address.city or $.items[0]['unit price']")
    value = F.try_variant_get(parsed_json(F.col(column)), path, "variant")
    found = value.isNotNull() & ~F.is_variant_null(value)
    return F.when(F.col(column).isNotNull(), found)
