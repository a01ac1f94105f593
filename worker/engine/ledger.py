"""The measured numbers of epochs that are trained but not yet decided: losses, metrics, whether the parameters are finite."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engine import data, evaluation
from worker.engine.ensembles import Seating
from worker.engine.evaluation import Scores
from worker.engine.layout import Layout
from worker.engine.progress import Block, Progress
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

        Afterwards `blocks(…)` gives the numbers and `turn` forgets them.
        """
        tape = self._training.tape
        slots = [tape.before(number) for number in range(decided + 1, epoch + 1)]
        totals = self._totals(slots, tape.before(epoch + 1), batch)
        factors = self._training.loss_factors / self._training.batches.weights
        self._train = totals * factors
        self._slots = np.array(slots, dtype=np.int64)
        self._scores: dict[int, tuple[Floats, dict[str, Floats]]] = {}
        if not slots:
            return
        self._sound = np.isfinite(tape.sound().cpu().numpy())[self._slots]
        versions = tape.versions() if self._groups else None
        for group in self._groups:
            assert versions is not None
            chosen = data.picked(versions, group.networks)
            yield from group.evaluation.run(chosen, [self._names(position) for position in group.members])
            self._scores |= dict(zip(group.members, _fetched(group.evaluation.scores), strict=True))

    def block(self, position: int, *, first: int, seconds: Floats) -> Block:
        """What was measured of one member; `first` is the first epoch of the block."""
        losses, scores = self._scores.get(position, (None, {}))
        own = self._seating.places(position)
        return Block(
            train=self._train[:, own].mean(-1),
            val=None if losses is None else losses[self._slots],
            metrics={f"val_{name}": column[self._slots] for name, column in scores.items()},
            rates=self._training.rates[own[0]].of_epochs(first, len(self._slots)),
            seconds=seconds,
            sound=self._sound[:, own].all(-1),
        )

    def turn(self) -> None:
        """What was measured is decided."""
        self.partial, self.counted = self._next

    def _names(self, position: int) -> Sequence[str]:
        progress = self._progress[position]
        return () if progress.finished else progress.names

    def _totals(self, slots: list[int], current: int, batch: int) -> Floats:
        """[epochs, K] loss sums; of the epoch in progress the sum of what was not counted yet is kept aside."""
        batches = self._training.batches
        if batches.window < batches.steps:
            if not slots:
                self.drain(batch)
            self._next = (np.zeros_like(self.partial), 0) if slots else (self.partial, batch)
            return self.partial[None, :] if slots else self.partial[:0, None]
        sums = batches.sums(0)
        if not slots:
            self._next = _added(self.partial, sums[current][:, self.counted : batch]), batch
            return self.partial[:0, None]
        self.partial, self.counted = _added(self.partial, sums[slots[0]][:, self.counted :]), batches.steps
        later = sums[slots[1:]]
        later = later[..., 0] if batches.steps == 1 else np.add.accumulate(later, axis=-1)[..., -1]
        self._next = _added(np.zeros_like(self.partial), sums[current][:, :batch]), batch
        return np.concatenate((self.partial[None], later))


def _fetched(scores: Sequence[Scores]) -> list[tuple[Floats, dict[str, Floats]]]:
    """Losses and metrics of each member on the host, read back at once."""
    columns = torch.stack([column for one in scores for column in (one.loss, *one.metrics.values())]).cpu().numpy()
    rows = iter(columns)
    return [(next(rows), {name: next(rows) for name in one.metrics}) for one in scores]


def _added(start: Floats, row: Floats) -> Floats:
    """Start [K] plus the columns of row [K, m], one after the other."""
    return np.asarray(np.add.accumulate(np.concatenate((start[:, None], row), axis=1), axis=1)[:, -1])
