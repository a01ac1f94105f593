"""What is trained before the first layer, multiplied into its weight; and the way back.

The first layer's W [out, in] is of raw inputs, `width` mixtures of each column's features, and embedded inputs. With factors s
and mixtures P the network that is used has the weight W·s, and of a column's features (W·s)·P: linear in what it reads, so that
all else in the engine knows the plain network only. To fold costs as much as a few rows of a batch.
"""

import torch
from torch import Tensor

from app.domain.front import Front
from worker.engine.layout import LayerViews, Layout


def folded(layout: Layout, flat: Tensor) -> Tensor:
    """The plain network's vectors [..., plain.total] of vectors [..., total]."""
    if layout.front is None:
        return flat
    plain = flat.new_empty(*flat.shape[:-1], layout.plain.total)
    layout.plain.embedded(plain).copy_(layout.embedded(flat))
    fold(layout.front, layout.views(flat)[0], layout.plain.views(plain)[0].augmented)
    rest(layout.plain, plain).copy_(rest(layout, flat))
    return plain


def factored(layout: Layout, plain: Tensor) -> Tensor:
    """The way back from a plain network's vector [plain.total]: factors of 1, and mixtures by singular values.

    What was folded before comes out as it was used; of any other weight the nearest of so few mixtures.
    """
    front = layout.front
    if front is None:
        return plain
    flat = plain.new_zeros(layout.total)
    layout.embedded(flat).copy_(layout.plain.embedded(plain))
    first, given = layout.views(flat)[0], layout.plain.views(plain)[0]
    first.bias.copy_(given.bias)
    first.weight[:, : front.raw] = given.weight[:, : front.raw]
    if front.embedded:
        first.weight[:, -front.embedded :] = given.weight[:, -front.embedded :]
    if first.factors is not None:
        first.factors.fill_(1)
    if first.mixtures is not None:
        left, values, right = torch.linalg.svd(_features(front, given.augmented), full_matrices=False)
        count = min(front.width, values.shape[-1])
        root = values[:, None, :count].sqrt()
        _by_column(front, first.weight)[..., :count] = left[..., :count] * root
        first.mixtures[:, :count, :-1] = right[:, :count] * root.transpose(-1, -2)
    rest(layout, flat).copy_(rest(layout.plain, plain))
    return flat


def fold(front: Front, first: LayerViews, into: Tensor) -> None:
    """Write the plain network's first layer [..., out, inputs + 1]."""
    weight = _scaled(first)
    into[..., : front.raw] = weight[..., : front.raw]
    into[..., -1:] = first.bias
    if front.embedded:
        into[..., -1 - front.embedded : -1] = weight[..., -front.embedded :]
    if first.mixtures is not None:
        mixed = torch.matmul(_by_column(front, weight), first.mixtures)
        _features(front, into).copy_(mixed[..., :-1])
        into[..., -1] += mixed[..., -1].sum(-2)


def unfold(front: Front, first: LayerViews, g: Tensor, into: LayerViews) -> None:
    """From ∂L/∂(the plain first layer) g [..., out, inputs + 1] to the gradient of what it is made of."""
    weight, d = _scaled(first), torch.empty_like(first.weight, memory_format=torch.contiguous_format)
    d[..., : front.raw] = g[..., : front.raw]
    if front.embedded:
        d[..., -front.embedded :] = g[..., -1 - front.embedded : -1]
    if first.mixtures is not None and into.mixtures is not None:
        of_bias = g[..., -1:].unsqueeze(-3).expand(*g.shape[:-2], front.columns, -1, 1)
        of_columns = torch.cat((_features(front, g), of_bias), -1)
        into.mixtures.copy_(torch.matmul(_by_column(front, weight).transpose(-1, -2), of_columns))
        _by_column(front, d).copy_(torch.matmul(of_columns, first.mixtures.transpose(-1, -2)))
    if first.factors is not None and into.factors is not None:
        into.factors.copy_((d * first.weight).sum(-2, keepdim=True))
        d *= first.factors
    into.weight.copy_(d)
    into.bias.copy_(g[..., -1:])


def _scaled(first: LayerViews) -> Tensor:
    return first.weight if first.factors is None else first.weight * first.factors


def _by_column(front: Front, weight: Tensor) -> Tensor:
    """[..., columns, out, width] of a first layer's weight [..., out, in]."""
    part = weight.narrow(-1, front.raw, front.columns * front.width)
    return part.view(*part.shape[:-1], front.columns, front.width).transpose(-2, -3)


def _features(front: Front, plain: Tensor) -> Tensor:
    """[..., columns, out, features] of a plain first layer [..., out, inputs + 1]."""
    part = plain.narrow(-1, front.raw, front.columns * front.features)
    return part.view(*part.shape[:-1], front.columns, front.features).transpose(-2, -3)


def rest(layout: Layout, flat: Tensor) -> Tensor:
    """All that stands behind the first layer; of a gradient without running statistics."""
    start = layout.slots[0].dense + layout.slots[0].outputs * (layout.slots[0].inputs + 1)
    return flat.narrow(-1, start, flat.shape[-1] - start)
