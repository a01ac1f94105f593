"""An ensemble: the networks of one job, which share rows, batches and dropout masks, and differ in first weights and fold."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from worker.engine.data import LeftOut, Member, MemberArrays
from worker.engine.network import Weights
from worker.engine.randomness import Use, member_seed, seeded

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

Folds = NDArray[np.int64]
Seat = int | slice
"""Where a job's parameters stand among those of all networks of a stack: one, or those of an ensemble."""


class Seating:
    """Who sits where: the members of a stack, and behind one another the networks that train for them."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members, self.networks = members, list[Member]()
        self.seats: list[Seat] = []
        """Of each member, among the networks."""
        for member in members:
            start, ensemble = len(self.networks), member.spec.ensemble
            self.networks += [_network(member, index) for index in range(ensemble.members)] if ensemble else [member]
            self.seats.append(slice(start, len(self.networks)) if ensemble else start)

    def places(self, position: int) -> list[int]:
        """Of a member's networks."""
        return places(self.seats[position])

    def networks_of(self, position: int) -> list[Member]:
        """What trains for a member: itself, or each network of its ensemble with its own seed and its own view of the rows."""
        return [self.networks[place] for place in self.places(position)]


def places(seat: Seat) -> list[int]:
    """The networks of a seat, one by one."""
    return [seat] if isinstance(seat, int) else list(range(seat.start, seat.stop))


def folds_of(spec: "ResolvedSpec", y: NDArray[np.float64] | NDArray[np.int64]) -> Folds | None:
    """[n]: the fold of each training row, as even as can be, of classes too; None where the ensemble has no folds."""
    if spec.ensemble is None or not spec.ensemble.folds:
        return None
    shuffled = torch.randperm(len(y), generator=seeded(spec.seed, Use.FOLDS)).numpy()
    by_class = y[shuffled] if spec.classes is not None and y.ndim == 1 else np.zeros(len(y))
    dealt = shuffled[np.argsort(by_class, kind="stable")]
    folds = np.empty(len(y), dtype=np.int64)
    folds[dealt] = np.arange(len(y)) % spec.ensemble.members
    return folds


def pooled(logits: Tensor, output: str) -> Tensor:
    """The logits [...] of the networks' mean prediction, from theirs [K, ...]: means of probabilities, not of logits."""
    if output == "identity":
        return logits.mean(0)
    if output == "softmax":
        return torch.log_softmax(logits, -2).logsumexp(0)
    if output == "sigmoid":
        yes, no = (functional.logsigmoid(one).logsumexp(0) for one in (logits, -logits))
        return yes - no
    return logits.logsumexp(0) - math.log(len(logits))


def prefixed(index: int, weights: Weights) -> Weights:
    """The weights of one network of an ensemble, as they stand in its files."""
    return {f"members.{index}.{name}": values for name, values in weights.items()}


def apart(weights: Weights) -> list[Weights]:
    """The weights of each network of an ensemble; of a plain network its own."""
    if not any(name.startswith("members.") for name in weights):
        return [weights]
    networks: dict[int, Weights] = {}
    for name, values in weights.items():
        _, index, rest = name.split(".", 2)
        networks.setdefault(int(index), {})[rest] = values
    return [networks[index] for index in sorted(networks)]


def _network(member: Member, index: int) -> Member:
    spec, arrays = member.spec, member.arrays
    own = spec.model_copy(update={"seed": member_seed(spec.seed, index), "ensemble": None})
    left_out = None if member.folds is None else LeftOut(member.folds, index)
    if member.folds is not None and isinstance(arrays, MemberArrays):
        arrays = _without_fold(arrays, member.folds == index)
    return replace(member, spec=own, arrays=arrays, folds=None, batch_seed=spec.seed, left_out=left_out)


def _without_fold(arrays: MemberArrays, fold: NDArray[np.bool_]) -> MemberArrays:
    """Trained on all rows but those of the fold, which have no weight, and validated on them."""
    w = arrays.w_train
    return replace(
        arrays,
        w_train=np.where(fold, 0.0, 1.0 if w is None else w),
        x_val=arrays.x_train[fold],
        y_val=arrays.y_train[fold],
        w_val=None if w is None else w[fold],
    )
