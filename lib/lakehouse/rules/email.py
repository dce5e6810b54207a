"""The rule `email`."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.registry import rule

_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# \z, not $, which would let a line break stand at the end
_ADDRESS = rf"^(?=.{{1,64}}@){_WORD}(?:\.{_WORD})*@{_LABEL}(?:\.{_LABEL})+\z"


@rule(dimension="validity", total=True, pattern=_ADDRESS)
def email(*, column: str) -> Column:
    """The whole text is an e-mail address in ASCII: words with dots, @, and a host name with a dot in it.

    No quotes, no comments, no IP address, at most 64 characters before the @. It does not ask whether the host is there.
    """
    return F.col(column).rlike(_ADDRESS)
