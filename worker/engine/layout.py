"""Where each parameter of a network stands in one flat vector, so that an optimizer is a handful of operations.

First come the tables of embeddings, one after the other, each [levels + 1, width] (embeddings.py), then what the first layer's
weight is multiplied with where there is such a front (front.py).
A layer's weight and bias are one matrix [out, in + 1], the bias its last column: with a row of ones below the activations
[in, n] the forward pass is one product, and the bias's gradient comes with the weight's. Running statistics of batch
normalization stand behind all that is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from app.domain.front import front_of_spec

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec


@dataclass(frozen=True, slots=True)
class LayerViews:
    """One layer's part of flat vectors [..., total]; the normalization's tensors are [..., out, 1] or None."""

    augmented: Tensor
    """[..., out, in + 1]"""
    weight: Tensor
    """[..., out, in]"""
    weight_t: Tensor
    """[..., in, out]"""
    bias: Tensor
    """[..., out, 1]"""
    scale: Tensor | None
    shift: Tensor | None
    mean: Tensor | None
    variance: Tensor | None
    tables: Tensor | None = None
    """Of the first layer [..., tables]: the embeddings below it, where there are any."""
    mixtures: Tensor | None = None
    """Of the first layer [..., columns, width, features + 1], where there are numeric features: the last one is the bias."""
    factors: Tensor | None = None
    """Of the first layer [..., 1, in], where its inputs are scaled."""


@dataclass(frozen=True)
class Slot:
    """One layer's offsets into the flat vector."""

    inputs: int
    outputs: int
    dense: int
    norm: int | None
    statistics: int | None


class Layout:
    """The flat vector of one network as it is trained; `plain` is that of the network as it is used, without a front."""

    def __init__(self, spec: "ResolvedSpec", *, front: bool = True) -> None:
        kind = spec.network.normalization
        self.widths, self.embeddings = spec.layers, tuple(spec.embeddings)
        self.tables = sum(embedding.size for embedding in self.embeddings)
        self.front = front_of_spec(spec) if front else None
        self.plain = Layout(spec, front=False) if self.front else self
        widths = [self.front.inputs, *spec.layers[1:]] if self.front else spec.layers
        self.head = head = self.tables + (self.front.parameters if self.front else 0)
        dense, end = [head + start for start in _starts(_sizes(widths))], head + sum(_sizes(widths))
        hidden = widths[1:-1]
        norm = [end + 2 * start for start in _starts(hidden)]
        self.trained = end + (2 * sum(hidden) if kind != "none" else 0)
        statistics = [self.trained + 2 * start for start in _starts(hidden)]
        self.total = self.trained + (2 * sum(hidden) if kind == "batch" else 0)
        self.slots = tuple(
            Slot(
                widths[i],
                widths[i + 1],
                dense[i],
                norm[i] if kind != "none" and i < len(hidden) else None,
                statistics[i] if kind == "batch" and i < len(hidden) else None,
            )
            for i in range(len(widths) - 1)
        )

    def parts(self) -> list[slice]:
        """What is trained, by parts: tables, mixtures, factors, each layer, and all normalizations."""
        front, last = self.front, self.slots[-1]
        starts = [0, self.tables, self.tables + (front.mixtures if front else 0), *(slot.dense for slot in self.slots)]
        bounds = sorted({*starts, last.dense + last.outputs * (last.inputs + 1), self.trained})
        return [slice(start, stop) for start, stop in pairwise(bounds)]

    def views(self, flat: Tensor) -> list[LayerViews]:
        """The layers of flat [..., total]."""
        layers = [_views(flat, slot) for slot in self.slots]
        if not self.tables and not self.front:
            return layers
        mixtures, factors = self.fronted(flat)
        tables = self.embedded(flat) if self.tables else None
        return [replace(layers[0], tables=tables, mixtures=mixtures, factors=factors), *layers[1:]]

    def fronted(self, flat: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Mixtures and factors of a flat vector, or of its first `head` numbers."""
        front, lead = self.front, flat.shape[:-1]
        if front is None:
            return None, None
        mixtures = flat.narrow(-1, self.tables, front.mixtures)
        factors = flat.narrow(-1, self.tables + front.mixtures, front.inputs * front.scaled)
        shape = (*lead, front.columns, front.width, front.features + 1)
        return mixtures.view(shape) if front.columns else None, factors.unsqueeze(-2) if front.scaled else None

    def embedded(self, flat: Tensor) -> Tensor:
        """[..., tables] of a flat vector or gradient."""
        return flat.narrow(-1, 0, self.tables)

    def split(self, flat: Tensor) -> list[Tensor]:
        """The tables [..., levels + 1, width] of a flat vector."""
        parts = torch.split(self.embedded(flat), [table.size for table in self.embeddings], -1)
        return [part.view(*part.shape[:-1], -1, table.width) for part, table in zip(parts, self.embeddings, strict=True)]

    def design_width(self) -> int:
        """Columns of a design matrix: the inputs that are no embeddings, then one code for each embedded column."""
        return self.widths[0] - sum(embedding.width - 1 for embedding in self.embeddings)

    def gradients(self, flat: Tensor) -> list[Tensor]:
        """[..., out, in + 1] for each layer of a flat gradient [..., trained]."""
        return [_dense(flat, slot) for slot in self.slots]


def _sizes(widths: Sequence[int]) -> list[int]:
    return [out * (into + 1) for into, out in pairwise(widths)]


def _starts(sizes: Sequence[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]


def _dense(flat: Tensor, slot: Slot) -> Tensor:
    size = slot.outputs * (slot.inputs + 1)
    return flat.narrow(-1, slot.dense, size).view(*flat.shape[:-1], slot.outputs, slot.inputs + 1)


def _columns(flat: Tensor, start: int | None, width: int) -> tuple[Tensor | None, Tensor | None]:
    if start is None:
        return None, None
    return flat.narrow(-1, start, width).unsqueeze(-1), flat.narrow(-1, start + width, width).unsqueeze(-1)


def _views(flat: Tensor, slot: Slot) -> LayerViews:
    augmented = _dense(flat, slot)
    weight = augmented.narrow(-1, 0, slot.inputs)
    scale, shift = _columns(flat, slot.norm, slot.outputs)
    mean, variance = _columns(flat, slot.statistics, slot.outputs)
    bias = augmented.narrow(-1, slot.inputs, 1)
    return LayerViews(augmented, weight, weight.transpose(-1, -2), bias, scale, shift, mean, variance)
