"""What is worth keeping in memory, up to a number of bytes; the least recently used gives way."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by keys, for many threads; values may grow."""

    def __init__(self, *, limit_bytes: int, size: Callable[[V], int]) -> None:
        self._limit = limit_bytes
        self._size = size
        self._lock = Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, which is then the newest."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: K, value: V) -> V:
        """Keep a value; the newest stays, however large it is."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            total = sum(map(self._size, self._values.values()))
            while total > self._limit and len(self._values) > 1:
                total -= self._size(self._values.popitem(last=False)[1])
        return value

    def forget(self, key: K) -> None:
        """Drop a value."""
        with self._lock:
            self._values.pop(key, None)
