"""Dropout masks, drawn for a block of batches at a time because seeding a generator costs more than a small mask."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from worker.engine import data
from worker.engine.network import dropout_rates
from worker.engine.precision import aligned
from worker.engine.randomness import Use, dropout_mask, seeded
from worker.engine.schedules import regularization

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec

# Cells of one draw: about 0.1 ms. It depends on nothing but the layer and the batch, so a mask is the same in every stack,
# whether that has a use for aligned rows or not.
_BLOCK = 1 << 16
MASKS_OF_ONE_DRAW = 1024

Masks = list[Tensor | None]


def block_of(width: int, batch_size: int) -> int:
    """Batches that share one draw: a power of two, so that a window of batches is a whole number of draws."""
    return 1 << max(1, min(_BLOCK // (width * aligned(batch_size)), MASKS_OF_ONE_DRAW)).bit_length() - 1


def rates_of(spec: "ResolvedSpec", epoch: int) -> list[float]:
    """The rate of each hidden layer in an epoch (from 1): that of its first step, so that an epoch's masks are drawn alike."""
    share = float(regularization(spec, np.array((epoch - 1) / spec.epochs)))
    return [rate * share for rate in dropout_rates(spec)]


def draw(spec: "ResolvedSpec", rate: float, *, batches: int, rows: int, epoch: int, layer: int, block: int) -> Tensor:
    """Booleans [batches, width, aligned rows of a batch] of a hidden layer (from 0) in an epoch (from 1).

    They are the first ones of a block, whatever their number.
    """
    shape = (batches, spec.network.hidden_layers[layer], aligned(rows))
    return dropout_mask(seeded(spec.seed, Use.DROPOUT, epoch, layer, block), rate, shape)


def _fill(masks: Tensor, kept: Tensor, rate: float) -> None:
    """0 or 1 / (1 - rate); on the host by numpy, which turns booleans into numbers six times as quick."""
    if masks.is_cuda:
        masks.copy_(data.sent(kept, masks.device)).mul_(1 / (1 - rate))
    else:
        numbers = masks.numpy()
        np.copyto(numbers, kept.numpy())
        np.multiply(numbers, 1 / (1 - rate), out=numbers)


def _alike(specs: Sequence["ResolvedSpec"]) -> list[list[int]]:
    """The places of networks with the same masks."""
    found = dict[object, list[int]]()
    for place, spec in enumerate(specs):
        key = (spec.seed, *dropout_rates(spec), spec.regularization_schedule, spec.epochs)
        found.setdefault(key, []).append(place)
    return list(found.values())


class _LayerMasks:
    """One layer's scaled masks [K, batches, width, rows], for the block that was drawn last; an epoch has so many `steps`.

    Where all networks have the same masks they are [1, batches, width, rows].
    """

    def __init__(self, specs: Sequence["ResolvedSpec"], layer: int, *, steps: int, rows: int, like: Tensor) -> None:
        alike = _alike(specs)
        self._alike, self._specs = ([[0]], specs[:1]) if len(alike) == 1 else (alike, specs)
        self._layer, self._steps = layer, steps
        width, self._rows = specs[0].network.hidden_layers[layer], rows
        self._count = block_of(width, self._rows)
        self._masks = like.new_ones(len(self._specs), self._count, width, aligned(rows))
        self._drawn = (0, 0)
        self._rates = list[float]()

    def batch(self, batch: int, rows: int) -> Tensor:
        """[K or 1, width, rows]: 0 or 1 / (1 - rate), of whatever was prepared last for this batch, up to its aligned rows."""
        return self._masks[:, batch % self._count, :, :rows]

    def until(self, batch: int) -> int:
        """The first batch after this one that needs another draw."""
        return batch - batch % self._count + self._count

    def prepare(self, epoch: int, batch: int) -> None:
        """Draw the batch's block unless it is there."""
        block = batch // self._count
        if self._drawn != (epoch, block):
            self._draw(epoch, block)

    def _draw(self, epoch: int, block: int) -> None:
        if self._drawn[0] != epoch:
            self._rates = [rates_of(spec, epoch)[self._layer] for spec in self._specs]
        self._drawn = (epoch, block)
        where = {"rows": self._rows, "epoch": epoch, "layer": self._layer, "block": block}
        batches = min(self._count, self._steps - block * self._count)
        for first, *others in self._alike:
            if (rate := self._rates[first]) > 0:
                masks = self._masks[first, :batches]
                _fill(masks, draw(self._specs[first], rate, batches=batches, **where), rate)
                for other in others:
                    self._masks[other, :batches].copy_(masks)


class Dropout:
    """The masks of all hidden layers for the `steps` batches of an epoch; a layer that no network drops from has None.

    They are drawn from the seeds of the specs: networks with the same seed have the same masks.
    """

    def __init__(self, specs: Sequence["ResolvedSpec"], like: Tensor, *, steps: int, rows: int, squeezed: bool) -> None:
        self._squeezed = squeezed
        drops = [any(rates) for rates in zip(*map(dropout_rates, specs), strict=True)]
        layers = range(len(drops))
        self._layers = [_LayerMasks(specs, i, steps=steps, rows=rows, like=like) if drops[i] else None for i in layers]
        self.active = [layer is not None for layer in self._layers]

    def masks(self, batch: int, rows: int) -> Masks:
        """One [K or 1, width, rows] (squeezed: [width, rows]) or None for each hidden layer: views on what `prepare` draws."""
        views = [layer.batch(batch, rows) if layer else None for layer in self._layers]
        return [mask[0] if self._squeezed and mask is not None else mask for mask in views]

    def until(self, batch: int) -> int:
        """The first batch after this one that needs another draw in any layer."""
        return min(layer.until(batch) for layer in self._layers if layer)

    def prepare(self, epoch: int, batch: int) -> None:
        """Draw what a batch needs."""
        for layer in self._layers:
            if layer:
                layer.prepare(epoch, batch)


def epoch_masks(spec: "ResolvedSpec", epoch: int, sizes: Sequence[int]) -> list[list[Tensor | None]]:
    """For each batch of an epoch, of so many rows, the booleans [width, rows] of each hidden layer, None without dropout."""
    dropout = Dropout([spec], torch.empty(0, dtype=torch.float64), steps=len(sizes), rows=max(sizes), squeezed=True)
    found = []
    for batch, rows in enumerate(sizes):
        dropout.prepare(epoch, batch)
        found.append([None if mask is None else mask > 0 for mask in dropout.masks(batch, rows)])
    return found
