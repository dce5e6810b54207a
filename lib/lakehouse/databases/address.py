"""Where a database is and who asks: out of a JDBC URL and the options beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from lakehouse.redaction import SHOWN

_URL = re.compile(
    r"jdbc:postgresql://(?:(?P<user>[^/?@:]*)(?::(?P<password>[^/?]*))?@)?(?P<hosts>[^/?@]+)/(?P<database>[^/?]+)(?:\?(?P<rest>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(?P<port>\d+))?")
# The JDBC driver's names of what psycopg calls otherwise; what is not here is the driver's business alone.
_ALSO_PSYCOPG = {
    "sslmode": "sslmode", "sslrootcert": "sslrootcert", "sslcert": "sslcert", "connectTimeout": "connect_timeout",
    "ApplicationName": "application_name", "targetServerType": "target_session_attrs",
}  # fmt: skip
_SESSIONS = {"any": "any", "primary": "primary", "secondary": "standby", "preferSecondary": "prefer-standby"}
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Address:
    """A database and the account that asks it. Neither its text nor its `repr` holds the password."""

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str | None
    password: str | None = field(repr=False)
    parameters: dict[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        places = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"database {self.database} at {places}"

    def cleaned(self, text: str) -> str:
        """The text without the password, wherever a driver may have quoted it."""
        return text.replace(self.password, SHOWN) if self.password else text


def address_of(url: str, user: str | None, password: str | None) -> Address:
    """The address; options beside the URL count more than what is in it. Raises ValueError, which shows no secret."""
    found = _URL.fullmatch(url.strip())
    if found is None:
        raise ValueError(
            "'url' must be like jdbc:postgresql://host:5432/database (PostgreSQL is the one database known)"
        )
    hosts = [_HOST.fullmatch(part.strip()) for part in found["hosts"].split(",")]
    if any(host is None for host in hosts):
        raise ValueError("'url' names no host and port: it must be like jdbc:postgresql://host:5432/database")
    parameters = dict(parse_qsl(found["rest"] or "", keep_blank_values=True))
    known_user = user or parameters.pop("user", None) or (unquote(found["user"]) if found["user"] else None)
    of_url = parameters.pop("password", None) or (unquote(found["password"]) if found["password"] else None)
    places = tuple((host["host"].strip("[]"), int(host["port"] or 5432)) for host in hosts if host is not None)
    return Address(places, unquote(found["database"]), known_user, password or of_url, parameters)


def for_spark(address: Address) -> dict[str, str]:
    """The options of Spark's reader and writer: the account stands beside the URL, which plans and logs may show."""
    places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts)
    options = {"connectTimeout": str(CONNECT_SECONDS), "tcpKeepAlive": "true", **address.parameters}
    options["logServerErrorDetail"] = "false"  # it holds the values of rows, and Spark writes it into its event log
    options |= {"url": f"jdbc:postgresql://{places}/{address.database}", "driver": "org.postgresql.Driver"}
    options |= {"user": address.user} if address.user else {}
    return options | ({"password": address.password} if address.password else {})


def for_psycopg(address: Address) -> dict[str, Any]:
    """The arguments of psycopg's `connect`."""
    own = {_ALSO_PSYCOPG[name]: value for name, value in address.parameters.items() if name in _ALSO_PSYCOPG}
    if "target_session_attrs" in own:
        own["target_session_attrs"] = _SESSIONS.get(own["target_session_attrs"], "any")
    settings = "-c TimeZone=UTC -c DateStyle=ISO"
    if schema := address.parameters.get("currentSchema"):
        settings += f" -c search_path={schema.replace(' ', '')}"
    return {
        "connect_timeout": CONNECT_SECONDS, "keepalives_idle": 30, "application_name": "lakehouse", **own,
        "host": ",".join(host for host, _ in address.hosts), "port": ",".join(str(port) for _, port in address.hosts),
        "dbname": address.database, "user": address.user, "password": address.password, "options": settings,
    }  # fmt: skip
