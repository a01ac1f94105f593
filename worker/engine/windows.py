"""Training rows that are streamed: blocks in an order drawn for the epoch, some of them in memory as a window that is shuffled.

Which row comes when is a pure function of (seed, epoch, window), so an epoch can be entered anywhere.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worker.engine.data import Part, StoredPart
from worker.engine.randomness import block_order, window_order

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec


class Windows:
    """The training rows of one member, in the order of one epoch after the other."""

    def __init__(self, part: StoredPart, spec: "ResolvedSpec") -> None:
        if spec.window is None:
            raise ValueError("Rows that are not in memory need a window in which they are shuffled.")
        self._part, self._seed, self._blocks = part, spec.seed, spec.window.blocks
        starts = range(0, part.rows, spec.window.block_rows)
        self._runs = [slice(start, min(start + spec.window.block_rows, part.rows)) for start in starts]

    def begin(self, epoch: int) -> None:
        """Find the order of an epoch's blocks; no window is in memory yet."""
        order = [self._runs[block] for block in block_order(self._seed, epoch, len(self._runs)).tolist()]
        self._windows = [order[first : first + self._blocks] for first in range(0, len(order), self._blocks)]
        self._starts = np.cumsum([0, *(sum(run.stop - run.start for run in window) for window in self._windows)])
        self._epoch, self._number = epoch, -1

    def take(self, start: int, stop: int) -> Part:
        """The epoch's rows from `start` on, as far as their window reaches, at most up to `stop`."""
        number = int(np.searchsorted(self._starts, start, side="right")) - 1
        if number != self._number:
            self._load(number)
        first = int(self._starts[number])
        return _chosen(self._window, self._order[start - first : stop - first])

    def in_order(self) -> Iterator[tuple[slice, Part]]:
        """All rows as they stand in the file, block by block."""
        return ((run, self._part.read([run])) for run in self._runs)

    def _load(self, number: int) -> None:
        self._number, self._window = number, self._part.read(self._windows[number])
        self._order = window_order(self._seed, self._epoch, number, self._window.rows).numpy()
        if number + 1 < len(self._windows):
            self._part.expect(self._windows[number + 1])


def _chosen(window: Part, order: NDArray[np.int64]) -> Part:
    """Rows of a window, copied; `take` is twice as quick as an index."""
    return Part(window.x.take(order, 0), window.y.take(order, 0), None if window.w is None else window.w.take(order, 0))
