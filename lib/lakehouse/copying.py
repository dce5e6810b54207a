"""Whole folders copied: from this machine to S3, and from place to place of one store."""

from __future__ import annotations

import shutil
from pathlib import Path

from lakehouse.storage import list_s3, s3, split_s3
from lakehouse.tables import is_remote


def upload_tree(folder: Path, path: str) -> int:
    """Copies a local folder's new or changed files to S3 under the same names; the number copied."""
    bucket, prefix = split_s3(path)
    there = {file.path: file.size for file in list_s3(path.rstrip("/") + "/")}
    copied = 0
    for file in sorted(item for item in folder.rglob("*") if item.is_file()):
        key = f"{prefix.rstrip('/')}/{file.relative_to(folder).as_posix()}"
        if there.get(f"s3a://{bucket}/{key}") != file.stat().st_size:
            s3(bucket, lambda client, file=file, key=key: client.upload_file(str(file), bucket, key))  # type: ignore[misc]
            copied += 1
    return copied


def copy_tree(path: str, to: str) -> None:
    """Copies a folder and all below it, hidden files too; one that is not there gives none."""
    if not is_remote(path):
        if Path(path).is_dir():
            shutil.copytree(path, to)
        return
    bucket, prefix = split_s3(path)
    target, start = split_s3(to)
    for file in list_s3(path.rstrip("/") + "/"):
        key = split_s3(file.path)[1]
        new = start + key[len(prefix) :]
        s3(target, lambda client, key=key, new=new: client.copy({"Bucket": bucket, "Key": key}, target, new))  # type: ignore[misc]
