"""What a stack keeps of its members beside the tape: best and last weights, recovery points, seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engine import data, recovery
from worker.engine.data import Member
from worker.engine.data_driven import ROWS
from worker.engine.ensembles import Seating, prefixed
from worker.engine.initial import initial_vector
from worker.engine.ledger import Ledger
from worker.engine.network import Weights, named
from worker.engine.progress import Progress
from worker.engine.recovery import State
from worker.engine.schedules import Rates
from worker.engine.training import Training

Which = Literal["best", "last"]


@dataclass
class Place:
    """How far a stack is: epochs that its members have judged, epochs trained, batches done of the one after those.

    `seconds` is the training time of this attempt, without the time that the caller took.
    """

    decided: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0


class Keeper:
    """Weights of all members at their best and last epoch, and all that a member needs to go on.

    A member's vectors are [total], those of an ensemble [networks, total].
    """

    def __init__(
        self,
        seating: Seating,
        training: Training,
        progress: Sequence[Progress],
        ledger: Ledger,
        *,
        place: Place,
    ) -> None:
        self._specs, self._seats, self._places = [one.spec for one in seating.members], seating.seats, seating.places
        self._training, self._progress, self._ledger, self._place = training, progress, ledger, place
        self._flat = training.tape.flat
        self._best = self._flat.new_zeros(self._flat.shape[1:])
        self._last: dict[int, Tensor] = {}
        self._final: dict[int, State] = {}
        self.seconds = [0.0] * len(seating.members)
        for index, network in enumerate(seating.networks):
            self._flat[0, index] = torch.from_numpy(initial_vector(network.spec, _first_rows(network))).to(self._flat)

    def vector(self, position: int, which: Which) -> Tensor:
        """Parameters: `best` is `last` before the first epoch, `last` of a member that trains is of its last decided epoch."""
        if which == "best" and self._progress[position].best:
            return self._best[self._seats[position]]
        return self._last[position] if position in self._last else self.before(self._place.decided + 1, position)

    def weights(self, position: int, which: Which) -> Weights:
        """By the names of a state_dict."""
        progress = self._progress[position]
        losses = progress.best if which == "best" else progress.last
        return self.named(position, self.vector(position, which), losses.epoch if losses else 0)

    def named(self, position: int, vector: Tensor, epoch: int) -> Weights:
        """Parameters after an epoch, by the names of a state_dict."""
        spec, steps = self._specs[position], epoch * self._training.batches.steps
        if spec.ensemble is None:
            return named(spec, _array(vector), steps=steps)
        parts = [prefixed(index, named(spec, _array(one), steps=steps)) for index, one in enumerate(vector)]
        return {name: values for part in parts for name, values in part.items()}

    def before(self, epoch: int, position: int) -> Tensor:
        """The parameters that a member had before an epoch that is on the tape."""
        return self._flat[self._training.tape.before(epoch), self._seats[position]]

    def after(self, epoch: int, position: int) -> Tensor:
        """The parameters that a member had after an epoch that is on the tape."""
        return self._flat[self._training.tape.before(epoch) + 1, self._seats[position]]

    def rates(self, position: int) -> list[Rates]:
        """The learning rates of a member's networks."""
        return [self._training.rates[place] for place in self._places(position)]

    def elapsed(self, position: int) -> float:
        """Seconds of training, attempts before this one included."""
        return self.seconds[position] + self._place.seconds

    def improve(self, found: Sequence[tuple[int, int]]) -> None:
        """Of these positions an epoch on the tape is the best; all are copied in one go, as launches are dear on a GPU."""
        before = self._training.tape.before
        pairs = [(before(epoch) + 1, place) for position, epoch in found for place in self._places(position)]
        if pairs:
            slots, places = data.sent(torch.tensor(pairs).T, self._best.device)
            self._best.index_copy_(0, places, self._flat[slots, places])

    def end(self, position: int, vector: Tensor, state: State) -> None:
        """Keep the last weights and the last recovery point, and turn the member into dead weight."""
        self._last[position], self._final[position] = vector.clone(), state
        self._training.bury(self._seats[position])

    def state(self, position: int) -> State:
        """The recovery point of this moment; of a member that ended, the one it ended with."""
        if position in self._final:
            return self._final[position]
        place = self._place
        batch = self._training.batches.steps if place.epoch > place.decided else place.batch
        vector = self.before(place.decided + 1, position)
        state = self._point(position, vector, epoch=place.decided, batch=batch) | self._moments(position)
        if batch:
            state["parameters.ahead"] = _array(self.after(place.decided + 1, position))
        return state

    def state_after(self, position: int, vector: Tensor, *, epoch: int) -> State:
        """The recovery point after an epoch; without the optimizer's moments where training has gone on since."""
        exact = epoch == self._place.epoch and self._place.batch == 0
        return self._point(position, vector, epoch=epoch, batch=0) | (self._moments(position) if exact else {})

    def restore(self, position: int, state: State) -> None:
        """Go on from a recovery point whose epoch and batch are the stack's."""
        progress, epoch = self._progress[position], self._place.epoch + 1
        recovery.restore_host(state, progress, self.rates(position))
        self.seconds[position] = float(state["seconds"][0])
        self._ledger.partial[self._places(position)] = state["partial"]
        into = {
            "parameters": self.before(epoch, position),
            "parameters.ahead": self.after(epoch, position),
            "best.parameters": self._best[self._seats[position]],
        }
        into |= {f"optimizer.{name}": moment for name, moment in self._training.moments(self._seats[position]).items()}
        for name in into.keys() & state.keys():
            into[name].copy_(data.tensor(state[name]))

    def _point(self, position: int, vector: Tensor, *, epoch: int, batch: int) -> State:
        progress = self._progress[position]
        state = recovery.host_state(progress, self.rates(position)[0])
        state["position"] = np.array([epoch, batch], dtype=np.int64)
        partial = self._ledger.partial[self._places(position)]
        state["partial"] = partial if batch else np.zeros_like(partial)
        state["seconds"] = np.array([self.elapsed(position)])
        state["parameters"] = _array(vector)
        if progress.best:
            state["best.parameters"] = _array(self._best[self._seats[position]])
        return state

    def _moments(self, position: int) -> State:
        return {f"optimizer.{name}": _array(moment) for name, moment in self._training.moments(self._seats[position]).items()}


def _first_rows(member: Member) -> data.Inputs | None:
    """What first weights are made of that data drive."""
    if member.spec.network.initialization != "data_driven":
        return None
    part = data.train(member.arrays)
    return part.x if isinstance(part, data.Part) else part.read([slice(0, min(ROWS, part.rows))]).x


def _array(vector: Tensor) -> NDArray[Any]:
    """A copy on the host."""
    return vector.detach().cpu().clone().numpy()
