"""Which storage stands behind a URL: a folder, or a bucket for `s3://…`."""

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from app.domain.mistakes import Mistake
from app.storage.folder import Folder
from app.storage.marked import Marked


class StorageUnusable(Mistake):
    """Raised when nothing can be kept where the URL says."""


def open_storage(url: str, *, oldest: Callable[[], Sequence[str]]) -> Marked:
    """A folder's path or `s3://bucket/prefix`; `oldest` are the keys by which it is recognized, see Marked.

    Raises StorageUnusable: it is neither.
    """
    if url.startswith("s3://"):
        from app.storage.bucket import Bucket

        return Marked(Bucket(url), make=lambda: None, oldest=oldest)
    folder = Folder(_path(url))
    return Marked(folder, make=folder.make, oldest=oldest)


def require_usable(url: str) -> None:
    """Raises StorageUnusable: it is neither, or a file is in its place; what is away, or read-only for now, may come back."""
    if url.startswith("s3://"):
        return
    path = _path(url)
    with suppress(OSError):  # a mount that is dead
        place = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
        if not place.is_dir():
            said = f"The storage {path} cannot be used ({os.strerror(errno.ENOTDIR)})"
            raise StorageUnusable(f"{said}: set TRAINYARD_STORAGE_URL to another folder.")


def _path(url: str) -> Path:
    path = url.removeprefix("file://")
    if "://" in path:
        raise StorageUnusable("TRAINYARD_STORAGE_URL: It must be a folder, `file:///folder` or `s3://bucket/prefix`.")
    return Path(path)
