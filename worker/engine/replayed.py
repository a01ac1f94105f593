"""Training on a device that works behind its host: steps go out in pieces, and a piece that comes again is replayed.

Nothing is read back between reports. A piece ends where the host has something to say: at the end of an epoch (another order),
of a window of rows, of a draw of dropout masks. Full batches have none of these, so there a piece is many epochs.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from worker.engine import data
from worker.engine.activations import Call
from worker.engine.data import Member
from worker.engine.layout import Layout
from worker.engine.replay import Piece, Recorder
from worker.engine.tape import slot_of
from worker.engine.training import Program, Training

_LONGEST = 256
# Multiplications of one piece, some 50 ms, so that a report is not kept waiting.
_PRODUCTS = 1 << 39


class Replayed(Training):
    """Where the tape holds several epochs of several steps each, they are trained on a bench of their own and put on it.

    So a step is on the same tensors in every epoch, and one recording serves them all.
    """

    def __init__(
        self, members: Sequence[Member], layout: Layout, *, epochs: int, window: int, like: Tensor, recorder: Recorder
    ) -> None:
        super().__init__(members, layout, epochs=epochs, window=window, like=like)
        self._recorder = recorder
        self._pieces: dict[tuple[object, ...], Piece] = {}
        self._leaps = self._steps == 1 and not self._drops
        products = len(members) * (layout.plain.total - layout.tables) * self.batches.size
        self._longest = max(1, min(_LONGEST, _PRODUCTS // (3 * products)))
        self._fixed = self.coefficients.buffer(self._longest)
        self._rows = [list(row.unbind(0)) for row in self._fixed.view(*self._fixed.shape[:2], *self.coefficients.shape)]
        self._benched = epochs > 1 and not self._leaps
        if self._benched:
            self._bench = torch.zeros_like(self.tape.flat[0])
            self._seat = slot_of(layout, self._bench[0] if self.squeezed else self._bench)
            self.batches.add_bench()

    @property
    def spoiled(self) -> bool:
        """See Training."""
        return self._recorder.failed

    def leap(self, first: int, last: int) -> int:
        """Train several epochs of one step each, from `first` to at most `last`; answers how many, 0 where steps are needed."""
        if not self._leaps:
            return 0
        count, slot = min(last - first + 1, self._longest), self.tape.before(first)
        self._tell(first - 1, count)
        self._play((slot, count), lambda: [call for i in range(count) for call in self._leapt(slot + i, i)])
        return count

    def step(self, epoch: int, index: int) -> int:
        """Train on the batch `index` of an epoch and on those after it that are one piece with it; answers how many."""
        slot, count, home = self.tape.before(epoch), self._count(index), self._home(epoch)
        if index and index % self.batches.window == 0:
            self.batches.fill(home, index)
        if self._drops:
            self._dropout.prepare(epoch, index)
        self._tell((epoch - 1) * self._steps + index, count)
        if self._benched:
            self._bench.copy_(self.tape.flat[slot + bool(index)])
        key = (index % self.batches.window, self.batches.turn(index), count, index == 0, index + count == self._steps)
        self._play(key, lambda: [call for i in range(count) for call in self._stepped(index + i, i)])
        if self._benched:
            self.tape.flat[slot + 1].copy_(self._bench)
            self.batches.keep_bench(slot)
        return count

    def _home(self, epoch: int) -> int:
        return self.batches.bench if self._benched else super()._home(epoch)

    def _count(self, index: int) -> int:
        window = self.batches.window
        ends = [self._steps, index - index % window + window, index + self._longest]
        return min([*ends, self._dropout.until(index)] if self._drops else ends) - index

    def _tell(self, step: int, count: int) -> None:
        """Put the coefficients of these steps where the pieces look for them."""
        self._fixed[:count].copy_(data.sent(self.coefficients.of(step, count), self._fixed.device))

    def _play(self, key: tuple[object, ...], calls: Callable[[], list[Call]]) -> None:
        if key not in self._pieces:
            self._pieces[key] = Piece(calls(), self._recorder)
        self._pieces[key]()
        self._recorder.pace()

    def _leapt(self, slot: int, row: int) -> list[Call]:
        return self._all(self._program((slot, 0, 0, True, True), 0), row)

    def _stepped(self, index: int, row: int) -> list[Call]:
        """Of one step, on the bench where there is one, else from slot 0 to slot 1."""
        if not self._benched:
            batches = self.batches
            key = (0, index % batches.window, batches.turn(index), index == 0, index == self._steps - 1)
            return self._all(self._program(key, index), row)
        batch = self.batches.batch(self.batches.bench, index)
        return self._all(self._made(self._seat, self._seat, batch, index), row)

    def _all(self, program: Program, row: int) -> list[Call]:
        update = partial(self.optimizer.update, program.source, self._gradient.flat, program.out, self._rows[row])
        return [*program.calls, update]
