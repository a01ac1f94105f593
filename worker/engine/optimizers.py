"""torch.optim's optimizers, by name: SGD, RMSprop, Adagrad, and the Adam family from its own file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from worker.engine.adam import Adam, AdamW, NAdam, RAdam
from worker.engine.fused import Fused
from worker.engine.groups import Scales
from worker.engine.optimizer import Floats, Optimizer

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec


class Sgd(Optimizer):
    """torch.optim.SGD: v = μ·v + (1 - τ)·g; p - γ·v, or with Nesterov p - γ·(g + μ·v)."""

    units_of_step = 2

    def prepare(self) -> None:
        """Momentum is kept when a member has any; without it, dampening does not apply, as in torch."""
        momentum, dampening = self.values("momentum"), self.values("dampening")
        self._fresh = np.where(momentum > 0, 1 - dampening, 1.0)
        self._momentum = self.each(momentum)
        self._moves = bool(momentum.any())
        nesterov = self.values("nesterov") > 0
        self._nesterov = bool(nesterov.any())
        self._of_gradient = self.each(nesterov.astype(np.float64))
        self._of_velocity = self.each(np.where(nesterov, momentum, 1.0))
        if self._moves:
            self.state["velocity"] = torch.zeros_like(self._like)

    def coefficients(self, step: Floats, rate: Floats) -> list[Floats]:
        """-γ, and 1 - τ (1 in the first step)."""
        return [-rate, np.where(step == 1, 1.0, self._fresh)] if self._moves else [-rate]

    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[Tensor]) -> None:
        """As above."""
        if self.decays:
            self.decay(p, g, c)
        if self._moves:
            velocity = self.state["velocity"]
            velocity.mul_(self._momentum).addcmul_(g, c[1])
            if self._nesterov:
                g.mul_(self._of_gradient).addcmul_(velocity, self._of_velocity)
            else:
                g = velocity
        self._step(p, g, out, c[0])


class RmsProp(Optimizer):
    """torch.optim.RMSprop: g / (√(v - ā²) + ε), ā only where centered, through momentum where there is any."""

    moments = ("square",)

    def prepare(self) -> None:
        """A member's own flags become factors of 0 and 1."""
        alpha, centered = self.values("alpha"), self.values("centered")
        self._old, self._new = self.each(alpha), self.each(1 - alpha)
        self._eps = self.each("eps", 1 / self._scales.unit if self._scales else None)
        self._momentum = self.each("momentum")
        self._centered = self.each(-centered)
        self._moves, self._centers = bool(self.values("momentum").any()), bool(centered.any())
        for name in ["velocity"] * self._moves + ["average"] * self._centers:
            self.state[name] = torch.zeros_like(self._like)

    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[Tensor]) -> None:
        """As above."""
        if self.decays:
            self.decay(p, g, c)
        square = self.state["square"].mul_(self._old).addcmul_(torch.mul(g, self._new, out=self._scratch), g)
        if self._centers:
            average = self.state["average"].lerp_(g, self._new)
            # The factor goes first: 0 times a square that overflows would be no number.
            square = torch.addcmul(square, torch.mul(average, self._centered, out=self._scratch2), average, out=self._scratch2)
        below = torch.sqrt(square, out=self._scratch).add_(self._eps)
        # The same bits with momentum and without: a member must not notice whether another one has any.
        direction = self.state["velocity"].mul_(self._momentum).addcdiv_(g, below) if self._moves else g.div_(below)
        self._step(p, direction, out, c[0])


class Adagrad(Optimizer):
    """torch.optim.Adagrad: γ/(1 + (t - 1)·η) · g / (√Σg² + ε)."""

    moments = ("sum",)

    def prepare(self) -> None:
        """The sum starts at initial_accumulator_value."""
        self._eps = self.each("eps", 1 / self._scales.unit if self._scales else None)
        self.state["sum"].add_(self.each("initial_accumulator_value", 1 / self._scales.unit**2 if self._scales else None))

    def coefficients(self, step: Floats, rate: Floats) -> list[Floats]:
        """-γ/(1 + (t - 1)·η)."""
        return [-rate / (1 + (step - 1) * self.values("lr_decay"))]

    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[Tensor]) -> None:
        """As above."""
        if self.decays:
            self.decay(p, g, c)
        total = self.state["sum"].addcmul_(g, g)
        below = torch.sqrt(total, out=self._scratch).add_(self._eps)
        torch.addcdiv(p, self.paced(g.mul_(c[0])), below, out=out)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": Sgd,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "radam": RAdam,
    "rmsprop": RmsProp,
    "adagrad": Adagrad,
}


def of(specs: Sequence["ResolvedSpec"], like: Tensor, scales: Scales | None = None, *, in_one_pass: bool = False) -> Optimizer:
    """The optimizer that the specs share, for parameters like `like` [K, P] (or [P]); `in_one_pass` where `fused.fits`."""
    if in_one_pass:
        return Fused(specs, like, scales)
    return OPTIMIZERS[specs[0].optimizer.name](specs, like, scales)
