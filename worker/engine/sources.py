"""Where a stack's training rows come from: gathered in the order of an epoch, from memory or window by window from disk."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engine import data
from worker.engine.data import AnyPart, Inputs, Member, Part, StoredPart
from worker.engine.dealing import Deal
from worker.engine.losses import Loss
from worker.engine.randomness import epoch_order
from worker.engine.windows import Windows


class Source(ABC):
    """Rows of K members as x [K, n, F + 1] with ones in the last column, tables [K, T, n] and weights [K, n].

    Where the members share their rows x is [1, n, F + 1]; tables and weights of a deal are of the rows that each takes.
    In tables weights stand in `units`, [K]: a batch's sum of them is 1 where it weighs what is usual.
    """

    width: int
    """T."""

    @abstractmethod
    def all(self) -> tuple[Tensor, Tensor]:
        """X and the tables of all rows, in the order in which they were given."""

    @abstractmethod
    def begin(self, epoch: int) -> None:
        """Find the order of an epoch's rows."""

    @abstractmethod
    def fill(self, start: int, stop: int, x: Tensor, tables: Tensor) -> None:
        """Gather the rows from `start` to `stop` of the epoch: into x [K, m, F + 1], but for the ones, and tables [K, T, m]."""

    @abstractmethod
    def weights(self) -> Tensor:
        """[K, m] of the rows gathered last."""


class Held(Source):
    """Rows in memory, on the device."""

    def __init__(
        self,
        members: Sequence[Member],
        parts: Sequence[Part],
        loss: Loss,
        *,
        units: NDArray[np.float64],
        like: Tensor,
        deal: Deal | None = None,
        shared: bool = False,
    ) -> None:
        self._deal = deal
        seeds = [member.seed_of_batches for member in members]
        self._seeds = list(dict.fromkeys(seeds))
        self._places = torch.tensor([self._seeds.index(seed) for seed in seeds], device=like.device)
        self._rows, self._shared = parts[0].rows, shared
        self._x = torch.stack([design(part.x, like) for part in (parts[:1] if data.is_shared(members) else parts)])
        weights = torch.stack([row_weights(part) for part in parts])
        targets = [loss.table(i, data.tensor(part.y), weights[i] / units[i]) for i, part in enumerate(parts)]
        self._table, self._w = torch.stack(targets).to(like), weights.to(like)
        self.width = self._table.shape[1]

    def all(self) -> tuple[Tensor, Tensor]:
        """See Source."""
        return self._x, self._table

    def begin(self, epoch: int) -> None:
        """See Source."""
        orders = [epoch_order(seed, epoch, self._rows) for seed in self._seeds]
        if self._deal:
            self._order = self._deal.arranged(orders[0])[None]
        else:  # trials of a sweep often have one order in common
            sent = data.sent(torch.stack(orders), self._x.device)
            self._order = sent.expand(len(self._places), -1) if len(orders) == 1 else sent.index_select(0, self._places)

    def fill(self, start: int, stop: int, x: Tensor, tables: Tensor) -> None:
        """See Source."""
        order, device = self._order[:, start:stop], self._x.device
        taken = order
        if self._deal:  # whose orders are on the host
            taken = data.sent(self._order[0, self._deal.places(start, stop)], device)
            order = data.sent(order, device) if self._shared else order
        if self._shared:
            torch.index_select(self._x[0], 0, order[0], out=x[0])
        else:
            self._fill_each(taken, x)
        self._chosen = taken
        self._fill_tables(taken, tables)

    def _fill_each(self, order: Tensor, x: Tensor) -> None:
        if _at_once(order):
            rows = self._x.expand(len(order), -1, -1)
            torch.gather(rows, 1, order[:, :, None].expand(-1, -1, x.shape[-1]), out=x)
        else:
            for position, chosen in enumerate(order):
                torch.index_select(self._x[position % len(self._x)], 0, chosen, out=x[position])

    def _fill_tables(self, order: Tensor, tables: Tensor) -> None:
        if self._shared and self._deal is None:
            torch.index_select(self._table, 2, order[0], out=tables)
        elif _at_once(order):
            torch.gather(self._table, 2, order[:, None].expand(-1, self.width, -1), out=tables)
        else:
            for position, chosen in enumerate(order):
                torch.index_select(self._table[position], 1, chosen, out=tables[position])

    def weights(self) -> Tensor:
        """See Source."""
        return self._w.gather(1, self._chosen)


class Streamed(Source):
    """Rows on disk, of which each member has a window in memory."""

    def __init__(
        self, members: Sequence[Member], parts: Sequence[StoredPart], loss: Loss, *, units: NDArray[np.float64], like: Tensor
    ) -> None:
        self._parts, self._loss, self._units, self._like = parts, loss, units.tolist(), like
        self._windows = [Windows(part, member.spec) for part, member in zip(parts, members, strict=True)]
        self.width = self._table(0, parts[0].read([slice(0, 1)])).shape[0]

    def all(self) -> tuple[Tensor, Tensor]:
        """See Source."""
        tables = [self._table(i, Part(_NOTHING, part.y, part.w)) for i, part in enumerate(self._parts)]
        x = self._like.new_ones(len(self._parts), self._parts[0].rows, self._parts[0].columns + 1)
        for into, windows in zip(x, self._windows, strict=True):
            for run, read in windows.in_order():
                into[run, :-1].copy_(data.tensor(read.x))
        return x, torch.stack(tables).to(self._like)

    def begin(self, epoch: int) -> None:
        """See Source."""
        for windows in self._windows:
            windows.begin(epoch)

    def fill(self, start: int, stop: int, x: Tensor, tables: Tensor) -> None:
        """See Source; where the rows stand in several windows, piece by piece."""
        self._w = self._like.new_empty(len(self._windows), stop - start)
        for position, windows in enumerate(self._windows):
            done = start
            while done < stop:
                rows = windows.take(done, stop)
                piece = slice(done - start, done - start + rows.rows)
                x[position, piece, :-1].copy_(data.tensor(rows.x))
                tables[position, :, piece].copy_(self._table(position, rows))
                self._w[position, piece] = row_weights(rows)
                done += rows.rows

    def weights(self) -> Tensor:
        """See Source."""
        return self._w

    def _table(self, position: int, rows: Part) -> Tensor:
        return self._loss.table(position, data.tensor(rows.y), row_weights(rows) / self._units[position])


_NOTHING: Inputs = np.empty((0, 0))


def of(
    members: Sequence[Member],
    parts: Sequence[AnyPart],
    loss: Loss,
    *,
    units: NDArray[np.float64],
    like: Tensor,
    deal: Deal | None,
    shared: bool,
) -> Source:
    """As the members' rows are kept, which is the same for all of them; `shared`: a batch is held once for all."""
    held = [part for part in parts if isinstance(part, Part)]
    stored = [part for part in parts if not isinstance(part, Part)]
    if held:
        return Held(members, held, loss, units=units, like=like, deal=deal, shared=shared)
    return Streamed(members, stored, loss, units=units, like=like)


def design(x: Inputs, like: Tensor) -> Tensor:
    """[n, F + 1] with ones in the last column."""
    rows = torch.ones(x.shape[0], x.shape[1] + 1, dtype=like.dtype)
    rows[:, :-1] = data.tensor(x)
    return rows.to(like.device)


def _at_once(order: Tensor) -> bool:
    """True where one launch for all members is quicker than one for each that copies whole rows."""
    return order.is_cuda


def row_weights(part: AnyPart) -> Tensor:
    """float64 [n], ones where the member has none."""
    w = part.w
    return torch.ones(part.rows, dtype=torch.float64) if w is None else data.tensor(w)
