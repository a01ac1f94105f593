"""The measured numbers of epochs that are trained but not yet decided: losses, metrics, whether the parameters are finite."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from worker.engine import data, evaluation
from worker.engine.ensembles import Seating
from worker.engine.layout import Layout
from worker.engine.progress import Block, Progress
from worker.engine.scores import Numbers
from worker.engine.training import Training

Floats = NDArray[np.float64]


class Ledger:
    """Sums the losses of batches in their order, one after the other, so that the sum does not depend on when it was asked for.

    `partial` [K] is each network's loss sum of the first `counted` batches of the oldest epoch that is not decided.
    """

    def __init__(
        self, training: Training, progress: Sequence[Progress], seating: Seating, layout: Layout, *, like: Tensor
    ) -> None:
        self._training, self._progress, self._seating = training, progress, seating
        self._groups = evaluation.grouped(seating, layout, like=like)
        self.partial: Floats = np.zeros(len(training.rates))
        self.counted = 0
        self._next: tuple[Floats, int] = (self.partial, 0)

    def drain(self, batch: int) -> None:
        """Count the current epoch's losses up to a batch, before the window that holds its logits moves on."""
        batches = self._training.batches
        if batch == self.counted:
            return
        first = self.counted - self.counted % batches.window
        row = batches.sums(first)[0][:, self.counted - first : batch - first]
        self.partial, self.counted = _added(self.partial, row), batch

    def measure(self, *, decided: int, epoch: int, batch: int) -> Iterator[None]:
        """Measure the epochs after `decided` up to `epoch`, and count `batch` batches of the one after; pauses now and then.

        Afterwards `block(…)` gives the numbers and `turn` forgets them.
        """
        tape = self._training.tape
        slots = slice(tape.before(decided + 1), tape.before(decided + 1) + epoch - decided)
        totals = self._totals(slots, tape.before(epoch + 1), batch)
        factors = self._training.loss_factors / self._training.batches.weights
        self._train, self._slots = totals * factors, slots
        self._scores: dict[int, Numbers] = {}
        if epoch == decided:
            return
        finite = np.isfinite(tape.sound().cpu().numpy())[slots] & np.isfinite(self._train)
        of_seats = [finite[:, seat] for seat in self._seating.seats]
        self._finite = np.array([one if one.ndim == 1 else one.all(-1) for one in of_seats])
        versions = tape.versions() if self._groups else None
        for group in self._groups:
            assert versions is not None
            chosen = data.picked(versions, group.networks)
            yield from group.evaluation.run(chosen, [self._names(position) for position in group.members])
            found = group.evaluation.scores.fetched()
            self._scores |= dict(zip(group.members, found, strict=True))
            self._finite[group.members] &= np.isfinite([losses[slots] for losses, _ in found])

    def block(self, position: int, *, first: int, seconds: Floats) -> Block:
        """What was measured of one member; `first` is the first epoch of the block."""
        losses, scores = self._scores.get(position, (None, {}))
        seat, [place, *_] = self._seating.seats[position], self._seating.places(position)
        train = self._train[:, seat]
        return Block(
            train=train if train.ndim == 1 else train.mean(-1),
            val=None if losses is None else losses[self._slots],
            metrics={f"val_{name}": column[self._slots] for name, column in scores.items()},
            rates=self._training.rates[place].of_epochs(first, len(train)),
            seconds=seconds,
            finite=self._finite[position],
        )

    def turn(self) -> None:
        """What was measured is decided."""
        self.partial, self.counted = self._next

    def _names(self, position: int) -> Sequence[str]:
        progress = self._progress[position]
        return () if progress.finished else progress.names

    def _totals(self, slots: slice, current: int, batch: int) -> Floats:
        """[epochs, K] loss sums; of the epoch in progress the sum of what was not counted yet is kept aside."""
        batches, ended = self._training.batches, slots.stop > slots.start
        if batches.window < batches.steps:
            if not ended:
                self.drain(batch)
            self._next = (np.zeros_like(self.partial), 0) if ended else (self.partial, batch)
            return self.partial[None, :] if ended else self.partial[:0, None]
        sums = batches.sums(0)
        if not ended:
            self._next = _added(self.partial, sums[current][:, self.counted : batch]), batch
            return self.partial[:0, None]
        self.partial, self.counted = _added(self.partial, sums[slots.start][:, self.counted :]), batches.steps
        later = sums[slots.start + 1 : slots.stop]
        later = later[..., 0] if batches.steps == 1 else np.add.accumulate(later, axis=-1)[..., -1]
        self._next = _added(np.zeros_like(self.partial), sums[current][:, :batch]), batch
        return np.concatenate((self.partial[None], later))


def _added(start: Floats, row: Floats) -> Floats:
    """Start [K] plus the columns of row [K, m], one after the other."""
    return np.asarray(np.add.accumulate(np.concatenate((start[:, None], row), axis=1), axis=1)[:, -1])
