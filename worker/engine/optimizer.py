"""What every optimizer is: an update of one flat tensor for K members, each with its own hyperparameters.

What changes from step to step (learning rates, bias corrections) is a table of coefficients [S, c, K], computed on the host in
float64 for S steps at a time. Parameters p, gradient g and moments are [K, P], hyperparameters [K, 1]; with K = 1: [P] and [1].

Where parameters have factors of their own (groups.py) some hyperparameters are as long as the parameters.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engine.groups import Scales
from worker.engine.schedules import regularization

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec


Floats = NDArray[np.float64]


class Optimizer(ABC):
    """One optimizer; `update` writes p's successor into out, which may be p. A step is counted from 1."""

    moments: tuple[str, ...] = ()
    units_of_step = 1
    """How a step grows with a parameter's unit: 1 where the gradient is divided by its own size, else 2."""
    decoupled = False
    """True where the decay is no part of the gradient."""
    on_host = False
    """True where c are numbers, the same for all members, and not tensors."""

    def __init__(self, specs: Sequence["ResolvedSpec"], like: Tensor, scales: Scales | None = None) -> None:
        self._like, self._scales, self._whole = like, scales, specs
        self._specs = [vars(spec.optimizer) for spec in specs]
        self.state = {name: torch.zeros_like(like) for name in self.moments}
        self._scratch, self._scratch2 = torch.empty_like(like), torch.empty_like(like)
        self.weight_decay = self.each("weight_decay", scales.decay / scales.unit**2 if scales else None)
        self._rate = scales.placed(scales.rate * scales.unit**self.units_of_step, like) if scales else None
        self.decays = bool(self.values("weight_decay").any())
        # The share of a decay that changes from step to step is the last of the coefficients.
        scheduled = any(spec.regularization_schedule != "constant" for spec in specs)
        self.scheduled = self.decays and scheduled and not self.decoupled
        self.prepare()
        self._scales = None  # a long vector each, and made use of

    def prepare(self) -> None:  # noqa: B027 - an optimizer may have no hyperparameters of its own
        """Set what the optimizer's own hyperparameters decide."""

    def values(self, name: str) -> Floats:
        """[K] of one hyperparameter."""
        return np.array([spec[name] for spec in self._specs], dtype=np.float64)

    def betas(self) -> tuple[Floats, Floats]:
        """Adam's two decay rates, each [K]."""
        pairs = np.array([spec["betas"] for spec in self._specs], dtype=np.float64)
        return pairs[:, 0], pairs[:, 1]

    def each(self, values: str | Floats, factors: Tensor | None = None) -> Tensor:
        """A hyperparameter, by name or as [K], as it broadcasts over the parameters; with factors [K, P] for each of them."""
        numbers = self.values(values) if isinstance(values, str) else values
        if factors is not None:
            return Scales.placed(torch.from_numpy(numbers)[:, None] * factors, self._like)
        return torch.from_numpy(numbers).to(self._like)[..., None].view(*self._like.shape[:-1], 1)

    def coefficients(self, step: Floats, rate: Floats) -> list[Floats]:
        """What `update` gets as c before the decay: arrays [S, K] of the steps [S, 1] with learning rates [S, K]."""
        return [-rate]

    def shares(self, step: Floats) -> Floats:
        """What the weight decay is multiplied by: [S, K] of the steps [S, 1]."""
        totals = [spec.epochs * -(-spec.train_rows // spec.batch_size) for spec in self._whole]
        done = (step - 1) / np.array(totals, dtype=np.float64)
        return np.stack([regularization(spec, column) for spec, column in zip(self._whole, done.T, strict=True)], 1)

    def table(self, step: Floats, rate: Floats) -> list[Floats]:
        """All that `update` gets as c."""
        found = self.coefficients(step, rate)
        return [*found, self.shares(step)] if self.scheduled else found

    def decay(self, p: Tensor, g: Tensor, c: Sequence[Tensor]) -> None:
        """L2: g + λ·p, in g."""
        if self.scheduled:
            g.addcmul_(torch.mul(p, self.weight_decay, out=self._scratch), c[-1])
        else:
            g.addcmul_(p, self.weight_decay)

    def paced(self, step: Tensor) -> Tensor:
        """A step times each parameter's own rate, in `step`."""
        return step if self._rate is None else step.mul_(self._rate)

    def _step(self, p: Tensor, direction: Tensor, out: Tensor, rate: Tensor) -> None:
        """P + rate · direction, which stays as it is."""
        paced = direction if self._rate is None else torch.mul(direction, self._rate, out=self._scratch)
        torch.addcmul(p, paced, rate, out=out)

    @abstractmethod
    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[Any]) -> None:
        """One step; may change g."""
