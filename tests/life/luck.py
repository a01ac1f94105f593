"""A database and a storage whose every call may fail by chance: before it, or after it, when only the answer is lost."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from app.persistence.database import Database
from app.storage.storage import Storage


class Died(BaseException):
    """Nothing in the worker catches it: what it leaves is what a killed process leaves."""


class Luck:
    """Says at each call whether it fails; `deadly` where the process may end there instead."""

    def __init__(self, random: Random, *, odds: float = 0.0, deadly: bool = False) -> None:
        self._random = random
        self._deadly = deadly
        self.odds = odds

    def meet(self, error: Exception) -> None:
        """Raise the error, or die, or do nothing, which is by far the most likely."""
        if self._random.random() < self.odds:
            raise Died if self._deadly and self._random.random() < 0.3 else error


def _away() -> OperationalError:
    return OperationalError("a statement", None, ConnectionError("the connection was lost"))


class UnluckyDatabase(Database):
    """Fails before any statement, before a commit, or after it."""

    def __init__(self, url: str, luck: Luck) -> None:
        super().__init__(url)
        self._luck = luck
        event.listen(self.engine, "before_cursor_execute", self._before_statement)

    def _before_statement(self, *_: Any) -> None:
        self._luck.meet(_away())

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See Database.write."""
        with super().write() as connection:
            yield connection
            self._luck.meet(_away())
        self._luck.meet(_away())


class UnluckyStorage:
    """Fails before any call, or after those that write."""

    def __init__(self, storage: Storage, luck: Luck) -> None:
        self._storage = storage
        self._luck = luck

    @contextmanager
    def _written(self, key: str) -> Iterator[None]:
        self._luck.meet(OSError(f"{key}: the disk is away"))
        yield
        self._luck.meet(OSError(f"{key}: the disk is away"))

    def put(self, key: str, data: bytes) -> None:
        """See Storage.put."""
        with self._written(key):
            self._storage.put(key, data)

    def put_all(self, contents: Mapping[str, bytes]) -> None:
        """See Storage.put_all; one after the other, so that a seed always means the same luck."""
        for key, data in contents.items():
            self.put(key, data)

    def put_file(self, key: str, path: Path) -> None:
        """See Storage.put_file."""
        with self._written(key):
            self._storage.put_file(key, path)

    def get(self, key: str) -> bytes:
        """See Storage.get."""
        self._luck.meet(OSError(f"{key}: the disk is away"))
        return self._storage.get(key)

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See Storage.stream."""
        self._luck.meet(OSError(f"{key}: the disk is away"))
        return self._storage.stream(key, start=start, end=end)

    def fetch(self, key: str, destination: Path, *, between: Callable[[], None] = lambda: None) -> Path:
        """See Storage.fetch."""
        self._luck.meet(OSError(f"{key}: the disk is away"))
        return self._storage.fetch(key, destination, between=between)

    def delete(self, prefix: str) -> None:
        """See Storage.delete."""
        with self._written(prefix):
            self._storage.delete(prefix)

    def folders(self, kind: str, *, older_than: float) -> Iterator[str]:
        """See Storage.folders."""
        self._luck.meet(OSError(f"{kind}: the disk is away"))
        return self._storage.folders(kind, older_than=older_than)

    def remove_temporaries(self, *, older_than: float) -> int:
        """See Storage.remove_temporaries."""
        with self._written("temporaries"):
            return self._storage.remove_temporaries(older_than=older_than)

    def check(self) -> None:
        """See Storage.check."""
        self._luck.meet(OSError("the disk is away"))
        self._storage.check()
