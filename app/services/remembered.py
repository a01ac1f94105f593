"""What is worth keeping in memory, up to a number of bytes; the least recently used gives way."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by keys, for many threads; a value that grew is put again."""

    def __init__(self, *, limit_bytes: int, size: Callable[[V], int]) -> None:
        self._limit = limit_bytes
        self._size = size
        self._lock = Lock()
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: K) -> V | None:
        """The value, which is then the newest."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: K, value: V) -> V:
        """Keep a value, measured as it is now; the newest stays, however large it is."""
        size = self._size(value)
        with self._lock:
            self._drop(key)
            self._values[key] = value, size
            self._bytes += size
            while self._bytes > self._limit and len(self._values) > 1:
                self._drop(next(iter(self._values)))
        return value

    def forget(self, key: K) -> None:
        """Drop a value."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: K) -> None:
        _, size = self._values.pop(key, (None, 0))
        self._bytes -= size
