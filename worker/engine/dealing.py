"""The batches of an ensemble with folds: dealt evenly to all folds, so that each network can pass over the rows of its own.

Of k folds the row at place p of an epoch is one of fold p mod k, and within a batch of b rows those of a fold stand together.
A network takes all but the first ⌊b / k⌋ of its own fold. Where k does not divide b one may be left, which has no weight; so
all networks have equally many rows of a batch, and which of its places they are depends on the batch's number alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engine.data import Member


@dataclass(frozen=True, slots=True)
class Cut:
    """Of a batch of `rows`: each network passes over `count` places from its own start on."""

    rows: int
    count: int
    starts: tuple[int, ...]

    def pieces(self, network: int) -> list[tuple[slice, slice]]:
        """Which places a network takes, and where they stand among its own."""
        start, after = self.starts[network], self.starts[network] + self.count
        found = [(slice(0, start), slice(0, start)), (slice(after, self.rows), slice(start, self.rows - self.count))]
        return [pair for pair in found if pair[0].start < pair[0].stop]

    def gap(self, network: int) -> slice:
        """The places that a network passes over."""
        return slice(self.starts[network], self.starts[network] + self.count)


class Deal:
    """The rows of an epoch, for k networks of which `own` says the fold of each."""

    def __init__(self, folds: NDArray[np.int64], own: Sequence[int], *, size: int) -> None:
        self._rows, self._size, self._own, self._k = len(folds), size, own, len(own)
        self._folds = torch.from_numpy(folds)
        place = np.arange(self._rows)
        by_fold = np.empty_like(place)
        by_fold[np.argsort(place % self._k, kind="stable")] = place
        self._arranged = torch.from_numpy(by_fold[np.lexsort((place % self._k, place // size))])
        self._known: dict[tuple[int, int], tuple[Cut, NDArray[np.int64]]] = {}

    def taken(self, rows: int) -> int:
        """How many of the first `rows` of an epoch, or of a batch, a network takes; but for the last, batches are whole."""
        last = rows % self._size
        return rows // self._size * (self._size - self._size // self._k) + last - last // self._k

    def turn(self, batch: int) -> int:
        """Batches of as many rows and one turn are cut alike."""
        return batch * self._size % self._k

    def cut(self, batch: int) -> Cut:
        """That of a batch."""
        return self._cut(batch)[0]

    def arranged(self, order: Tensor) -> Tensor:
        """[n]: a random order of the rows as it is dealt, batch behind batch."""
        by_fold = order[torch.argsort(self._folds[order], stable=True)]
        return by_fold[self._arranged]

    def places(self, start: int, stop: int) -> Tensor:
        """Of each network those that it takes of whole batches, from the place `start` of an epoch to `stop`: [K, m]."""
        batches = range(start // self._size, -(-stop // self._size))
        return torch.from_numpy(np.concatenate([batch * self._size + self._cut(batch)[1] for batch in batches], axis=1))

    def _cut(self, batch: int) -> tuple[Cut, NDArray[np.int64]]:
        """The cut, and which places of the batch each network takes [K, m]."""
        rows = min(self._size, self._rows - batch * self._size)
        key = self.turn(batch), rows
        if key not in self._known:
            sizes = np.bincount(np.arange(key[0], key[0] + rows) % self._k, minlength=self._k)
            starts = np.cumsum(sizes) - sizes
            cut = Cut(rows, rows // self._k, tuple(int(starts[fold]) for fold in self._own))
            taken = [np.delete(np.arange(rows), cut.gap(network)) for network in range(self._k)]
            self._known[key] = cut, np.stack(taken)
        return self._known[key]


def of(members: Sequence[Member], *, size: int) -> Deal | None:
    """None where the members are not the networks of an ensemble with folds, and where a batch is all rows."""
    left = [member.left_out for member in members]
    folds = left[0].folds if left[0] else None
    own = [one.fold for one in left if one and one.folds is folds]
    if folds is None or size >= len(folds) or sorted(own) != list(range(len(members))):
        return None
    return Deal(folds, own, size=size)
