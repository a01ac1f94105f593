"""What a storage does: keep bytes under a key, whole or not at all."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol


class StorageFailed(OSError):
    """Raised when a storage takes or gives no bytes, for want of room or because it is away; worth another try."""


class Storage(Protocol):
    """Keys are relative paths of plain names; a key is written once and never changed."""

    def put(self, key: str, data: bytes) -> None:
        """Store bytes: after the call they are durable, before it nothing of them is visible."""

    def put_all(self, contents: Mapping[str, bytes]) -> None:
        """Store many, by their keys, in no order; where one fails others may be there."""

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file likewise; the file may be moved away."""

    def get(self, key: str) -> bytes:
        """The bytes of a key; FileNotFoundError where there are none."""

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from start up to end (exclusive), in pieces; FileNotFoundError where there are none."""

    def fetch(self, key: str, destination: Path, *, between: Callable[[], None] = lambda: None) -> Path:
        """A local file with the bytes of a key: the stored one itself where it is local, else a copy at destination.

        `between` is called after each piece that was copied; what it raises ends the copying.
        """

    def delete(self, prefix: str) -> None:
        """Remove all keys below a folder; nothing there is fine."""

    def folders(self, kind: str, *, older_than: float) -> Iterator[str]:
        """The names of the folders below `kind` in which nothing was written for so many seconds."""

    def remove_temporaries(self, *, older_than: float) -> int:
        """Remove what writes left that died so many seconds ago; how many there were."""

    def check(self) -> None:
        """Raise an OSError unless the storage can be written and has some room."""
