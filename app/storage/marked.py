"""A storage that is known by its mark: without it the storage is away, whatever else is found in its place."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.storage.storage import Storage, StorageFailed

MARK = ".trainyard"
_TEXT = b"By this file Trainyard knows its storage; without it the storage counts as away (docs/operations.md).\n"


class Marked:
    """Implements Storage by another one: what fails is a StorageFailed, but for a missing key of a storage that is here.

    `make` makes the place of a new storage. `oldest` answers keys that the database has known for long, none where it knows of
    no bytes: by them a storage is recognized that has no mark yet. It is asked only until a mark was seen.
    """

    def __init__(self, storage: Storage, *, make: Callable[[], None], oldest: Callable[[], Sequence[str]]) -> None:
        self._storage, self._make, self._oldest = storage, make, oldest
        self._was_here = False

    def open(self) -> None:
        """Mark a storage that is new or has no mark yet; StorageFailed where it is away."""
        with _failures():
            self._find()

    def put(self, key: str, data: bytes) -> None:
        """See Storage.put."""
        with self._writing():
            self._storage.put(key, data)

    def put_all(self, contents: Mapping[str, bytes]) -> None:
        """See Storage.put_all."""
        with self._writing():
            self._storage.put_all(contents)

    def put_file(self, key: str, path: Path) -> None:
        """See Storage.put_file."""
        with self._writing():
            self._storage.put_file(key, path)

    def get(self, key: str) -> bytes:
        """See Storage.get."""
        with self._reading():
            return self._storage.get(key)

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See Storage.stream."""
        with self._reading():
            return self._pieces(self._storage.stream(key, start=start, end=end))

    def _pieces(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        with self._reading():
            yield from pieces

    def fetch(self, key: str, destination: Path, *, between: Callable[[], None] = lambda: None) -> Path:
        """See Storage.fetch."""
        with self._reading():
            return self._storage.fetch(key, destination, between=between)

    def delete(self, prefix: str) -> None:
        """See Storage.delete."""
        with _failures():
            self._storage.delete(prefix)

    def folders(self, kind: str, *, older_than: float) -> Iterator[str]:
        """See Storage.folders."""
        with _failures():
            yield from self._storage.folders(kind, older_than=older_than)

    def remove_temporaries(self, *, older_than: float) -> int:
        """See Storage.remove_temporaries."""
        with _failures():
            return self._storage.remove_temporaries(older_than=older_than)

    def check(self) -> None:
        """See Storage.check."""
        with self._writing():
            self._storage.check()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Nothing is written into what is not this storage."""
        with _failures():
            self._find()
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Before it is told that bytes are gone the storage itself is looked for."""
        try:
            yield
        except FileNotFoundError:
            self.open()
            raise
        except OSError as error:
            raise _failed(error) from error

    def _find(self) -> None:
        try:
            self._storage.get(MARK)
        except FileNotFoundError:
            if self._was_here or not self._may_be_marked():
                raise StorageFailed(f"the storage is away: what is in its place has no {MARK}") from None
            self._make()
            self._storage.put(MARK, _TEXT)
        self._was_here = True

    def _may_be_marked(self) -> bool:
        keys = self._oldest()
        return not keys or any(self._has(key) for key in keys)

    def _has(self, key: str) -> bool:
        try:
            self._storage.stream(key, end=0)
        except FileNotFoundError:
            return False
        return True


@contextmanager
def _failures() -> Iterator[None]:
    """No key is missing where none is read: then it is the storage."""
    try:
        yield
    except OSError as error:
        raise _failed(error) from error


def _failed(error: OSError) -> StorageFailed:
    return StorageFailed(*error.args)
