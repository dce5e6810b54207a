"""What a database said, as one line without a password or a row's values; and whether to ask it again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from py4j.protocol import Py4JJavaError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from lakehouse.databases.address import Address
from lakehouse.errors import LakehouseError, passing

T = TypeVar("T")

ATTEMPTS = 5
_LONGEST = 5.0  # seconds between two attempts: less than ten in all
# connection lost, server going down or coming up, too many connections, deadlock, serialization
_TRANSIENT = re.compile(r"08...|57P0[123]|53300|40001|40P01")
_PASSING = re.compile(
    r"starting up|shutting down|recovery mode|too many (clients|connections)|remaining connection slots"
)
_QUOTED = re.compile(r'".*("|$)', re.DOTALL)


def retried(action: Callable[[], T], address: Address, kind: type[LakehouseError], what: str) -> T:
    """What the action gives, tried again while what stops it may pass: exponential waits with jitter, few in number.

    Raises `kind` with one line that names the database, where it does not.
    """
    waits = wait_random_exponential(multiplier=0.5, max=_LONGEST)
    try:
        tries = Retrying(
            stop=stop_after_attempt(ATTEMPTS), wait=waits, retry=retry_if_exception(is_transient), reraise=True
        )
        return tries(action)
    except (psycopg.Error, Py4JJavaError) as error:
        if not isinstance(error, psycopg.Error) and state_of(error) is None:
            raise
        tried = f" ({ATTEMPTS} tries)" if is_transient(error) else ""
        failure = kind(f"{what}: {address}: {said(error, address)}{tried}")
        raise (passing(failure) if tried else failure) from error


def is_transient(error: BaseException) -> bool:
    """True where the same may work a moment later."""
    state = state_of(error)
    if state:
        return bool(_TRANSIENT.fullmatch(state))
    if not isinstance(error, psycopg.OperationalError):
        return False
    text = str(error)  # libpq tells no state of a connection that it could not make
    return "FATAL" not in text or bool(_PASSING.search(text))


def state_of(error: BaseException) -> str | None:
    """The SQLSTATE of a database's refusal; '' where it has none, None where the error is no database's."""
    if isinstance(error, psycopg.Error):
        return error.sqlstate or ""
    refusal = _refusal(error)
    return None if refusal is None else str(refusal.getSQLState() or "")


def said(error: BaseException, address: Address) -> str:
    """The database's own line, without the values of rows that it quotes: those of what it calls a data exception."""
    if isinstance(error, psycopg.Error):
        primary = error.diag.message_primary
        # libpq tells the place again, and then what happened there
        text = primary or str(error).strip().split("\n")[0].rpartition(" failed: ")[2] or type(error).__name__
    else:
        refusal = _refusal(error)
        text = str(refusal.getMessage() if refusal is not None else error)
    if state_of(error) == "22021":
        return (
            "a text holds a NUL character, which PostgreSQL cannot keep; take it out with replace(column, char(0), '')"
        )
    if (state_of(error) or "").startswith("22"):
        text = _QUOTED.sub('"..."', text)
    return address.cleaned(text.strip().split("\n")[0].removeprefix("ERROR: "))


def _refusal(error: BaseException) -> Any:
    """The database's own exception under Spark's; None where there is none."""
    found = error.java_exception if isinstance(error, Py4JJavaError) else None
    while found is not None and not found.getClass().getName().startswith("org.postgresql."):
        found = found.getCause()
    return found
