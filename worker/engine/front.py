"""A batch's gradient of what is trained before the first layer, from that of the plain network."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from app.domain.front import Front
from worker.engine.activations import Call
from worker.engine.batches import Batch
from worker.engine.dropout import Masks
from worker.engine.folding import fold, rest, unfold
from worker.engine.gradients import ByAutograd, ByHand
from worker.engine.layout import LayerViews, Layout


class Fronted:
    """∂L/∂(all that is trained) into `flat` [K, P] (squeezed: [P]), by a gradient of the plain network."""

    def __init__(self, layout: Layout, front: Front, gradient: ByHand | ByAutograd, *, like: Tensor) -> None:
        self._layout, self._front, self._gradient = layout, front, gradient
        whole = like.new_zeros(*like.shape[:-1], layout.total)
        self._into, self.flat = layout.views(whole)[0], whole[..., : layout.trained]
        slot = layout.plain.slots[0]
        self._first = like.new_zeros(*like.shape[:-1], slot.outputs, slot.inputs + 1)

    def columns(self, rows: int) -> int:
        """See ByHand and ByAutograd."""
        return self._gradient.columns(rows)

    def prepare(self, layers: Sequence[LayerViews], batch: Batch, masks: Masks) -> list[Call]:
        """The calls that write the gradient at `layers` into `flat`, and the batch's logits where they belong."""
        first, augmented = layers[0], self._first
        weight, bias = augmented[..., :-1], augmented[..., -1:]
        plain = replace(first, augmented=augmented, weight=weight, weight_t=weight.transpose(-1, -2), bias=bias)
        inner = self._gradient.prepare([replace(plain, mixtures=None, factors=None), *layers[1:]], batch, masks)
        return [partial(fold, self._front, first, augmented), *inner, partial(self._unfold, first)]

    def settled(self, layers: Sequence[LayerViews]) -> list[Call]:
        """See ByHand and ByAutograd."""
        return self._gradient.settled(layers)

    def _unfold(self, first: LayerViews) -> None:
        layout, found = self._layout, self._gradient.flat
        layout.embedded(self.flat).copy_(layout.embedded(found))
        unfold(self._front, first, layout.plain.gradients(found)[0], self._into)
        rest(layout, self.flat).copy_(rest(layout.plain, found))
