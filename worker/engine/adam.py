"""Adam and its descendants."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from worker.engine.optimizer import Floats, Optimizer


class Adam(Optimizer):
    """torch.optim.Adam: p - γ/(1 - β₁ᵗ)·m / (√v/√(1 - β₂ᵗ) + ε)."""

    moments = ("mean", "square")

    def prepare(self) -> None:
        """Decay rates as weights of what is new."""
        self._beta1, self._beta2 = self.betas()
        self._new1, self._new2 = self.each(1 - self._beta1), self.each(1 - self._beta2)
        self._old2 = self.each(self._beta2)
        self._eps = self.each("eps", 1 / self._scales.unit if self._scales else None)

    def coefficients(self, step: Floats, rate: Floats) -> list[Floats]:
        """-γ/(1 - β₁ᵗ) and 1/√(1 - β₂ᵗ)."""
        return [-rate / (1 - self._beta1**step), 1 / np.sqrt(1 - self._beta2**step)]

    def learn(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """The two moments after g; the second as torch has it, for between squares that overflow lies no number."""
        mean = self.state["mean"].lerp_(g, self._new1)
        square = self.state["square"].mul_(self._old2).addcmul_(torch.mul(g, self._new2, out=self._scratch), g)
        return mean, square

    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[Tensor]) -> None:
        """As above."""
        if self.decays:
            self.decay(p, g, c)
        mean, square = self.learn(g)
        below = torch.sqrt(square, out=self._scratch)
        torch.addcmul(self._eps, below, c[1], out=below)
        torch.addcdiv(p, self.paced(torch.mul(mean, c[0], out=self._scratch2)), below, out=out)


class AdamW(Adam):
    """torch.optim.AdamW: p·(1 - γ·λ) first, then Adam's step."""

    decoupled = True

    def prepare(self) -> None:
        """A parameter's decay goes with its rate, whatever its unit."""
        super().prepare()
        scales = self._scales
        self._shrinking = scales.placed(scales.rate * scales.decay, self._like) if scales else None

    def coefficients(self, step: Floats, rate: Floats) -> list[Floats]:
        """Adam's, and where any member decays -γ·λ."""
        lost = rate * self.values("weight_decay") * self.shares(step)
        return [*super().coefficients(step, rate), *([-lost] if self.decays else [])]

    def decay(self, p: Tensor, g: Tensor, c: Sequence[Tensor]) -> None:
        """Nothing reaches the gradient."""

    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[Tensor]) -> None:
        """As above."""
        super().update(self._shrunk(p, out, c[2]) if self.decays else p, g, out, c)

    def _shrunk(self, p: Tensor, out: Tensor, c: Tensor) -> Tensor:
        """P - γ·λ·p: the same bits where another member's parameters have factors of their own."""
        lost = p if self._shrinking is None else torch.mul(p, self._shrinking, out=self._scratch)
        return torch.addcmul(p, lost, c, out=out)


class NAdam(Adam):
    """torch.optim.NAdam, with μₜ = β₁·(1 - ½·0.96^(t·ψ)) and the product of all μ."""

    def prepare(self) -> None:
        """The product starts at 1; it is computed again from the first step whenever it is asked for an earlier one."""
        super().prepare()
        self._psi = self.values("momentum_decay")
        self._known, self._product = 0, np.ones(len(self._psi))

    def _mu(self, step: Floats) -> Floats:
        return self._beta1 * (1 - 0.5 * 0.96 ** (step * self._psi))

    def _product_before(self, step: int) -> Floats:
        """Π μ over the steps before `step`: [K]; each product is taken in order, so the bits do not depend on the way here."""
        if step - 1 < self._known:
            self._known, self._product = 0, np.ones(len(self._psi))
        while self._known < step - 1 and self._product.any():
            until = min(step - 1, self._known + 4096)
            mu = self._mu(np.arange(self._known + 1, until + 1, dtype=np.float64)[:, None])
            self._known, self._product = until, np.multiply.accumulate(np.vstack((self._product, mu)))[-1]
        return self._product

    def coefficients(self, step: Floats, rate: Floats) -> list[Floats]:
        """Of the gradient, of 1/√(1 - β₂ᵗ), and of the mean."""
        mu, following = self._mu(step), self._mu(step + 1)
        before = self._product_before(int(step[0, 0]))
        product = np.multiply.accumulate(np.vstack((before, mu)))[1:]
        corrected = 1 / np.sqrt(1 - self._beta2**step)
        return [-rate * (1 - mu) / (1 - product), corrected, -rate * following / (1 - product * following)]

    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[Tensor]) -> None:
        """P + (c₀·g + c₂·m) / (√v·c₁ + ε)."""
        if self.decays:
            self.decay(p, g, c)
        mean, square = self.learn(g)
        below = torch.sqrt(square, out=self._scratch)
        torch.addcmul(self._eps, below, c[1], out=below)
        torch.addcdiv(p, self.paced(g.mul_(c[0]).addcmul_(mean, c[2])), below, out=out)


class RAdam(Adam):
    """torch.optim.RAdam: rectified once ρₜ > 5; before that the step is not divided by √v."""

    def prepare(self) -> None:
        """What is added to √v goes against the unit, ε and 1 alike."""
        super().prepare()
        self._added = self._scales.placed(1 / self._scales.unit, self._like) if self._scales else None

    def coefficients(self, step: Floats, rate: Floats) -> list[Floats]:
        """Of m, of √v, and what is added to it: (rectified) -γ·r·√(1 - β₂ᵗ)/(1 - β₁ᵗ), 1, ε or -γ/(1 - β₁ᵗ), 0, 1."""
        power = self._beta2**step
        limit = 2 / (1 - self._beta2) - 1
        rho = limit - 2 * step * power / (1 - power)
        tame = rho > 5
        safe = np.where(tame, rho, 6.0)
        ratio = (safe - 4) * (safe - 2) * limit / ((limit - 4) * (limit - 2) * safe)
        factor = np.where(tame, np.sqrt(np.where(tame, ratio, 1.0)) * np.sqrt(1 - power), 1.0)
        return [-rate * factor / (1 - self._beta1**step), tame * 1.0, np.where(tame, self.values("eps"), 1.0)]

    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[Tensor]) -> None:
        """P + c₀·m / (√v·c₁ + c₂)."""
        if self.decays:
            self.decay(p, g, c)
        mean, square = self.learn(g)
        below = torch.sqrt(square, out=self._scratch)
        if self._added is None:
            torch.addcmul(c[2], below, c[1], out=below)
        else:
            below.mul_(c[1]).addcmul_(self._added, c[2])
        torch.addcdiv(p, self.paced(torch.mul(mean, c[0], out=self._scratch2)), below, out=out)
