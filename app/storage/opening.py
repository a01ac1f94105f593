"""Which storage stands behind a URL: a folder, or a bucket for `s3://…`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from app.storage.folder import Folder
from app.storage.marked import Marked


def open_storage(url: str, *, oldest: Callable[[], Sequence[str]]) -> Marked:
    """A folder's path or `s3://bucket/prefix`; `oldest` are the keys by which it is recognized, see Marked."""
    if url.startswith("s3://"):
        from app.storage.bucket import Bucket

        return Marked(Bucket(url), make=lambda: None, oldest=oldest)
    folder = Folder(Path(url.removeprefix("file://")))
    return Marked(folder, make=folder.make, oldest=oldest)
