"""How brokers are reached: addresses, client settings that may hold passwords, and bounds on every wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.redaction import is_secret

Setting = str | int | float | bool

PATIENCE = 15
"""Seconds until brokers that do not answer are named."""

# Kafka's own defaults wait for one to two minutes, and Spark asks three times.
_READER = {"request.timeout.ms": "10000", "default.api.timeout.ms": "15000"}
_WRITER = {
    "acks": "all", "enable.idempotence": "true",
    "request.timeout.ms": "10000", "delivery.timeout.ms": "60000", "max.block.ms": "15000",
}  # fmt: skip
# What would undo the promises, or what Spark sets itself.
_FIXED = ("bootstrap.servers", "key.deserializer", "value.deserializer", "key.serializer", "value.serializer",
          "enable.auto.commit", "auto.offset.reset", "interceptor.classes", "acks", "enable.idempotence")  # fmt: skip
_ALSO_SECRET = re.compile(r"jaas|auth|ssl\..*\.key|\.pem", re.IGNORECASE)
_SHORTEST = 4  # characters of a value that is hidden in messages: less would tear other words apart


@dataclass(frozen=True)
class Cluster:
    """Brokers and how a client talks to them; its settings are shown nowhere."""

    servers: str
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    def reader(self) -> dict[str, str]:
        """The options of Spark's reader."""
        return {f"kafka.{name}": value for name, value in self.client().items()}

    def writer(self) -> dict[str, str]:
        """The options of Spark's writer: the producer is idempotent, and a record counts once all replicas have it."""
        found = {"bootstrap.servers": self.servers, **_WRITER, **self._own}
        return {f"kafka.{name}": value for name, value in found.items()}

    def client(self) -> dict[str, str]:
        """The settings of a plain client."""
        return {"bootstrap.servers": self.servers, **_READER, **self._own}

    @property
    def _own(self) -> dict[str, str]:
        """Without the settings of a schema registry, which are none of a client's."""
        return {name: value for name, value in self.settings.items() if not name.startswith("basic.auth.")}

    def without_secrets(self, text: str) -> str:
        """The text without the values of settings that may be secret."""
        hidden = [value for name, value in self.settings.items() if _is_secret(name) and len(value) >= _SHORTEST]
        parts = {
            part for value in hidden for part in (value, *re.findall(r'"([^"]+)"', value)) if len(part) >= _SHORTEST
        }
        for part in sorted(parts, key=len, reverse=True):
            text = text.replace(part, "***")
        return text


def _is_secret(name: str) -> bool:
    return is_secret(name) or bool(_ALSO_SECRET.search(name))


def cluster(bootstrap_servers: str, options: Mapping[str, Setting] | None) -> Cluster:
    """The cluster; raises ValueError for an address without a port and for a setting that is not free to choose."""
    for address in bootstrap_servers.split(","):
        if not re.fullmatch(r"\s*\S+:\d+\s*", address):
            raise ValueError(f"bootstrap_servers: '{address.strip()}' is no host:port; several are separated by commas")
    settings = {name.removeprefix("kafka."): _text(value) for name, value in (options or {}).items()}
    for name in settings:
        if name in _FIXED:
            raise ValueError(f"options: '{name}' is set by the job itself; take it out")
    return Cluster(bootstrap_servers, settings)


def _text(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
