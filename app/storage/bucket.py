"""An S3 bucket as storage; credentials, region and endpoint come from the environment's AWS_ variables."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError, InvalidPathError, NotFoundError
from obstore.store import S3Store

from app.storage.folder import PIECE, TEMPORARY
from app.storage.many import put_each

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta

CONNECT_SECONDS = 5
REQUEST_SECONDS = 120
RETRIES = 2


class Bucket:
    """Implements Storage below `s3://bucket/prefix`; an object appears whole or not at all, which is S3's own promise."""

    def __init__(self, url: str) -> None:
        # Plain HTTP only where the operator names such an endpoint.
        plain = os.environ.get("AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL", "")).startswith("http://")
        self._store = S3Store.from_url(
            url,
            client_options={
                "allow_http": plain,
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "timeout": timedelta(seconds=REQUEST_SECONDS),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=REQUEST_SECONDS)},
        )

    def put(self, key: str, data: bytes) -> None:
        """See Storage.put."""
        with _system_errors(key):
            obstore.put(self._store, key, data)

    def put_all(self, contents: Mapping[str, bytes]) -> None:
        """See Storage.put_all."""
        put_each(self.put, contents)

    def put_file(self, key: str, path: Path) -> None:
        """See Storage.put_file; large files go in parts."""
        with _system_errors(key):
            obstore.put(self._store, key, path)

    def get(self, key: str) -> bytes:
        """See Storage.get."""
        with _system_errors(key):
            return obstore.get(self._store, key).bytes().to_bytes()

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See Storage.stream; the object is found before the first piece is asked for."""
        with _system_errors(key):
            size = obstore.head(self._store, key)["size"]
            stop = size if end is None else min(end, size)
            if start >= stop:
                return iter(())
            return _pieces(obstore.get(self._store, key, options={"range": (start, stop)}), key)

    def fetch(self, key: str, destination: Path, *, between: Callable[[], None] = lambda: None) -> Path:
        """See Storage.fetch."""
        pieces = self.stream(key)
        with destination.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                between()
        return destination

    def delete(self, prefix: str) -> None:
        """See Storage.delete."""
        with _system_errors(prefix):
            for found in obstore.list(self._store, prefix):
                obstore.delete(self._store, [meta["path"] for meta in found])

    def folders(self, kind: str, *, older_than: float) -> Iterator[str]:
        """See Storage.folders; the keys come in their order, so those of a folder stand together."""
        with _system_errors(kind):
            found = ((meta["path"].split("/")[1], _age(meta)) for page in obstore.list(self._store, kind) for meta in page)
            for name, ages in groupby(found, key=itemgetter(0)):
                if min(age for _, age in ages) > older_than:
                    yield name

    def remove_temporaries(self, *, older_than: float) -> int:
        """See Storage.remove_temporaries: probes only, a write that died leaves no object."""
        with _system_errors(TEMPORARY):
            probes = obstore.list_with_delimiter(self._store)["objects"]
            old = [meta["path"] for meta in probes if meta["path"].startswith(TEMPORARY) and _age(meta) > older_than]
            if old:
                obstore.delete(self._store, old)
            return len(old)

    def check(self) -> None:
        """See Storage.check."""
        probe = f"{TEMPORARY}{uuid4().hex}"
        with _system_errors(probe):
            obstore.put(self._store, probe, b"")
            obstore.delete(self._store, probe)


def _pieces(result: "GetResult", key: str) -> Iterator[bytes]:
    with _system_errors(key):
        for piece in result.stream(min_chunk_size=PIECE):
            yield bytes(piece)


def _age(meta: "ObjectMeta") -> float:
    return (datetime.now(UTC) - meta["last_modified"]).total_seconds()


@contextmanager
def _system_errors(key: str) -> Iterator[None]:
    """What callers expect of any storage: FileNotFoundError for a missing key, OSError for whatever else fails."""
    try:
        yield
    except (NotFoundError, InvalidPathError, ValueError):  # ValueError: a key that would leave the prefix
        raise FileNotFoundError(key) from None
    except BaseError as error:
        raise OSError(f"the bucket failed: {type(error).__name__}") from error
