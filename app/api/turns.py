"""Work on the event loop that takes some milliseconds."""

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """One piece in each turn of the loop, in the order they came: between two it reads what arrived and does what is small."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def take(self, work: Callable[[], None]) -> None:
        """Have it done when its turn comes."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        try:
            self._waiting[0]()
        finally:
            self._waiting.popleft()
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._next)
