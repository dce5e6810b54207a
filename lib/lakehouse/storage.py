"""Small objects beside the tables, local or on S3: list, read, write whole or not at all, create only if absent."""

from __future__ import annotations

import fnmatch
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lakehouse.errors import ConfigError, SinkError, Unreachable
from lakehouse.tables import is_remote

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")
_GLOB = frozenset("*?[")
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file as it was listed: its path as Spark reads it, bytes, time of change in milliseconds, and S3's etag."""

    path: str
    size: int
    modified: int
    etag: str = ""


def list_files(path: str) -> list[FileInfo]:
    """The data files of a folder (recursively), of a glob, or the one file itself, by path; hidden ones left out.

    Names beginning with `_` or `.` are hidden, as in Spark. A place that does not exist gives no files.
    """
    return sorted(_visible_files(path), key=lambda file: file.path)


def is_small(places: Iterable[str], most: int, files: int = 1000) -> bool:
    """True where these places hold at most so many bytes in so many files; no longer looked at than until they do not."""
    for file in itertools.chain.from_iterable(map(_visible_files, places)):
        most, files = most - file.size, files - 1
        if most < 0 or files < 0:
            return False
    return True


def _visible_files(path: str) -> Iterator[FileInfo]:
    base = above_wildcards(path)
    listed = list_s3(base) if is_remote(path) else _list_local(base)
    pattern = path.rstrip("/")
    globbed = bool(_GLOB & set(pattern))
    for file in listed:
        if not _is_hidden(file.path[len(base) :]) and (not globbed or _matches(file.path, pattern)):
            yield file


def folders(path: str) -> list[str]:
    """The names of the folders right below a place."""
    if not is_remote(path):
        return [entry.name for entry in Path(path).iterdir() if entry.is_dir()] if Path(path).is_dir() else []
    bucket, key = split_s3(path.rstrip("/") + "/")
    found: Any = s3(bucket, lambda client: client.list_objects_v2(Bucket=bucket, Prefix=key, Delimiter="/"))
    return [item["Prefix"].rstrip("/").rsplit("/", 1)[-1] for item in found.get("CommonPrefixes", [])]


def read_text(path: str) -> str | None:
    """The object's text, or None where there is none."""
    if not is_remote(path):
        try:
            return Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
    found = get_object(path)
    return None if found is None else found[0].decode()


def read_part(path: str, size: int, *, last: bool = False) -> bytes:
    """The first or the last bytes of a file, `size` at most."""
    if not is_remote(path):
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size) if last else 0)
            return file.read(size)
    bucket, key = split_s3(path)
    part = f"bytes=-{size}" if last else f"bytes=0-{size - 1}"

    read = lambda client: client.get_object(Bucket=bucket, Key=key, Range=part)["Body"].read()  # noqa: E731 (one request)
    return s3(bucket, read, absent=("InvalidRange", "416")) or b""


def write_text(path: str, text: str) -> None:
    """Replaces the object whole: a reader sees the old one or the new one."""
    if is_remote(path):
        bucket, key = split_s3(path)
        s3(bucket, lambda client: client.put_object(Bucket=bucket, Key=key, Body=text.encode()))
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error


def delete(path: str) -> None:
    """Removes one object; none there is as good."""
    if is_remote(path):
        bucket, key = split_s3(path)
        s3(bucket, lambda client: client.delete_object(Bucket=bucket, Key=key))
    else:
        Path(path).unlink(missing_ok=True)


def delete_tree(path: str) -> None:
    """Removes a folder and all below it; none there is as good."""
    if not is_remote(path):
        import shutil

        shutil.rmtree(path, ignore_errors=True)
        return
    bucket, _ = split_s3(path)
    keys = [{"Key": split_s3(file.path)[1]} for file in list_s3(path.rstrip("/") + "/")]
    for start in range(0, len(keys), 1000):
        chunk: Any = {"Objects": keys[start : start + 1000], "Quiet": True}
        s3(bucket, lambda client, chunk=chunk: client.delete_objects(Bucket=bucket, Delete=chunk))  # type: ignore[misc]


def require_reachable(path: str) -> None:
    """Raises SinkError naming the folder, bucket or endpoint where the lake is out of reach; within a minute."""
    if is_remote(path):
        bucket, _ = split_s3(path)
        s3(bucket, lambda client: client.head_bucket(Bucket=bucket))
        return
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(
            f"the lake {path} cannot be made: {error.strerror or error}; set LAKE to another folder"
        ) from error
    if not os.access(path, os.W_OK):
        raise SinkError(f"the lake {path} cannot be written; set LAKE to another folder")


def get_object(path: str) -> tuple[bytes, str] | None:
    """An S3 object's bytes and etag, or None."""
    bucket, key = split_s3(path)

    def read(client: S3Client) -> tuple[bytes, str]:
        answer = client.get_object(Bucket=bucket, Key=key)
        return answer["Body"].read(), answer["ETag"]

    return s3(bucket, read, absent=("NoSuchKey", "404"))


def put_object_if(path: str, text: str, etag: str | None) -> str | None:
    """Writes an S3 object only where it does not exist (`etag` None) or still has this etag; the new etag, or None.

    `text` is like no other writer's: where an answer was lost, the request is sent again, and refused because of itself;
    by its text the object is known to be one's own. Source: S3's conditional writes (If-None-Match, If-Match).
    """
    bucket, key = split_s3(path)
    condition: Any = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
    answer = s3(
        bucket,
        lambda client: client.put_object(Bucket=bucket, Key=key, Body=text.encode(), **condition),
        absent=("PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey", "404"),
    )
    if answer is not None:
        return answer["ETag"]
    found = get_object(path)
    return found[1] if found is not None and found[0] == text.encode() else None


def split_s3(path: str) -> tuple[str, str]:
    """Bucket and key of an `s3a://` place."""
    scheme, _, rest = path.partition("://")
    if scheme not in ("s3a", "s3"):
        raise ConfigError(f"{path}: only local folders and s3a:// are supported")
    bucket, _, key = rest.partition("/")
    return bucket, key


def s3(bucket: str, call: Callable[[S3Client], T], absent: tuple[str, ...] = ()) -> T | None:
    """What `call` answers; None for an error code in `absent`; any other failure is one line naming bucket and endpoint."""
    from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError, ResponseStreamingError
    from urllib3.exceptions import HTTPError

    client = s3_client()
    tries = 0
    while True:
        tries += 1
        try:
            return call(client)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in absent:
                return None
            said = {"404": "does not exist", "NoSuchBucket": "does not exist", "403": "is refused to these credentials"}
            kind = Unreachable if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500 else SinkError
            raise kind(f"bucket {bucket} at {client.meta.endpoint_url} {said.get(code, f'answers {code}')}") from error
        except (BotoCoreError, HTTPError) as error:
            # an answer that was cut off: botocore asks again for its head alone
            if tries < _ATTEMPTS and isinstance(error, IncompleteReadError | ResponseStreamingError | HTTPError):
                continue
            line = str(error).split("\n")[0]
            raise Unreachable(f"bucket {bucket} at {client.meta.endpoint_url} is out of reach: {line}") from error


@cache
def s3_client() -> S3Client:
    """The process's one S3 client: bounded retries, settings from the usual AWS variables."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=4,
        read_timeout=15,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=32,
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return boto3.Session().client("s3", config=config, region_name=region)


def s3_credentials() -> ReadOnlyCredentials | None:
    """What the usual provider chain finds at this moment, or None."""
    import boto3

    found = boto3.Session().get_credentials()
    return None if found is None else found.get_frozen_credentials()


def _list_local(base: str) -> Iterator[FileInfo]:
    if Path(base).is_file():
        yield _local_info(base, os.stat(base))
        return
    folders = [base or "/"]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.is_dir():
                if not _is_hidden(entry.name):
                    folders.append(entry.path)
                continue
            with suppress(FileNotFoundError):  # gone since, or a link to nothing
                yield _local_info(entry.path, entry.stat())


def _local_info(path: str, stat: os.stat_result) -> FileInfo:
    return FileInfo(path, stat.st_size, stat.st_mtime_ns // 1_000_000)


def list_s3(base: str) -> Iterator[FileInfo]:
    """All objects whose path begins so and ends there or at a `/`, hidden ones too."""
    bucket, prefix = split_s3(base)
    token: dict[str, Any] = {}
    while True:
        page = s3(bucket, lambda client, token=token: client.list_objects_v2(Bucket=bucket, Prefix=prefix, **token))  # type: ignore[misc]
        for item in (page or {}).get("Contents", []):
            path = f"s3a://{bucket}/{item['Key']}"
            inside = path == base or path.startswith(base.rstrip("/") + "/")
            if inside and not item["Key"].endswith("/"):
                yield FileInfo(path, item["Size"], int(item["LastModified"].timestamp() * 1000), item["ETag"])
        if not page or not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def above_wildcards(path: str) -> str:
    """The folder above the first part with a wildcard; the whole path where there is none."""
    parts = path.rstrip("/").split("/")
    wild = next((index for index, part in enumerate(parts) if _GLOB & set(part)), None)
    return path.rstrip("/") if wild is None else "/".join(parts[:wild])


def _matches(path: str, pattern: str) -> bool:
    """Part by part, as a shell does: `*` stays within its part, and a folder that matches gives all below it."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) >= len(wanted) and all(fnmatch.fnmatchcase(*pair) for pair in zip(parts, wanted, strict=False))


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(("_", ".")) and "=" not in part for part in relative.split("/") if part)
