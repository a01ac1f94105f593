"""The network as a function: for evaluation of many epochs at once, and for autograd.

Activations are [N, in, n], N whatever numbers the networks.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from worker.engine.dropout import Masks
from worker.engine.layout import LayerViews

# torch's defaults in BatchNorm1d and LayerNorm.
EPSILON, MOMENTUM = 1e-5, 0.1

Normalize = Callable[[LayerViews, Tensor], Tensor]


def outputs(
    first: Tensor,
    layers: Sequence[LayerViews],
    *,
    normalize: Normalize,
    activate: Callable[[Tensor], Tensor],
    masks: Masks | None = None,
    affine: Callable[[Tensor, Tensor, Tensor], Tensor] = torch.baddbmm,
) -> Tensor:
    """Logits [N, O, n] from the first layer's product [N, out, n]."""
    z = first
    for index, (layer, following) in enumerate(pairwise(layers)):
        a = activate(normalize(layer, z))
        mask = masks[index] if masks else None
        z = affine(following.bias, following.weight, a if mask is None else a * mask)
    return z


def as_it_is(layer: LayerViews, z: Tensor) -> Tensor:
    """No normalization."""
    return z


def by_layer(layer: LayerViews, z: Tensor) -> Tensor:
    """Layer normalization over the units of a row."""
    variance, mean = torch.var_mean(z, dim=-2, keepdim=True, correction=0)
    return _scaled(layer, (z - mean) * torch.rsqrt(variance + EPSILON))


def by_statistics(layer: LayerViews, z: Tensor) -> Tensor:
    """Batch normalization with the running statistics."""
    assert layer.mean is not None
    assert layer.variance is not None
    return _scaled(layer, (z - layer.mean) * torch.rsqrt(layer.variance + EPSILON))


class ByBatch:
    """Batch normalization with the batch's own statistics; `settle` then moves the running ones.

    A batch of one row has no variance: it is normalized by the running statistics and moves nothing (torch raises an error).
    """

    def __init__(self) -> None:
        self._seen: list[tuple[Tensor, Tensor]] = []

    def __call__(self, layer: LayerViews, z: Tensor) -> Tensor:
        """Z [N, out, n] normalized over n."""
        if z.shape[-1] == 1:
            return by_statistics(layer, z)
        variance, mean = torch.var_mean(z, dim=-1, keepdim=True, correction=0)
        self._seen.append((mean.detach(), variance.detach() * (z.shape[-1] / (z.shape[-1] - 1))))
        return _scaled(layer, (z - mean) * torch.rsqrt(variance + EPSILON))

    def forget(self) -> None:
        """A pass begins; one that was broken off in a recording has left what it saw."""
        self._seen.clear()

    def settle(self, layers: Sequence[LayerViews]) -> None:
        """Move the running statistics of `layers` to what was seen since the last call."""
        for layer, (mean, variance) in zip(layers, self._seen, strict=False):
            assert layer.mean is not None
            assert layer.variance is not None
            layer.mean.lerp_(mean, MOMENTUM)
            layer.variance.lerp_(variance, MOMENTUM)
        self._seen.clear()


def _scaled(layer: LayerViews, z: Tensor) -> Tensor:
    assert layer.scale is not None
    assert layer.shift is not None
    return torch.addcmul(layer.shift, z, layer.scale)


def evaluating(normalization: str) -> Normalize:
    """The normalization of a network that is not being trained."""
    return {"none": as_it_is, "layer": by_layer, "batch": by_statistics}[normalization]
