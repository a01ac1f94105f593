"""torch's clip_grad_norm_ for each member's gradient."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from worker.engine.groups import Scales


class Clipping:
    """Scales gradients [K, P] whose 2-norm exceeds their member's limit; members without one have an infinite limit.

    Where parameters are trained in other units, `units` [K, P] or [P], the norm is of the gradient in these.
    """

    def __init__(self, limits: Sequence[float | None], like: Tensor, units: Tensor | None = None) -> None:
        numbers = [math.inf if limit is None else limit for limit in limits]
        self.limit = torch.tensor(numbers, dtype=like.dtype, device=like.device).view(*like.shape[:-1], 1)
        self._units, self._own = units, None if units is None else torch.empty_like(like)
        self._whole = torch.ones_like(self.limit)

    def __call__(self, g: Tensor) -> None:
        """G · min(1, limit / (norm + 1e-6))."""
        own = g if self._units is None else torch.mul(g, self._units, out=self._own)
        norm = torch.linalg.vector_norm(own, dim=-1, keepdim=True)
        # Without a limit an infinite norm, as finite numbers may have, makes no number of ∞ / ∞, for which fmin takes 1.
        g.mul_(torch.fmin(torch.div(self.limit, norm.add_(1e-6)), self._whole))


def of(limits: Sequence[float | None], like: Tensor, scales: Scales | None = None) -> Clipping | None:
    """The clipping of these members, None where no one asked for it."""
    units = scales.placed(scales.unit, like) if scales else None
    return Clipping(limits, like, units) if any(limit is not None for limit in limits) else None
