"""Avro schemas by id from a registry that speaks Confluent's API, fetched by the driver."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import DataError

_PATIENCE = 10  # seconds an answer may take
_AUTHORISATION = "basic.auth.user.info"
_NOT_FOUND = 404


@dataclass(frozen=True)
class Schemas:
    """The Avro schemas of some subjects by id, and the newest one, as JSON."""

    by_id: Mapping[int, str]
    newest: str


def versions_of(url: str, subjects: Sequence[str], settings: Mapping[str, str]) -> dict[str, list[int]]:
    """The versions that each of these subjects has now.

    Raises DataError where the registry does not answer in time or has no such subject.
    """
    return {subject: sorted(map(int, _asked(_place(url, subject), settings))) for subject in subjects}


def schemas_of(url: str, versions: Mapping[str, Sequence[int]], settings: Mapping[str, str]) -> Schemas:
    """These versions of the subjects; the newest is that of the first one.

    Raises DataError as `versions_of`, and for a schema that is no Avro.
    """
    found: dict[int, str] = {}
    newest: dict[str, str] = {}
    for subject, numbers in versions.items():
        for number in numbers:
            answer = _asked(f"{_place(url, subject)}/{number}", settings)
            if answer.get("schemaType", "AVRO") != "AVRO":
                raise DataError(f"schema_registry: {subject} is {answer['schemaType']}, and value_format is avro")
            found[int(answer["id"])] = newest[subject] = str(answer["schema"])
    return Schemas(found, newest[next(iter(versions))])


def _place(url: str, subject: str) -> str:
    return f"{url.rstrip('/')}/subjects/{urllib.parse.quote(subject, safe='')}/versions"


def _asked(url: str, settings: Mapping[str, str]) -> Any:
    request = urllib.request.Request(url, headers={"Accept": "application/vnd.schemaregistry.v1+json"})  # noqa: S310
    user = settings.get(_AUTHORISATION)
    if user:
        request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 - the job's own YAML names it
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = "has nothing there" if error.code == _NOT_FOUND else f"says {error.code} {error.reason}"
        raise DataError(f"schema_registry: {url} {said}; is the subject registered?") from error
    except (OSError, ValueError) as error:
        raise DataError(f"schema_registry: no answer from {url}: {error}") from error
