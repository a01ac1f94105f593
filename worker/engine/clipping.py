"""torch's clip_grad_norm_ for each member's gradient."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Clipping:
    """Scales gradients [K, P] whose 2-norm exceeds their member's limit; members without one have an infinite limit."""

    def __init__(self, limits: Sequence[float | None], like: Tensor) -> None:
        numbers = [math.inf if limit is None else limit for limit in limits]
        self.limit = torch.tensor(numbers, dtype=like.dtype, device=like.device).view(*like.shape[:-1], 1)

    def __call__(self, g: Tensor) -> None:
        """G · min(1, limit / (norm + 1e-6))."""
        norm = torch.linalg.vector_norm(g, dim=-1, keepdim=True)
        g.mul_(torch.div(self.limit, norm.add_(1e-6)).clamp_(max=1.0))


def of(limits: Sequence[float | None], like: Tensor) -> Clipping | None:
    """The clipping of these members, None where no one asked for it."""
    return Clipping(limits, like) if any(limit is not None for limit in limits) else None
