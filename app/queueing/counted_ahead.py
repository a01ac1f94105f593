"""Requests that were counted before they came, so that not each of them asks Redis."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.domain.allowance import Allowance

# Counted but unused requests are lost after a while, else a minute could have more than its number.
KEPT_SECONDS = 1.0
# Of a limit, at most, by one process: what is lost is then a few in a hundred of it, in a minute.
PART = 2000


@dataclass(slots=True)
class _Block:
    allowance: Allowance
    reset_at: float
    until: float
    size: int
    left: int


class CountedAhead:
    """Blocks of requests by project: of one at first, twice as large whenever one was used up in time."""

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._now = max(1, limit // PART), clock
        self._blocks: dict[str, _Block] = {}

    def has(self, project_id: str) -> bool:
        """True where `take` has one."""
        block = self._blocks.get(project_id)
        return block is not None and block.left > 0 and self._now() < block.until

    def take(self, project_id: str) -> Allowance | None:
        """One of those, None where there is none."""
        if not self.has(project_id):
            return None
        block = self._blocks[project_id]
        block.left -= 1
        remaining, reset = block.allowance.remaining + block.left, _seconds_to(block.reset_at)
        return replace(block.allowance, remaining=remaining, reset=reset)

    def size(self, project_id: str) -> int:
        """How many to count next."""
        block = self._blocks.get(project_id)
        if block is None or block.left or self._now() >= block.until:
            return 1
        return min(self._most, 2 * block.size)

    def forget(self, project_id: str) -> None:
        """The limit is reached: it is counted one by one again."""
        self._blocks.pop(project_id, None)

    def put(self, project_id: str, allowance: Allowance, *, size: int) -> None:
        """So many were counted, and the allowance is what Redis said afterwards."""
        reset_at = time.time() + allowance.reset
        self._blocks[project_id] = _Block(allowance, reset_at, self._now() + KEPT_SECONDS, size, size)


def _seconds_to(at: float) -> int:
    return max(1, math.ceil(at - time.time()))
