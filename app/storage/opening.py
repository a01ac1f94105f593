"""Which storage stands behind a URL: a folder, or a bucket for `s3://…`."""

from pathlib import Path

from app.storage.folder import Folder
from app.storage.storage import Storage


def open_storage(url: str) -> Storage:
    """A folder's path or `s3://bucket/prefix`."""
    if url.startswith("s3://"):
        from app.storage.bucket import Bucket

        return Bucket(url)
    return Folder(Path(url.removeprefix("file://")))
