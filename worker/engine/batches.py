"""The training rows of a stack in the order of an epoch, cut into batches, and the losses of what was trained.

Row tensors are [K, n, F + 1] with ones in the last column; a batch is seen as [K, F + 1, b]. The rows of `window` batches are
gathered at once, so that a step's tensors are always the same views. Their logits are kept, and the losses computed together:
for C epochs (`epochs`) where a window is a whole epoch, else for one window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engine import data, dealing, sources
from worker.engine.data import Member
from worker.engine.dealing import Cut
from worker.engine.losses import Loss


@dataclass(frozen=True, slots=True)
class Batch:
    """x [K, F + 1, b], its transpose, the loss's parts of the targets, where the logits [K, O, b] go.

    Where the members share their rows x is [1, F + 1, b]; with a cut its columns are those of all networks, of which each
    takes its `rows` ones.
    factor [K, 1, 1]: what the gradient is multiplied with where the batch does not weigh what its table supposes.
    """

    x: Tensor
    x_t: Tensor
    targets: tuple[Tensor, ...]
    logits: Tensor
    rows: int
    factor: Tensor | None
    cut: Cut | None = None


class Batches:
    """Training data of K members with equally many rows; with `squeezed`, batches lack the leading K.

    With `cuts` a batch that all members share may have a cut, else each that leaves rows out has its own.
    """

    def __init__(
        self,
        members: Sequence[Member],
        loss: Loss,
        *,
        like: Tensor,
        epochs: int,
        window: int,
        squeezed: bool,
        cuts: bool,
    ) -> None:
        self._loss, self._squeezed = loss, squeezed
        parts = [data.train(member.arrays) for member in members]
        self.rows, self.size = parts[0].rows, min(members[0].spec.batch_size, parts[0].rows)
        self.steps = -(-self.rows // self.size)
        self.window, self.weights = window, np.array([part.weight for part in parts])
        self.units = self.weights if self.steps == 1 else np.full(len(parts), float(self.size))
        self._weighted = self.steps > 1 and any(part.weighted for part in parts)
        self._deal = dealing.of(members, size=self.size)
        self.shared = data.is_shared(members) and (self._deal is None or cuts)
        self._source = sources.of(members, parts, loss, units=self.units, like=like, deal=self._deal, shared=self.shared)
        k, shown = len(parts), min(self.rows, window * self.size)
        columns = self._taken(shown)
        if self.steps == 1:
            self._shuffled, tables = self._source.all()
            self._tables = tables[None]
        else:
            whole = (1, shown) if self.shared else (k, columns)
            self._shuffled = like.new_ones(*whole, parts[0].columns + 1)
            self._tables = like.new_zeros(epochs, k, self._source.width, columns)
        self._logits = like.new_zeros(epochs, k, members[0].spec.layers[-1], columns)
        self.bench = self._epochs = epochs
        self._factors = like.new_ones(window, k, 1, 1)
        self._last_factor = like.new_full((k, 1, 1), self.size / self._rows_of(self.steps - 1))

    def add_bench(self) -> None:
        """Make room for one more epoch, of number `bench`, which is no part of the sums."""
        self._logits = self._logits.new_zeros(self.bench + 1, *self._logits.shape[1:])
        if self.steps > 1:
            self._tables = self._tables.new_zeros(self.bench + 1, *self._tables.shape[1:])

    def keep_bench(self, slot: int) -> None:
        """What the bench's batches left is the epoch's in `slot`."""
        for kept in [self._logits, *[self._tables] * (self.steps > 1)]:
            kept[slot].copy_(kept[self.bench])

    @property
    def taken(self) -> int:
        """The rows of a batch that a member learns from."""
        return self._taken(self.size)

    def turn(self, index: int) -> int:
        """Batches of as many rows and one turn are seen alike."""
        return self._deal.turn(index) if self._deal else 0

    def _rows_of(self, index: int) -> int:
        """The rows of a batch: the last one may have fewer."""
        return min(self.size, self.rows - index * self.size)

    def _taken(self, rows: int) -> int:
        """Of the first rows of a window those that a member learns from."""
        return self._deal.taken(rows) if self._deal else rows

    def begin(self, epoch: int) -> None:
        """Find the order of an epoch's rows."""
        self._source.begin(epoch)

    def fill(self, slot: int, first: int) -> None:
        """Gather the rows of the window that begins with the batch `first`; the epoch's logits will stand in `slot`."""
        start, stop = first * self.size, min(self.rows, (first + self.window) * self.size)
        columns = self._taken(stop - start)
        x = self._shuffled[:, : stop - start if self.shared else columns]
        self._source.fill(start, stop, x, self._tables[slot, ..., :columns])
        if self._weighted:
            self._weigh(self._source.weights())

    def batch(self, slot: int, index: int) -> Batch:
        """The batch `index` of the epoch in `slot`: views that hold for its place in the window, whatever was filled in."""
        place, whole = index % self.window, self._rows_of(index)
        rows = self._taken(whole)
        start, end = place * self.taken, place * self.taken + rows
        cut = self._deal.cut(index) if self._deal and self.shared else None
        x_t = self._shuffled[:, place * self.size : place * self.size + whole] if cut else self._shuffled[:, start:end]
        table, logits = self._tables[slot % len(self._tables), ..., start:end], self._logits[slot, ..., start:end]
        factor = self._factors[place] if self._weighted else None if whole == self.size else self._last_factor
        if self._squeezed:
            x_t, table, logits, factor = x_t[0], table[0], logits[0], None if factor is None else factor[0]
        return Batch(x_t.transpose(-1, -2), x_t, self._loss.parts(table), logits, rows, factor, cut)

    def sums(self, first: int) -> NDArray[np.float64]:
        """[C, K, window]: the losses summed over each batch's rows, from the logits kept since batch `first`."""
        start, end = first * self.size, min(self.rows, (first + self.window) * self.size)
        columns = self._taken(end - start)
        logits, tables = (kept[: self._epochs, ..., :columns] for kept in (self._logits, self._tables))
        rows = self._loss.reported(logits, self._loss.parts(tables))
        return np.asarray(self._by_batch(rows, dtype=torch.float64).cpu().numpy() * self.units[:, None])

    def _by_batch(self, rows: Tensor, *, dtype: torch.dtype) -> Tensor:
        """[..., window]: the sums of rows [..., columns] over each batch, of which the last may have fewer."""
        size = self.taken
        whole = rows.shape[-1] // size * size
        sums = rows[..., :whole].reshape(*rows.shape[:-1], -1, size).sum(-1, dtype=dtype)
        if whole == rows.shape[-1]:
            return sums
        return torch.cat((sums, rows[..., whole:].sum(-1, keepdim=True, dtype=dtype)), -1)

    def _weigh(self, w: Tensor) -> None:
        """The factors size / Σw of each batch, as of plain batches where all weigh 1; one without any weight teaches nothing.

        Divided as tensors, for a number by a tensor is its reciprocal times the number.
        """
        found = self._by_batch(w, dtype=torch.float64).clamp_min_(self.size * torch.finfo(w.dtype).tiny)
        self._factors[: found.shape[1]].copy_((torch.full_like(found, self.size) / found).T[..., None, None])
