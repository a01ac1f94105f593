"""What one API process counts: in a file that others read while it grows, and that outlives the process.

A record is a number and the text of its key. Only its process writes a meter; eight aligned bytes are written at once, and a
key becomes visible by its first byte, which is written last.
"""

import errno
import fcntl
import json
import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Self

RECORD = 192
_NUMBER = 8
# Some 25 for each operation: its buckets and its statuses.
RECORDS = 4096
SIZE = RECORDS * RECORD

Key = tuple[str, ...]


class Meter:
    """As long as it is open it holds a lock on its file: whoever gets that lock knows that the process is gone."""

    def __init__(self, memory: mmap.mmap, descriptor: int | None = None) -> None:
        self._memory, self._descriptor = memory, descriptor
        self._numbers = memoryview(memory).cast("q")
        self._places: dict[Key, int] = {}
        self._lock = Lock()

    @classmethod
    def at(cls, path: Path) -> Self:
        """In a new file, whose bytes are all there before they are mapped: a full disk must not end the process later."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.pwrite(descriptor, bytes(SIZE), 0) != SIZE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return cls(mmap.mmap(descriptor, SIZE), descriptor)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise

    @classmethod
    def unshared(cls) -> Self:
        """In memory: only this process sees it."""
        return cls(mmap.mmap(-1, SIZE))

    @property
    def is_shared(self) -> bool:
        """Whether others can read it."""
        return self._descriptor is not None

    def add(self, amounts: Iterable[tuple[Key, int]]) -> None:
        """Count; keys beyond the last record are left out."""
        with self._lock:
            for key, amount in amounts:
                self._add(key, amount)

    def _add(self, key: Key, amount: int) -> None:
        if place := self._places.get(key) or self._take(key):
            self._numbers[place - 1] += amount

    def _take(self, key: Key) -> int:
        """The place of a new key's number, plus one; 0 where there is no room."""
        text = json.dumps(key, separators=(",", ":")).encode()
        start = len(self._places) * RECORD
        if start >= SIZE or len(text) > RECORD - _NUMBER:
            return 0
        begin = start + _NUMBER
        self._memory[begin + 1 : begin + len(text)] = text[1:]
        self._memory[begin] = text[0]
        self._places[key] = start // _NUMBER + 1
        return self._places[key]

    def read(self) -> dict[Key, int]:
        """The numbers so far."""
        return dict(_records(self._memory[:]))

    def close(self) -> None:
        """Let others fold its numbers into those of the processes that ended."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # the mapping has a descriptor of its own, which keeps the lock
            os.close(self._descriptor)
            self._descriptor = None


def read_file(descriptor: int) -> dict[Key, int]:
    """The numbers of an open file, as far as there are any."""
    return dict(_records(os.pread(descriptor, SIZE, 0)))


def _records(data: bytes) -> Iterator[tuple[Key, int]]:
    whole = len(data) // RECORD * RECORD
    numbers = memoryview(data)[:whole].cast("q")
    for start in range(0, whole, RECORD):
        if key := _key(data[start + _NUMBER : start + RECORD]):
            yield key, numbers[start // _NUMBER]


def _key(text: bytes) -> Key | None:
    """None where there is none yet, or none any more after a power failure."""
    if text[:1] == b"\0":
        return None
    try:
        return tuple(map(str, json.loads(text.rstrip(b"\0"))))
    except (ValueError, TypeError):
        return None
