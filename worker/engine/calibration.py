"""One temperature for a classification: its logits are divided by what makes them as sure as they are right.

The last layer takes it in, so whatever reads the weights needs to know nothing of it.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor
from torch.nn import functional

from worker.engine.ensembles import Seating
from worker.engine.evaluation import Cooled, is_validated, of_member
from worker.engine.layout import Layout
from worker.engine.network import Weights

TEMPERATURES: list[float] = np.geomspace(0.2, 5.0, 61).tolist()
"""From 0.2 to 5, by 5.5 per cent; 1 is the middle one."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What is served of a network: weights by the names of a state_dict, and the temperature in them, None without one."""

    weights: Weights
    temperature: float | None = None


class Calibration:
    """The temperatures of a stack's members."""

    def __init__(self, seating: Seating, layout: Layout, *, like: Tensor) -> None:
        self._seating, self._layout, self._like = seating, layout, like
        self._known: dict[tuple[int, int], float] = {}

    def temperature(self, position: int, vector: Tensor, *, epoch: int) -> float | None:
        """Of a member's parameters after an epoch, by the rows that judge it; None where its spec wants none."""
        member = self._seating.members[position]
        if member.spec.calibration == "none" or not is_validated(member):
            return None
        if (position, epoch) not in self._known:
            judge = of_member(self._seating, position, "validation", self._layout, like=self._like)
            self._known[position, epoch] = best_temperature(judge.cooled(vector.view(-1, 1, self._layout.total)))
        return self._known[position, epoch]

    def served(self, position: int, vector: Tensor, *, epoch: int) -> Tensor:
        """The parameters with the last layer divided by the temperature, of an ensemble that of each network."""
        temperature = self.temperature(position, vector, epoch=epoch)
        if temperature is None:
            return vector
        slot, calibrated = self._layout.slots[-1], vector.clone()
        calibrated.narrow(-1, slot.dense, slot.outputs * (slot.inputs + 1)).div_(temperature)
        return calibrated


def best_temperature(cooled: Cooled) -> float:
    """That of TEMPERATURES with the lowest log-loss; where the logits are not finite, and where nothing makes a difference, 1.

    A loss that is convex in 1 / T tells by two neighbours on which side the best one is; else all are tried.
    """
    if not cooled.logits(1.0).isfinite().all():
        return 1.0
    losses = partial(_log_loss, cooled)
    if not cooled.convex:
        return min(sorted(TEMPERATURES, key=lambda one: abs(math.log(one))), key=losses)
    low, high = 0, len(TEMPERATURES) - 1
    while low < high:
        middle = (low + high) // 2
        here, above = losses(TEMPERATURES[middle]), losses(TEMPERATURES[middle + 1])
        if here == above:
            return TEMPERATURES[middle]
        low, high = (low, middle) if here < above else (middle + 1, high)
    return TEMPERATURES[low]


def _log_loss(cooled: Cooled, temperature: float) -> float:
    """Σ w · -log p; of one logit that of the second class."""
    z, y = cooled.logits(temperature).T, cooled.y
    rows = functional.softplus(z[:, 0] * (1 - 2 * y)) if z.shape[1] == 1 else functional.cross_entropy(z, y, reduction="none")
    return float(rows.sum() if cooled.w is None else rows @ cooled.w.double())
