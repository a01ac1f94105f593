"""One step of a stack: a batch's gradient and the optimizer's update, from one slot of the tape to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from worker.engine import clipping, data, dealing, groups, losses, mixing, optimizers, tape
from worker.engine.activations import Call
from worker.engine.batches import Batch, Batches
from worker.engine.data import Member
from worker.engine.dropout import Dropout
from worker.engine.ensembles import Seat, places
from worker.engine.front import Fronted
from worker.engine.gradients import ByAutograd, ByHand
from worker.engine.layout import Layout
from worker.engine.optimizer import Floats, Optimizer
from worker.engine.schedules import Rates
from worker.engine.tape import Limits, Slot, Tape

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

# Steps whose coefficients are computed at once.
_AHEAD = 256
# The slot, the place in the window, how the batch is turned, and whether it is its epoch's first or last.
_Key = tuple[int, int, int, bool, bool]


@dataclass(frozen=True, slots=True)
class Program:
    """A step: calls that leave the gradient in its place, the parameters it was taken at, and where their successors go."""

    calls: list[Call]
    source: Tensor
    out: Tensor


class Coefficients:
    """What the optimizer needs of the host, for blocks of steps; members that ended get a learning rate of 0."""

    def __init__(self, optimizer: Optimizer, rates: Sequence[Rates], like: Tensor) -> None:
        self._optimizer, self._rates, self._like = optimizer, rates, like
        self.shape = (*like.shape[:-1], 1)
        self._ended: set[int] = set()
        self._start = -1
        self._known: list[list[Any]] = []
        self._block: tuple[int, Tensor] | None = None

    def at(self, step: int) -> list[Any]:
        """The coefficients, each [K, 1] (squeezed: [1]) or a number, of a step counted from 0."""
        index = step - self._start
        if self._start < 0 or index >= len(self._known):
            index = self._fill(step)
        return self._known[index]

    def forget(self) -> None:
        """The rates have changed."""
        self._start, self._block = -1, None

    def end(self, position: int) -> None:
        """This member learns no more."""
        self._ended.add(position)
        self.forget()

    def buffer(self, steps: int) -> Tensor:
        """Zeros [steps, c, K]: room for `of`."""
        return self._like.new_zeros(steps, *self._table(0).shape[1:])

    def of(self, step: int, count: int) -> Tensor:
        """[count, c, K] on the host: the coefficients of the steps that begin with `step`."""
        parts = []
        while count:
            part = self._known_block(step - step % _AHEAD)[step % _AHEAD :][:count]
            parts.append(part)
            step, count = step + len(part), count - len(part)
        return torch.cat(parts)

    def _known_block(self, start: int) -> Tensor:
        if self._block is None or self._block[0] != start:
            self._block = start, torch.from_numpy(self._table(start)).to(self._like.dtype)
        return self._block[1]

    def _fill(self, step: int) -> int:
        self._start = step - step % _AHEAD
        table = self._table(self._start)
        if self._optimizer.on_host:
            self._known = table[:, :, 0].tolist()
            return step - self._start
        same = bool((table == table[0]).all())
        tensor = torch.from_numpy(table[:1] if same else table).to(self._like)
        rows = [list(row.view(-1, *self.shape).unbind(0)) for row in tensor.unbind(0)]
        self._known = rows * _AHEAD if same else rows
        return step - self._start

    def _table(self, start: int) -> Floats:
        """[_AHEAD, c, K]."""
        steps = np.arange(start, start + _AHEAD)
        with np.errstate(all="ignore"):
            rates = np.stack([rate.at(steps) for rate in self._rates], 1)
            rates[:, list(self._ended)] = 0
            columns = self._optimizer.table(steps[:, None].astype(np.float64) + 1, rates)
        return np.stack([np.broadcast_to(column, rates.shape) for column in columns], 1)


class Training:
    """All that a step touches."""

    def __init__(
        self, members: Sequence[Member], layout: Layout, *, epochs: int, window: int, like: Tensor, in_one_pass: bool = False
    ) -> None:
        specs = [member.spec for member in members]
        loss = losses.of(members, dtype=like.dtype, device=like.device)
        self.by_hand = by_hand = loss.by_hand and specs[0].network.normalization == "none"
        self.squeezed = squeezed = by_hand and len(members) == 1
        self.loss_factors = np.array(loss.factors)
        if squeezed:
            loss.squeeze()
        self.tape = Tape(layout, epochs=epochs, members=len(members), squeezed=squeezed, like=like)
        cuts = by_hand and mixing.cuts(layout)
        self.batches = Batches(members, loss, like=like, epochs=epochs, window=window, squeezed=squeezed, cuts=cuts)
        dropped = [member.spec.model_copy(update={"seed": member.seed_of_batches}) for member in members]
        self._dropout = Dropout(dropped, like, steps=self.batches.steps, rows=self.batches.taken, squeezed=squeezed)
        shape = torch.empty_like(self.tape.slots[0].trained, memory_format=torch.contiguous_format)
        self._gradient = self._differentiation(specs[0], layout, loss, like=shape)
        scales = groups.of(specs, layout)
        self.optimizer: Optimizer = optimizers.of(specs, shape, scales, in_one_pass=in_one_pass)
        self._clipping = clipping.of([spec.gradient_clip_norm for spec in specs], shape, scales)
        self.rates = [Rates(spec, steps=self.batches.steps) for spec in specs]
        self.coefficients = Coefficients(self.optimizer, self.rates, shape)
        self._steps, self._drops = self.batches.steps, any(self._dropout.active)
        self._programs: dict[_Key, Program] = {}

    def _differentiation(
        self, spec: "ResolvedSpec", layout: Layout, loss: losses.Loss, *, like: Tensor
    ) -> ByHand | ByAutograd | Fronted:
        # Where the batch is one for all, mixtures of it are cheaper than to fold them.
        fronted = layout if self.by_hand and (self.squeezed or self.batches.shared) else layout.plain
        folds = layout.front if fronted is not layout else None
        plain = like.new_empty(*like.shape[:-1], fronted.trained)
        network, mixed = spec.network, spec.precision == "bf16"
        gradient: ByHand | ByAutograd
        if self.by_hand:
            dropping = self._dropout.active
            gradient = ByHand(fronted, loss, activation=network.activation, like=plain, dropping=dropping, mixed=mixed)
        else:
            kinds = {"activation": network.activation, "normalization": network.normalization}
            gradient = ByAutograd(fronted, loss, **kinds, like=plain, mixed=mixed)
        return Fronted(layout, folds, gradient, like=like) if folds else gradient

    @property
    def spoiled(self) -> bool:
        """Its device's bookkeeping may be in disorder: another stack had better train in another process."""
        return False

    def begin(self, epoch: int, index: int) -> None:
        """Put the rows in an epoch's order, to go on with the batch `index`."""
        if index < self._steps > 1:
            self.batches.begin(epoch)
            self.batches.fill(self._home(epoch), index - index % self.batches.window)

    def leap(self, first: int, last: int) -> int:
        """How many epochs from `first` on, at most up to `last`, were trained at once; none, they are trained step by step."""
        return 0

    def step(self, epoch: int, index: int) -> int:
        """Train on the batch `index` of an epoch; answers how many batches were trained on."""
        batches, slot = self.batches, self._home(epoch)
        place = index % batches.window
        if place == 0 and index:
            batches.fill(slot, index)
        key = (slot, place, batches.turn(index), index == 0, index == self._steps - 1)
        program = self._programs.get(key) or self._program(key, index)
        if self._drops:
            self._dropout.prepare(epoch, index)
        for call in program.calls:
            call()
        coefficients = self.coefficients.at((epoch - 1) * self._steps + index)
        self.optimizer.update(program.source, self._gradient.flat, program.out, coefficients)
        return 1

    def _home(self, epoch: int) -> int:
        """Where the batches of an epoch are gathered."""
        return (epoch - 1) % self.tape.epochs

    def _program(self, key: _Key, index: int) -> Program:
        if key not in self._programs:
            slot, slots = key[0], self.tape.slots
            source = slots[slot if index == 0 else slot + 1]
            self._programs[key] = self._made(source, slots[slot + 1], self.batches.batch(slot, index), index)
        return self._programs[key]

    def _made(self, source: Slot, out: Slot, batch: Batch, index: int) -> Program:
        masks = self._dropout.masks(index, self._gradient.columns(batch.rows))
        calls = self._gradient.prepare(source.layers, batch, masks)
        if self._clipping is not None:
            calls.append(partial(self._clipping, self._gradient.flat))
        if out.statistics is not None and source.statistics is not None:
            calls += [partial(out.statistics.copy_, source.statistics)] if source is not out else []
            calls += self._gradient.settled(out.layers)
        return Program(calls, source.trained, out.trained)

    def bury(self, seat: Seat) -> None:
        """Turn a member that ended into dead weight: zeros that stay zeros, so nothing slow or infinite is computed on."""
        for place in places(seat):
            self.coefficients.end(place)
        self.tape.flat[:, seat].zero_()
        for moment in self.moments(seat).values():
            moment.zero_()

    def moments(self, seat: Seat) -> dict[str, Tensor]:
        """A member's part of the optimizer's state: views [P], of an ensemble [networks, P]."""
        return {name: moment.view(len(self.rates), -1)[seat] for name, moment in self.optimizer.state.items()}


def plan(members: Sequence[Member], layout: Layout, *, limits: Limits = tape.ON_CPU) -> tuple[int, int]:
    """The epochs and the batches of an epoch that a stack's tape holds: functions of shapes alone."""
    rows = data.train(members[0].arrays).rows
    validation = max(part.rows if (part := data.validation(member.arrays)) else 0 for member in members)
    spec, k = members[0].spec, len(members)
    epochs = tape.capacity(spec, layout, members=k, rows=rows, validation_rows=validation, limits=limits)
    size = min(spec.batch_size, rows)
    deal = dealing.of(members, size=size)
    taken = deal.taken(size) if deal else size
    specs = [member.spec for member in members]
    return epochs, tape.window(specs, layout, epochs=epochs, rows=rows, taken=taken, limits=limits)
