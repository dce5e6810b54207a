"""The place of the lake: within reach, writable, and by the same clock."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from lakehouse.diagnosis.finding import Finding, found
from lakehouse.errors import LakehouseError
from lakehouse.storage import delete, put_object_if, require_reachable, s3, s3_credentials, split_s3, write_text
from lakehouse.tables import is_remote

_SKEW = 30.0  # seconds: leases and files' times are compared; S3 refuses at 15 minutes
_CLOCK = "let the machine follow a time server (timedatectl set-ntp true)"


def store(lake: str) -> Iterator[Finding]:
    """The lake can be reached and written, a second writer would be told, and its clock is this machine's."""
    remedy = "set LAKE to a folder or an s3a:// place that can be written"
    if is_remote(lake) and s3_credentials() is None:
        yield Finding(
            f"lake {lake}: no credentials", "bad", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
        return
    try:
        require_reachable(lake)
        yield from _written(lake)
    except LakehouseError as error:
        more = "; AWS_ENDPOINT_URL says where the store is" if is_remote(lake) else ""
        yield Finding(f"lake {lake}: {error}", "bad", remedy + more)


def _written(lake: str) -> Iterator[Finding]:
    """A small object there and gone again, its time held against ours."""
    place = f"{lake.rstrip('/')}/_doctor/{secrets.token_hex(6)}"
    try:
        skew = _remote(place) if is_remote(lake) else _local(place)
        if skew is None:
            said = f"lake {lake}: the store does not keep a second writer out (If-None-Match)"
            yield Finding(said, "bad", "use a store with conditional writes: S3, MinIO of 2024 or newer")
            return
    finally:
        delete(place)
        if not is_remote(lake):
            Path(place).parent.rmdir()
    yield Finding(f"lake {lake}")
    ahead = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'}"
    yield found(f"this machine's clock is {ahead} the lake's", abs(skew) <= _SKEW, _CLOCK)


def _local(place: str) -> float:
    write_text(place, "")
    return os.stat(place).st_mtime - time.time()


def _remote(place: str) -> float | None:
    """Seconds that the store is ahead; None where it lets an object be made twice."""
    put_object_if(place, "the first", None)
    if put_object_if(place, "the second", None) is not None:
        return None
    bucket, key = split_s3(place)
    answer = s3(bucket, lambda client: client.head_object(Bucket=bucket, Key=key))
    headers = answer["ResponseMetadata"]["HTTPHeaders"] if answer else {}
    told: datetime | None = parsedate_to_datetime(headers["date"]) if "date" in headers else None
    return told.timestamp() - time.time() if told else 0.0
