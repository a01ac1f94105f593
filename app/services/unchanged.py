"""What was found in the database, remembered as long as nothing was committed there."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 10_000


class Unchanged(Generic[K, V]):
    """By key; `mark` says the same as long as nothing changes, and None where it cannot tell, so that nothing is remembered."""

    def __init__(self, mark: Callable[[], int | None]) -> None:
        self._ask = mark
        self._mark: int | None = None
        self._known: dict[K, V] = {}

    def look(self, key: K) -> tuple[int | None, V | None]:
        """The present mark, and what is known of the key under it."""
        mark = self._ask()
        if mark is None or mark != self._mark or len(self._known) >= MOST:
            self._mark, self._known = mark, {}
        return mark, self._known.get(key)

    def keep(self, key: K, value: V, mark: int | None) -> None:
        """Remember what was found after `mark` was told."""
        if mark is not None and mark == self._mark:
            self._known[key] = value
